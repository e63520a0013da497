"""The difference of two revisions reads as what was done."""

from audiostory_core.story.editing import (
    Delete,
    Edit,
    Insert,
    Move,
    Reshape,
    Reword,
    Total,
    apply,
    diff,
    plan_of,
)
from audiostory_core.story.limits import SceneLimits
from audiostory_core.story.plan import SoundKind, SoundLayer, SpeechLayer, StoryPlan, SubEvent

_CAPTIONS = ("Rain falls on a tin roof.", "A siren wails close by.", "警笛が近くで鳴る。")
_SIREN = SoundLayer(kind=SoundKind.SFX, text="siren")


def _plan() -> StoryPlan:
    events = tuple(
        SubEvent(caption=caption, duration_s=4.0, layers=(_SIREN,)) for caption in _CAPTIONS
    )
    return StoryPlan(instruction="A night.", language="en", duration_s=12.0, sub_events=events)


def _diff(*edits: Edit) -> list[str]:
    before = _plan()
    drafts = apply(before, edits, total=Total.MOVE, limits=SceneLimits(story_s=30.0))
    lineage = [f"new {at}" if one.origin is None else one.origin for at, one in enumerate(drafts)]
    return diff(before, plan_of(before, drafts), range(3), lineage).splitlines()


def test_equal_plans_have_no_differences():
    assert _diff() == ["No differences."]


def test_changed_words_are_marked_within_the_caption():
    layers = (_SIREN, SpeechLayer(words="Down!", speaker="Mira", manner="hoarse"))
    caption = "A siren wails far away."

    assert _diff(
        Reword(sub_event=2, caption=caption, layers=layers, tone="tense", duration_s=5)
    ) == [
        "Scenes: 3. Total: 12 s → 13 s.",
        "~ 2: “A siren wails close by.”",
        "    caption: A siren wails [-close-]{+far+} [-by-]{+away+}.",
        "    duration: 4 s → 5 s",
        "    tone: neutral → tense",
        "    layers:",
        "        + Mira (hoarse): “Down!”",
    ]


def test_text_without_spaces_is_compared_by_character():
    layers = (_SIREN,)

    assert _diff(Reword(sub_event=3, caption="警笛が遠くで鳴る。", layers=layers))[2:] == [
        "    caption: 警笛が[-近-]{+遠+}くで鳴る。"
    ]


def test_a_caption_told_anew_is_shown_whole():
    assert _diff(Reword(sub_event=1, caption="Wind.", layers=(_SIREN,)))[2:] == [
        "    caption: [-Rain falls on a tin roof.-]{+Wind.+}"
    ]


def test_added_removed_and_moved_scenes_are_told_with_both_numbers():
    wind = Insert(at=1, caption="Wind.", duration_s=2.5, tone="calm", layers=(_SIREN,))

    assert _diff(Delete(sub_event=1), wind) == [
        "Scenes: 3. Total: 12 s → 10.5 s.",
        "+ 1 added, 2.5 s: “Wind.”",
        "    tone: calm",
        "    + sfx: siren",
        "- 1 removed, 4 s: “Rain falls on a tin roof.”",
    ]
    assert _diff(Move(sub_event=1, to=3)) == [
        "Scenes: 3. Total: 12 s.",
        "~ 3 (was 1): “Rain falls on a tin roof.”",
        "    moved from 1 to 3",
    ]


def test_a_scene_pushed_along_by_another_is_not_called_moved():
    told = _diff(Insert(at=1, caption="Wind.", duration_s=2.0))

    assert told == ["Scenes: 3 → 4. Total: 12 s → 14 s.", "+ 1 added, 2 s: “Wind.”"]


def test_a_difference_of_a_sample_is_seen():
    told = _diff(Reword(sub_event=1, duration_s=4 + 1 / 44_100))

    assert "    duration: 4 s (+1 samples)" in told


def test_shapes_are_told_in_figures_beside_their_layer():
    quiet = _SIREN.model_copy(update={"gain_db": -6, "pan": 0.5})
    before = _plan().model_copy(
        update={
            "sub_events": tuple(
                event.model_copy(update={"layers": (quiet,)}) for event in _plan().sub_events
            )
        }
    )
    drafts = apply(
        before,
        [Reshape(sub_event=2, layer=1, gain_db=-9, count=3, clear=["pan"])],
        total=Total.MOVE,
        limits=SceneLimits(story_s=30.0),
    )

    assert diff(before, plan_of(before, drafts), range(3), range(3)).splitlines()[1:] == [
        "~ 2: “A siren wails close by.”",
        "    layers:",
        "        sfx: siren: -6 dB → -9 dB, no longer 50% right, 3 times",
    ]


def test_layer_that_is_new_is_told_with_its_shape():
    layers = (_SIREN, SoundLayer(kind=SoundKind.AMBIENCE, text="rain", gain_db=-6, scenes=2))

    assert _diff(Reword(sub_event=2, layers=layers))[2:] == [
        "    layers:",
        "        + ambience: rain (-6 dB, in 2 scenes)",
    ]
