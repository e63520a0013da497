"""What authors say of a scene, by tests/data/remarks.toml: done as meant, or refused at once."""

import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

from audiostory_core.engines.foley.engine import Foley
from audiostory_core.engines.foley.speech.manner import Manners
from audiostory_core.engines.protocol import ClipRequest
from audiostory_core.errors import BadInput
from audiostory_core.planners.clauses.language import CODES
from audiostory_core.planners.clauses.planner import Clauses
from audiostory_core.planners.protocol import Brief
from audiostory_core.quality.effects import MadeClip, unmet
from audiostory_core.quality.measures import measure
from audiostory_core.story.editing import Total, apply, plan_of
from audiostory_core.story.edits import Voice
from audiostory_core.story.limits import SceneLimits
from audiostory_core.story.plan import SoundLayer, SpeechLayer, StoryPlan, SubEvent

DATA = tomllib.loads((Path(__file__).parents[3] / "data" / "remarks.toml").read_text("utf-8"))
CASES = [
    pytest.param(scene, words, wanted, id=f"{kind}-{scene}-{words}")
    for kind, scenes in DATA.items()
    if kind != "scene"
    for scene, remarks in scenes.items()
    for words, wanted in remarks
]
LIMITS = SceneLimits(story_s=60)


@pytest.fixture(scope="module")
def planner() -> Clauses:
    return Clauses()


def _layer(kind: str, text: str, speaker: str | None = None) -> SoundLayer | SpeechLayer:
    if kind == "speech":
        return SpeechLayer(words=text, speaker=speaker)
    return SoundLayer(kind=kind, text=text)


def _plan(name: str) -> StoryPlan:
    scene = DATA["scene"][name]
    layers = tuple(_layer(*layer) for layer in scene["layers"])
    event = SubEvent(caption=scene["caption"], duration_s=5.0, layers=layers)
    return StoryPlan(
        version=2, instruction="A.", language=scene["language"], duration_s=5.0, sub_events=[event]
    )


def _made(plan: StoryPlan, edits) -> SubEvent:
    return plan_of(plan, apply(plan, edits, total=Total.MOVE, limits=LIMITS)).sub_events[0]


@pytest.mark.parametrize(("scene", "words", "wanted"), CASES)
def test_a_remark_is_done_as_meant_or_refused(planner, scene, words, wanted):
    plan = _plan(scene)
    if wanted == "refused":
        with pytest.raises(BadInput) as caught:
            planner.edits(plan, words, 0)
        assert (caught.value.field, caught.value.value) == ("change", words)
        assert caught.value.remedy
        return
    edits = planner.edits(plan, words, 0)
    event = _made(plan, edits)

    wanted = dict(wanted)
    if "voice" in wanted:
        assert [edit.description for edit in edits if isinstance(edit, Voice)] == [wanted["voice"]]
        return
    if "texts" in wanted:
        sounds = [layer.text for layer in event.layers if isinstance(layer, SoundLayer)]
        assert sounds == wanted.pop("texts")
    if "gains" in wanted:
        assert [layer.gain_db or 0.0 for layer in event.layers] == wanted.pop("gains")
    place = wanted.pop("layer", None)
    holder = event if place is None else event.layers[place - 1]
    for field, value in wanted.items():
        assert getattr(holder, field) == pytest.approx(value) if field != "text" else value, field
    if place is not None:
        assert event.duration_s == 5.0


def test_kinds_have_many_cases_and_languages():
    for kind, scenes in DATA.items():
        if kind == "scene":
            continue
        languages = {DATA["scene"][name]["language"] for name in scenes}
        assert sum(map(len, scenes.values())) >= 10, kind
        assert len(languages) >= 3, kind


def test_manners_are_named_as_the_voice_knows_them(planner):
    manners = Manners.load()
    for code in CODES:
        for name, word in planner._scenes.vocabulary(code).manner_names.items():
            assert manners.knows(word), (code, name)


STORY = "Birds sing.\nThen a train arrives at the station.\nThen rain falls on a roof.\nFinally a dog barks."


@pytest.fixture(scope="module")
def story() -> StoryPlan:
    events = [
        SubEvent(caption=text, duration_s=5.0, layers=[SoundLayer(kind=kind, text=text)])
        for kind, text in (
            ("ambience", "birds sing"), ("sfx", "a train arrives"), ("ambience", "rain falls"),
            ("sfx", "a dog barks"),
        )
    ]  # fmt: skip
    return StoryPlan(
        version=2, instruction=STORY, language="en", duration_s=20.0, sub_events=events
    )


@pytest.mark.parametrize(
    ("remark", "edits"),
    [
        ("swap scenes 2 and 3", [("swap", 2)]),
        ("swap scene 1 and scene 4", [("swap", 1)]),
        ("intercambia las escenas 2 y 3", [("swap", 2)]),
        ("échange les scènes 2 et 3", [("swap", 2)]),
        ("vertausche die Szenen 2 und 3", [("swap", 2)]),
        ("交换场景2和场景3", [("swap", 2)]),
        ("move scene 3 to the start", [("move", 3)]),
        ("move scene 4 before scene 2", [("move", 4)]),
        ("delete scene 2", [("delete", 2)]),
        ("merge scenes 2 and 3", [("merge", 2)]),
        ("split scene 1 at 2 seconds", [("split", 1)]),
        ("the third scene should be longer", [("reword", 3)]),
        ("cut scene 2 by one second", [("reword", 2)]),
        ("the train is too loud", [("shape", 2)]),
        ("louder", [("shape", number) for number in (1, 2, 3, 4)]),
        ("make the birds louder and the rain quieter", [("shape", 1), ("shape", 3)]),
        ("make scene 2 louder and scene 3 quieter", [("shape", 2), ("shape", 3)]),
        ("start with silence", [("shape", 1)]),
        ("start with two seconds of silence", [("shape", 1)]),
        ("beginne mit Stille", [("shape", 1)]),
        ("the rain slightly to the left", [("shape", 3)]),
        ("shorter", [("reword", number) for number in (1, 2, 3, 4)]),
    ],
)
def test_a_remark_on_a_story_names_its_scenes(planner, story, remark, edits):
    made = planner.edits(story, remark)

    assert [(edit.op, edit.sub_event) for edit in made] == edits
    apply(story, made, total=Total.MOVE, limits=LIMITS)


@pytest.mark.parametrize(
    "remark",
    [
        "More time for the dialogue, and the storm should go on under the whole story",
        "don't swap scenes 1 and 2",
        "swap scenes 1 and 9",
        "remove everything",
        "add thunder",
        "also thunder",
        "less rain, more birds and thunder",
        "less rain, more cello",
        "move the rain from left to right",
        "rain left and right",
        "end with silence",
        "make it nicer",
        "scene 2 louder but not scene 3",
        "swap scenes 1 and 2 and delete scene 3",
        "quieter and scarier",
        "all but scene 2 louder",
    ],
)
def test_a_remark_on_a_story_that_is_not_read_to_its_last_word_is_refused(planner, story, remark):
    with pytest.raises(BadInput) as caught:
        planner.edits(story, remark)

    assert (caught.value.field, caught.value.value) == ("remark", remark)


def test_a_voice_is_refused_for_a_scene_in_which_it_says_nothing(planner):
    plan = planner.plan(Brief('Anna says: "Where are you?" Rain on a tin roof. A cello plays'))
    assert [edit.sub_event for edit in planner.edits(plan, "a female voice for Anna", 0)] == [1]

    with pytest.raises(BadInput, match="says nothing in the scene"):
        planner.edits(plan, "a female voice for Anna", 1)


@pytest.fixture(scope="module")
def foley():
    engine = Foley()
    yield engine
    engine.close()


def _clip(foley: Foley, event: SubEvent) -> MadeClip:
    made = foley.synthesize([ClipRequest(event.caption, event.layers, event.samples, 7, "en")])[0]
    request = {
        "layers": [layer.model_dump(mode="json") for layer in event.layers],
        "samples": event.samples,
    }
    return MadeClip(request, measure(made.waveform, event.samples).as_dict(), made.matched)


@pytest.mark.parametrize(
    ("scene", "words", "least_db"),
    [
        ("thunder", "make the thunder closer", 2.0),
        ("thunder", "louder", 2.0),
        ("steps", "make the footsteps louder", 2.0),
        ("creak", "quieter", -2.0),
        ("thunder", "distant", -2.0),
    ],
)
def test_louder_and_closer_are_so_by_the_meter_again_and_again(
    planner, foley, scene, words, least_db
):
    plan = _plan(scene)
    clips = [_clip(foley, plan.sub_events[0])]
    for _ in range(2):
        try:
            event = _made(plan, planner.edits(plan, words, 0))
        except BadInput:  # at the end of its range
            break
        plan = plan.model_copy(update={"sub_events": (event,)})
        clips.append(_clip(foley, event))
        assert unmet(clips[-2], clips[-1]) == []

    levels = [clip.measures["loudness_lufs"] for clip in clips]
    assert len(levels) > 1
    steps = [after - before for before, after in pairwise(levels)]
    assert steps[0] >= least_db if least_db > 0 else steps[0] <= least_db
    assert all(step * least_db > 0 for step in steps)


def test_knocks_are_louder_by_the_meter(planner, foley):
    plan = _plan("knocks")
    alone = plan.sub_events[0].model_copy(update={"layers": plan.sub_events[0].layers[:1]})
    plan = plan.model_copy(update={"sub_events": (alone,)})

    after = _made(plan, planner.edits(plan, "make the knocks louder", 0))

    before, louder = _clip(foley, alone), _clip(foley, after)
    assert louder.measures["loudness_lufs"] >= before.measures["loudness_lufs"] + 2
    assert unmet(before, louder) == []


def test_removed_music_is_matched_no_more(planner, foley):
    plan = _plan("knocks")

    after = _made(plan, planner.edits(plan, "remove the music", 0))

    before, without = _clip(foley, plan.sub_events[0]), _clip(foley, after)
    assert not any("cello" in text or "music" in text for text in without.matched)
    assert unmet(before, without) == []
    assert unmet(before, MadeClip(without.request, without.measures, before.matched))


def test_a_louder_clip_that_is_not_louder_is_told():
    layer = {"kind": "sfx", "text": "a knock"}
    before = MadeClip({"layers": [layer], "samples": 9}, {"loudness_lufs": -25.5}, ("knock",))
    request = {"layers": [layer | {"gain_db": 6.0}], "samples": 9}

    (sentence,) = unmet(before, MadeClip(request, {"loudness_lufs": -27.2}, ("knock",)))

    assert sentence == "it was to be louder, and by the meter it is not: -25.5 to -27.2 LUFS"
    assert unmet(before, MadeClip(request, {"loudness_lufs": -19.5}, ("knock",))) == []
