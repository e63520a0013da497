"""Layers that are heard in several scenes, and layers whose scene is split or merged."""

import pytest

from audiostory_core.story.editing import Total, apply
from audiostory_core.story.edits import Delete, Insert, Merge, Move, Reword, Split
from audiostory_core.story.limits import SceneLimits
from audiostory_core.story.plan import SoundLayer, SpeechLayer, StoryPlan, SubEvent
from audiostory_core.story.spans import heard_layers, layers_in_parts, layers_of_parts, spread

RAIN = SoundLayer(kind="ambience", text="rain", scenes=3, gain_db=-6, fade_in_s=2, fade_out_s=1)
BELL = SoundLayer(kind="sfx", text="a bell")
LINE = SpeechLayer(words="Hi.")


def _plan(*layers):
    events = tuple(
        SubEvent(caption=f"scene {at}", duration_s=4, layers=own) for at, own in enumerate(layers)
    )
    return StoryPlan(
        instruction="a", language="en", duration_s=4.0 * len(events), sub_events=events
    )


def _edited(plan, *edits):
    return apply(plan, edits, total=Total.MOVE, limits=SceneLimits(story_s=30))


def _has_rain(events):
    return ["rain" in [getattr(layer, "text", "") for layer in own] for own in heard_layers(events)]


def test_scenes_that_follow_hear_the_layer_from_their_start_before_their_own():
    first, second, third, fourth = spread(_plan((BELL, RAIN), (BELL,), (), (BELL,))).sub_events

    begun, going_on, ended = first.layers[1], second.layers[0], third.layers[0]
    assert begun == RAIN.model_copy(update={"scenes": None, "fade_out_s": None})
    assert going_on == SoundLayer(kind="ambience", text="rain", gain_db=-6, start_s=0)
    assert ended == going_on.model_copy(update={"fade_out_s": 1})
    assert (first.layers[0], second.layers[1:], fourth.layers) == (BELL, (BELL,), (BELL,))


def test_plan_without_spans_is_the_plan_itself():
    plan = _plan((BELL,), (LINE,))

    assert spread(plan) is plan


def test_layer_that_spans_more_scenes_than_there_are_ends_with_the_story():
    first, second = spread(_plan((RAIN,), ())).sub_events

    assert first.layers[0].fade_out_s is None
    assert second.layers[0].fade_out_s == 1


@pytest.mark.parametrize(
    ("edit", "heard"),
    [
        (Insert(at=2, caption="new", duration_s=2), [1, 1, 1, 1, 0]),
        (Insert(at=4, caption="new", duration_s=2), [1, 1, 1, 0, 0]),
        (Insert(at=1, caption="new", duration_s=2), [0, 1, 1, 1, 0]),
        (Delete(sub_event=2), [1, 1, 0]),
        (Delete(sub_event=1), [0, 0, 0]),
        (Split(sub_event=1, at_s=2), [1, 1, 1, 1, 0]),
        (Split(sub_event=3, at_s=2), [1, 1, 1, 1, 0]),
        (Split(sub_event=4, at_s=2), [1, 1, 1, 0, 0]),
        (Merge(sub_event=1), [1, 1, 0]),
        (Merge(sub_event=2), [1, 1, 0]),
        (Merge(sub_event=3), [1, 1, 1]),
        (Move(sub_event=4, to=1), [0, 1, 1, 1]),
    ],
)
def test_layer_ends_with_the_scene_it_ended_with_whatever_comes_and_goes(edit, heard):
    plan = _plan((RAIN,), (BELL,), (BELL,), (BELL,))

    drafts = _edited(plan, edit)

    assert _has_rain([draft.event for draft in drafts]) == [bool(at) for at in heard]


def test_every_scene_that_a_layer_reaches_no_longer_is_made_again():
    plan = _plan((RAIN,), (BELL,), (BELL,), (BELL,))
    once = RAIN.model_copy(update={"scenes": None})

    drafts = _edited(plan, Reword(sub_event=1, layers=(once,)))

    assert [draft.is_reworded for draft in drafts] == [True, True, True, False]


def test_split_gives_each_part_the_ends_and_times_that_lie_in_it():
    bed = SoundLayer(kind="ambience", text="wind", fade_in_s=1, fade_out_s=1)
    early, late = (BELL.model_copy(update={"start_s": start_s}) for start_s in (0.5, 3.0))

    first, second = layers_of_parts((bed, early, late, LINE), 2.0)

    assert first == (bed.model_copy(update={"fade_out_s": None}), early, LINE)
    assert second == (
        bed.model_copy(update={"fade_in_s": None}),
        BELL.model_copy(update={"start_s": 1.0}),
    )


def test_line_with_a_start_moves_as_a_sound_does():
    late = LINE.model_copy(update={"start_s": 3.0})

    first, second = layers_of_parts((LINE, late), 2.0)
    (draft,) = _edited(_plan((LINE, late)), Split(sub_event=1, at_s=2), Merge(sub_event=1))

    assert (first, second) == ((LINE,), (LINE.model_copy(update={"start_s": 1.0}),))
    assert draft.event.layers == (LINE, late)


def test_merge_moves_what_starts_at_a_time_and_joins_what_was_split():
    bed = SoundLayer(kind="ambience", text="wind", fade_in_s=1, fade_out_s=1)
    late = BELL.model_copy(update={"start_s": 3.0})
    plan = _plan((bed, late))

    (draft,) = _edited(plan, Split(sub_event=1, at_s=2), Merge(sub_event=1))

    assert draft.event.layers == (bed, late)
    assert not draft.is_reworded


def test_parts_of_a_long_scene_count_and_fade_once():
    knocks = SoundLayer(kind="sfx", text="knocks", count=3)
    bed = SoundLayer(kind="ambience", text="wind", fade_in_s=1, fade_out_s=2, pan=0.5)

    first, middle, last = layers_in_parts((bed, knocks, LINE, BELL), 3)

    assert first == (bed.model_copy(update={"fade_out_s": None}), knocks, LINE, BELL)
    plain = {"fade_in_s": None, "fade_out_s": None}
    assert middle == (bed.model_copy(update=plain), BELL)
    assert last == (bed.model_copy(update={"fade_in_s": None}), BELL)
