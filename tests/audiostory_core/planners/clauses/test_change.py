"""Changes in plain words: what they make of a scene, and that foley renders the difference."""

import numpy as np
import pytest

from audiostory_core.engines.foley.catalog import load_kinds
from audiostory_core.engines.foley.engine import Foley
from audiostory_core.engines.foley.scene.script import write_script
from audiostory_core.engines.foley.sound import Mention
from audiostory_core.engines.foley.words.lexicon import Lexicon
from audiostory_core.engines.protocol import ClipRequest
from audiostory_core.errors import BadInput
from audiostory_core.planners.clauses.planner import Clauses
from audiostory_core.planners.protocol import Brief, Planner
from audiostory_core.story.plan import SAMPLE_RATE, SoundLayer, SpeechLayer, SubEvent
from tests.support.sound_features import onsets

KINDS = load_kinds()
STREET = ("A siren wails", "birds sing", "a dog barks twice")
STORY = (
    "Birds sing in the meadow. Then a train arrives at the station. "
    "Then rain falls on a roof. Finally a dog barks in a garden."
)


@pytest.fixture(scope="module")
def planner() -> Clauses:
    return Clauses()


@pytest.fixture(scope="module")
def lexicon():
    return Lexicon.load()


@pytest.fixture(scope="module")
def foley():
    engine = Foley()
    yield engine
    engine.close()


def _scene(*texts: str, caption: str | None = None, duration_s: float = 8.0) -> SubEvent:
    beds = ("rain", "birds", "lluvia")
    layers = tuple(
        SoundLayer(kind="ambience" if text.lower().startswith(beds) else "sfx", text=text)
        for text in texts
    )
    return SubEvent(caption=caption or ", ".join(texts), duration_s=duration_s, layers=layers)


def _street() -> SubEvent:
    return _scene(*STREET, caption="A siren wails and birds sing while a dog barks twice")


def _texts(event: SubEvent) -> list[str]:
    return [layer.text for layer in event.layers if isinstance(layer, SoundLayer)]


def _kinds(lexicon: Lexicon, event: SubEvent, language: str = "en") -> set[str]:
    told = [event.caption] if not event.layers else _texts(event)
    return {one.kind for text in told for one in lexicon.read(text, language).mentions}


def _mentions(lexicon: Lexicon, event: SubEvent, language: str = "en") -> list[Mention]:
    """Return what foley makes of a scene's sounds, by their words and their layers' shapes."""
    script = write_script(event.caption, event.layers, language, lexicon, KINDS, 2)
    beds = [mention for mention in script.beds if mention.kind not in script.places]
    return [*beds, *(cue.mention for cue in script.cues)]


def _heard(foley: Foley, event: SubEvent, language: str = "en", seed: int = 7) -> np.ndarray:
    asked = ClipRequest(event.caption, event.layers, event.samples, seed, language)
    clip = foley.synthesize([asked])[0]
    assert not clip.unmatched
    return clip.waveform.mean(axis=0)


def _band_db(mono: np.ndarray, low_hz: float, high_hz: float) -> float:
    power = np.abs(np.fft.rfft(mono)) ** 2
    hertz = np.fft.rfftfreq(mono.size, 1 / SAMPLE_RATE)
    return float(10 * np.log10(power[(hertz >= low_hz) & (hertz < high_hz)].sum()))


def _level_db(mono: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(mono**2)))


def test_the_embedded_planner_is_a_planner(planner):
    checked: Planner = planner

    assert checked.name == "clauses"


def test_a_more_distant_siren_falls_against_the_rain_and_loses_its_highs(planner, foley):
    scene = _scene("rain falls", "a siren wails")

    far = planner.revise(scene, "make the siren more distant", "en")
    before, after = _heard(foley, scene), _heard(foley, far)

    def against_rain(mono):
        return _band_db(mono, 300, 1500) - _band_db(mono, 6000, 16_000)

    def brightness(event):
        alone = event.model_copy(update={"caption": "siren", "layers": event.layers[1:]})
        mono = _heard(foley, alone)
        return _band_db(mono, 2000, 16_000) - _band_db(mono, 300, 2000)

    assert against_rain(after) < against_rain(before) - 4
    assert brightness(far) < brightness(scene) - 6
    assert far.layers == (scene.layers[0], scene.layers[1].model_copy(update={"distance": 0.7}))
    assert far.caption == scene.caption
    assert far.duration_s == scene.duration_s


@pytest.mark.parametrize(
    ("text", "change", "least_db"),
    [
        ("a siren wails", "make the siren quieter", -3),
        ("a dog barks", "dog quieter", -3),
        ("rain falls", "turn down the rain", -3),
        ("a siren wails", "the siren is too loud", -3),
        ("rain falls", "louder rain", 3),
        ("a distant siren wails", "bring the siren closer", 3),
        ("a faint siren wails", "make the siren louder", 1),
        ("a quiet stream flows", "make the stream louder", 1),
    ],
)
def test_loudness_and_distance_change_the_level(planner, foley, text, change, least_db):
    scene = _scene(text)

    changed = planner.revise(scene, change, "en")

    moved = np.mean(
        [
            _level_db(_heard(foley, changed, seed=seed))
            - _level_db(_heard(foley, scene, seed=seed))
            for seed in (7, 8, 9)
        ]
    )
    assert moved <= least_db if least_db < 0 else moved >= least_db


@pytest.mark.parametrize(
    ("text", "change", "is_faster"),
    [
        ("footsteps on gravel", "make the footsteps faster", True),
        ("a clock ticks", "make the clock tick slower", False),
    ],
)
def test_pace_changes_how_often_a_sound_strikes(planner, foley, text, change, is_faster):
    scene = _scene(text)

    changed = planner.revise(scene, change, "en")

    before, after = (onsets(_heard(foley, event)).size for event in (scene, changed))
    assert after > before if is_faster else after < before


@pytest.mark.parametrize("change", ["remove the birds", "without birds", "no birds"])
def test_a_removed_sound_is_no_longer_heard(planner, lexicon, foley, change):
    changed = planner.revise(_street(), change, "en")

    assert changed.caption == "A siren wails while a dog barks twice"
    assert _texts(changed) == ["A siren wails", "a dog barks twice"]
    assert _kinds(lexicon, changed) == {"siren", "dog"}
    asked = ClipRequest(changed.caption, changed.layers, changed.samples, 7, "en")
    assert not any(said.startswith("birds") for said in foley.synthesize([asked])[0].matched)


def test_an_added_sound_is_heard(planner, foley):
    scene = _scene("birds sing")

    changed = planner.revise(scene, "add thunder", "en")

    assert changed.caption == "birds sing, with thunder"
    before, after = (_heard(foley, event) for event in (scene, changed))
    assert _band_db(after, 20, 200) > _band_db(before, 20, 200) + 20


def test_a_sound_added_at_the_beginning_comes_first(planner):
    changed = planner.revise(_street(), "add thunder at the beginning", "en")

    assert _texts(changed)[0] == "thunder"


@pytest.mark.parametrize(
    "change", ["replace the dog with a cat", "a cat instead of the dog", "turn the dog into a cat"]
)
def test_a_replaced_sound_gives_way_to_the_other(planner, lexicon, change):
    changed = planner.revise(_street(), change, "en")

    assert _kinds(lexicon, changed) == {"siren", "birds", "cat"}
    assert "dog" not in changed.caption
    assert "cat" in changed.caption


@pytest.mark.parametrize(
    ("change", "count"),
    [("more dogs", 4), ("make the dog bark three times", 3), ("make the dog bark once", 1)],
)
def test_counts_change(planner, lexicon, change, count):
    changed = planner.revise(_scene("a dog barks twice"), change, "en")

    assert [layer.count for layer in changed.layers] == [count]
    assert [mention.shape.count for mention in _mentions(lexicon, changed)] == [count]
    assert changed.caption == "a dog barks"  # which says nothing else


def test_more_birds_are_told_as_more_than_before_again_and_again(planner, lexicon):
    scene, counts = _scene("birds sing"), []
    for _ in range(2):
        scene = planner.revise(scene, "more birds", "en")
        counts.append(_mentions(lexicon, scene)[0].shape.count)

    assert counts == [12, 20]


@pytest.mark.parametrize(
    ("texts", "change", "shape"),
    [
        (("rain falls", "a dog barks"), "the rain a bit quieter", {"gain_db": -3.0}),
        (("rain falls", "a dog barks"), "make the rain much louder", {"gain_db": 12.0}),
        (("two knocks on a door",), "three knocks instead of two", {"count": 3}),
        (("a siren wails",), "the siren slightly more distant", {"distance": 0.35}),
        (("footsteps on gravel",), "make the footsteps faster", {"pace": "fast"}),
        (("fast footsteps on gravel",), "make the footsteps faster", {"pace": "very fast"}),
        (("fast footsteps on gravel",), "make the footsteps slower", {"pace": "normal"}),
        (("a siren wails",), "the siren from the left", {"pan": -0.8}),
        (("a distant siren wails",), "bring the siren closer", {"distance": 0.1}),
        (("a siren wails nearby",), "the siren closer", {"distance": 0.0}),
    ],
)
def test_shape_is_set_on_the_layer_and_its_words_stay(planner, lexicon, texts, change, shape):
    scene = _scene(*texts)

    changed = planner.revise(scene, change, "en")

    first, *others = changed.layers
    assert first.model_dump(exclude_none=True, exclude={"kind", "text"}) == shape
    assert tuple(others) == scene.layers[1:]
    assert _kinds(lexicon, changed) == _kinds(lexicon, scene)


def test_turned_again_and_again_goes_to_the_end_of_its_range_and_no_further(planner):
    scene = _scene("rain falls")
    for _ in range(2):
        scene = planner.revise(scene, "louder rain", "en")

    assert scene.layers[0].gain_db == 12
    with pytest.raises(BadInput, match="cannot be told any louder"):
        planner.revise(scene, "louder rain", "en")


@pytest.mark.parametrize("texts", [(), ("a siren wails while a dog barks",)])
def test_sound_without_a_layer_to_itself_is_reworded(planner, texts):
    scene = _scene(*texts, caption="a siren wails while a dog barks")

    changed = planner.revise(scene, "make the siren more distant", "en")

    assert changed.caption == "a distant siren wails while a dog barks"
    assert _texts(changed) == [changed.caption] * len(texts)


def test_a_motion_told_in_the_change_is_heard(planner, lexicon):
    changed = planner.revise(_street(), "make the siren pass by", "en")

    assert lexicon.read(changed.caption, "en").mentions[0].shape.motion == "passing"
    assert lexicon.read(_texts(changed)[0], "en").mentions[0].shape.motion == "passing"


@pytest.mark.parametrize(
    ("change", "duration_s"),
    [
        ("make it longer", 10.0),
        ("5 seconds longer", 13.0),
        ("five seconds longer", 13.0),
        ("2 s shorter", 6.0),
        ("12 s", 12.0),
        ("make it 12 seconds", 12.0),
        ("half as long", 4.0),
    ],
)
def test_durations_change_only_when_asked_and_exactly(planner, change, duration_s):
    changed = planner.revise(_street(), change, "en")

    assert changed.samples == round(duration_s * SAMPLE_RATE)
    assert changed.caption == _street().caption


@pytest.mark.parametrize("change", ["the siren in a cave", "play it in a cave"])
def test_a_place_told_in_the_change_is_heard(planner, lexicon, change):
    changed = planner.revise(_street(), change, "en")

    assert lexicon.read(changed.caption, "en").room == "cave"
    assert changed.caption.endswith(", in a cave")


def test_spoken_lines_are_made_louder_by_their_gain(planner):
    line = SpeechLayer(words="Hi.", speaker="Anna")
    scene = SubEvent(caption='Anna says "Hi."', duration_s=4, layers=(line,))

    changed = planner.revise(scene, "make it louder", "en")

    assert changed.layers == (line.model_copy(update={"gain_db": 6.0}),)
    assert changed.caption == scene.caption


def test_two_changes_in_one_sentence_are_both_made(planner):
    changed = planner.revise(
        _street(), "make the siren more distant and remove the birds, 5 seconds longer", "en"
    )

    assert changed.caption == "A siren wails while a dog barks twice"
    assert changed.layers[0].distance == 0.7


def test_a_line_is_changed_in_the_layer_and_in_the_caption(planner):
    line = SpeechLayer(words="Come in.", speaker="Anna")
    scene = SubEvent(caption='Anna says, "Come in."', duration_s=4, layers=(line,))

    for change in ('change the line to "Go away."', 'Anna says "Go away."', "Anna says Go away."):
        changed = planner.revise(scene, change, "en")
        assert changed.layers == (line.model_copy(update={"words": "Go away."}),)
        assert changed.caption == 'Anna says, "Go away."'


def test_a_line_of_someone_who_was_silent_is_added(planner):
    changed = planner.revise(_street(), 'Ben whispers "Run."', "en")

    assert changed.layers[-1] == SpeechLayer(words="Run.", speaker="Ben", manner="whispering")
    assert "Run." in changed.caption


@pytest.mark.parametrize(
    "change",
    ["", "blah blah", "make it colder", "no cows", "add a zorgle", "replace the cow with a cat",
     "make the truck louder", 'change the line to "Stop"', "shorten it by 20 seconds"],
)  # fmt: skip
def test_what_cannot_be_done_is_said_and_what_is_there_is_listed(planner, change):
    with pytest.raises(BadInput) as caught:
        planner.revise(_street(), change, "en")

    assert caught.value.field == "change"
    if "cow" in change or "truck" in change:
        assert "siren wails" in caught.value.problem


def test_the_last_sound_is_not_removed(planner):
    with pytest.raises(BadInput, match="nothing to hear"):
        planner.revise(_scene("a siren wails"), "remove the siren", "en")


def test_a_sound_of_the_place_itself_is_not_removed(planner):
    with pytest.raises(BadInput, match="belongs to the place"):
        planner.revise(_scene("the forest", "birds sing", "a dog barks"), "no birds", "en")


def test_a_place_stays_when_its_last_sound_is_removed(planner, lexicon):
    scene = _scene("a harbor", "a dog barks", caption="In a harbor, a dog barks")

    changed = planner.revise(scene, "remove the dog", "en")

    assert _texts(changed) == ["a harbor"]
    assert changed.caption == "In a harbor"
    assert lexicon.read(changed.caption, "en").ambience


def test_a_sound_that_cannot_go_further_is_refused(planner):
    scene = _scene("a siren sounds")
    for _ in range(2):
        scene = planner.revise(scene, "more distant siren", "en")

    with pytest.raises(BadInput):
        planner.revise(scene, "more distant siren", "en")


@pytest.mark.parametrize(
    ("language", "texts", "change", "kind", "field", "sign"),
    [
        ("es", ("Una sirena suena", "un perro ladra"), "la sirena más lejos", "siren", "distance", 1),
        ("es", ("Una sirena suena", "un perro ladra"), "haz el perro más fuerte", "dog", "gain_db", 1),
        ("es", ("Una sirena a lo lejos", "un perro ladra"), "la sirena más cerca", "siren", "distance", -1),
        ("es", ("Una sirena suena", "un perro ladra"), "el perro más bajo", "dog", "gain_db", -1),
        ("fr", ("Une sirène hurle", "un chien aboie"), "rends la sirène plus lointaine", "siren", "distance", 1),
        ("fr", ("Une sirène hurle", "un chien aboie"), "le chien plus fort", "dog", "gain_db", 1),
        ("fr", ("Une sirène au loin", "un chien aboie"), "la sirène plus près", "siren", "distance", -1),
        ("fr", ("Une sirène hurle", "un chien aboie"), "le chien moins fort", "dog", "gain_db", -1),
        ("de", ("Eine Sirene heult", "ein Hund bellt"), "die Sirene weiter weg", "siren", "distance", 1),
        ("de", ("Eine Sirene heult", "ein Hund bellt"), "mach den Hund lauter", "dog", "gain_db", 1),
        ("de", ("Eine Sirene in der Ferne", "ein Hund bellt"), "die Sirene näher", "siren", "distance", -1),
        ("de", ("Eine Sirene heult", "ein Hund bellt"), "den Hund leiser", "dog", "gain_db", -1),
        ("zh", ("警笛响起", "狗叫"), "让警笛更远", "siren", "distance", 1),
        ("zh", ("警笛响起", "狗叫"), "狗叫更响", "dog", "gain_db", 1),
        ("zh", ("远处警笛响起", "狗叫"), "警笛更近", "siren", "distance", -1),
        ("zh", ("警笛响起", "狗叫"), "狗叫小声一点", "dog", "gain_db", -1),
        ("ja", ("サイレンが鳴る", "犬が吠える"), "サイレンをもっと遠くに", "siren", "distance", 1),
        ("ja", ("サイレンが鳴る", "犬が吠える"), "犬をもっと大きく", "dog", "gain_db", 1),
        ("ja", ("遠くのサイレンが鳴る", "犬が吠える"), "サイレンをもっと近くに", "siren", "distance", -1),
        ("ja", ("サイレンが鳴る", "犬が吠える"), "犬を静かに", "dog", "gain_db", -1),
        ("es", ("Una sirena suena", "un perro ladra"), "make the siren more distant", "siren", "distance", 1),
        ("ja", ("サイレンが鳴る", "犬が吠える"), "make the dog quieter", "dog", "gain_db", -1),
    ],
)  # fmt: skip
def test_every_language_moves_its_sounds(
    planner, lexicon, language, texts, change, kind, field, sign
):
    joiner = "、" if language == "ja" else "，" if language == "zh" else ", "
    scene = _scene(*texts, caption=joiner.join(texts))

    changed = planner.revise(scene, change, language)

    def figures(event):
        mentions = [one for one in _mentions(lexicon, event, language) if one.kind == kind]
        return [getattr(one.trim if field == "gain_db" else one.shape, field) for one in mentions]

    pairs = zip(figures(scene), figures(changed), strict=True)
    assert all((after - before) * sign > 0 for before, after in pairs)
    assert _kinds(lexicon, changed, language) == {"siren", "dog"}


@pytest.mark.parametrize(
    ("language", "texts", "change", "kinds"),
    [
        ("es", ("Una sirena suena", "un perro ladra"), "quita el perro", {"siren"}),
        ("es", ("Una sirena suena", "un perro ladra"), "añade truenos", {"siren", "dog", "thunder"}),
        ("es", ("Una sirena suena", "un perro ladra"), "sustituye el perro por un gato", {"siren", "cat"}),
        ("fr", ("Une sirène hurle", "un chien aboie"), "sans chien", {"siren"}),
        ("fr", ("Une sirène hurle", "un chien aboie"), "ajoute du tonnerre", {"siren", "dog", "thunder"}),
        ("fr", ("Une sirène hurle", "un chien aboie"), "remplace le chien par un chat", {"siren", "cat"}),
        ("de", ("Eine Sirene heult", "ein Hund bellt"), "entferne den Hund", {"siren"}),
        ("de", ("Eine Sirene heult", "ein Hund bellt"), "füge Donner hinzu", {"siren", "dog", "thunder"}),
        ("de", ("Eine Sirene heult", "ein Hund bellt"), "ersetze den Hund durch eine Katze", {"siren", "cat"}),
        ("zh", ("警笛响起", "狗叫"), "去掉狗叫", {"siren"}),
        ("zh", ("警笛响起", "狗叫"), "添加雷声", {"siren", "dog", "thunder"}),
        ("ja", ("サイレンが鳴る", "犬が吠える"), "犬を削除して", {"siren"}),
        ("ja", ("サイレンが鳴る", "犬が吠える"), "雷を追加して", {"siren", "dog", "thunder"}),
    ],
)  # fmt: skip
def test_every_language_removes_adds_and_replaces(planner, lexicon, language, texts, change, kinds):
    joiner = "、" if language == "ja" else "，" if language == "zh" else ", "
    scene = _scene(*texts, caption=joiner.join(texts))

    changed = planner.revise(scene, change, language)

    assert _kinds(lexicon, changed, language) == kinds
    told = {one.kind for one in lexicon.read(changed.caption, language).mentions}
    assert told == kinds


def _planned(planner: Clauses, *remarks: str, duration_s: float | None = None):
    plan = planner.plan(Brief(STORY, duration_s=duration_s, remarks=remarks))
    assert sum(event.samples for event in plan.sub_events) == plan.samples
    return plan


@pytest.mark.parametrize(
    ("remark", "at", "factor"),
    [("shorter intro", 0, 0.8), ("make scene 3 longer", 2, 1.25), ("longer ending", 3, 1.25)],
)
def test_a_remark_makes_one_scene_longer_or_shorter(planner, remark, at, factor):
    before, after = _planned(planner), _planned(planner, remark)

    for number, (old, new) in enumerate(zip(before.sub_events, after.sub_events, strict=True)):
        wanted_s = old.duration_s * (factor if number == at else 1)
        assert new.duration_s == pytest.approx(wanted_s, abs=1 / SAMPLE_RATE)


def test_a_total_that_was_asked_for_stays_whatever_a_remark_changes(planner):
    plan = _planned(planner, "scene 2 should be 10 seconds", duration_s=60)

    assert plan.duration_s == 60
    assert plan.sub_events[1].duration_s == 10


def test_the_total_can_be_remarked_on(planner):
    assert _planned(planner, "the total should be 60 seconds").duration_s == 60
    assert _planned(planner, "the total should be 45 s", duration_s=60).duration_s == 45


def test_scenes_are_added_removed_merged_and_swapped(planner):
    captions = [event.caption for event in _planned(planner).sub_events]

    def told(remark):
        return [event.caption for event in _planned(planner, remark).sub_events]

    assert told("add a scene with thunder at the end") == [*captions, "thunder"]
    assert told("add a scene with thunder before scene 2")[1] == "thunder"
    assert told("remove scene 4") == captions[:3]
    assert told("swap scenes 1 and 2") == [captions[1], captions[0], *captions[2:]]
    assert told("merge scenes 2 and 3")[1] == f"{captions[1]}. {captions[2]}"


def test_a_remark_changes_the_scene_it_names_or_speaks_of(planner):
    plan = _planned(planner, "more birds in scene 1", "the train is too loud")

    assert plan.sub_events[0].layers[0].count == 12
    assert plan.sub_events[1].layers[0].gain_db == -6
    assert plan.notes == ()


@pytest.mark.parametrize(
    "remark",
    ["remove scene 9", "more jazz hands", "swap scenes 1 and 7", "merge scenes 1 and 3",
     "scene 2 should be 0.1 seconds", "the total should be 90 hours"],
)  # fmt: skip
def test_a_remark_that_cannot_be_used_is_a_note_and_changes_nothing(planner, remark):
    plan = _planned(planner, remark)

    assert plan.sub_events == _planned(planner).sub_events
    assert len(plan.notes) == 1
    assert plan.notes[0].startswith(f"The remark “{remark}” could not be used: ")


def test_a_scene_made_longer_than_a_clip_goes_on_in_another(planner):
    plan = _planned(planner, "scene 2 should be 70 seconds")

    parts = [event for event in plan.sub_events if "train" in event.caption]
    assert sum(part.samples for part in parts) == 70 * SAMPLE_RATE
    assert [part.continues for part in parts] == [False, True, True]
    assert all(part.duration_s <= 30 for part in parts)
