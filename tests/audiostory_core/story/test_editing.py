"""Edits of a plan: exact durations, kept lineage, and what they cost."""

import math

import pytest

from audiostory_core.errors import BadInput
from audiostory_core.story.editing import (
    Delete,
    Draft,
    Edit,
    Insert,
    Merge,
    Move,
    Reason,
    Reshape,
    Reword,
    Split,
    Total,
    apply,
    plan_of,
    preview,
    read_edits,
)
from audiostory_core.story.limits import SceneLimits
from audiostory_core.story.plan import (
    CastMember,
    Layer,
    SoundKind,
    SoundLayer,
    SpeechLayer,
    StoryPlan,
    SubEvent,
    seconds_of,
)

_LONGEST_S = 30.0
_RAIN = SoundLayer(kind=SoundKind.AMBIENCE, text="rain on tin roofs")
_WALTZ = SoundLayer(kind=SoundKind.MUSIC, text="a waltz")
_SIREN = SoundLayer(kind=SoundKind.SFX, text="a siren wails")
_LINE = SpeechLayer(words="Get down!", speaker="Mira")


def _plan(*sub_events: SubEvent) -> StoryPlan:
    total = seconds_of(sum(event.samples for event in sub_events))
    return StoryPlan(instruction="A night.", language="en", duration_s=total, sub_events=sub_events)


def _scenes(*durations_s: float, **told) -> StoryPlan:
    return _plan(
        *(
            SubEvent(caption=f"Scene {number}.", duration_s=duration_s, **told)
            for number, duration_s in enumerate(durations_s, 1)
        )
    )


def _keep(plan: StoryPlan, *edits: Edit) -> list[Draft]:
    return apply(plan, edits, total=Total.KEEP, limits=SceneLimits(story_s=_LONGEST_S))


def _move(plan: StoryPlan, *edits: Edit) -> list[Draft]:
    return apply(plan, edits, total=Total.MOVE, limits=SceneLimits(story_s=_LONGEST_S))


def _durations(drafts: list[Draft]) -> list[float]:
    return [draft.event.duration_s for draft in drafts]


def _refused(plan: StoryPlan, *edits: Edit, total: Total = Total.KEEP) -> BadInput:
    with pytest.raises(BadInput) as refusal:
        apply(plan, edits, total=total, limits=SceneLimits(story_s=_LONGEST_S))
    return refusal.value


# Durations.


def test_a_kept_total_is_shared_by_the_others_in_proportion():
    drafts = _keep(_scenes(6.0, 2.0, 4.0), Reword(sub_event=1, duration_s=3.0))

    assert _durations(drafts) == [3.0, 3.0, 6.0]
    assert all(draft.is_reworded for draft in drafts)


def test_a_share_that_would_be_too_short_is_held_at_the_shortest():
    drafts = _keep(_scenes(6.0, 1.0, 9.0), Reword(sub_event=1, duration_s=13.0))

    assert _durations(drafts) == [13.0, 0.5, 2.5]


def test_a_total_that_may_move_becomes_the_sum():
    drafts = _move(_scenes(6.0, 2.0), Reword(sub_event=2, duration_s=5.0))

    assert _durations(drafts) == [6.0, 5.0]
    assert [draft.is_reworded for draft in drafts] == [False, True]


def test_durations_set_by_the_author_are_not_shared_away():
    drafts = _keep(
        _scenes(4.0, 4.0, 4.0),
        Insert(at=1, caption="Wind.", duration_s=2.0),
        Reword(sub_event=2, duration_s=5.0),
        Split(sub_event=3, at_s=1.0),
    )

    assert _durations(drafts) == [2.0, 5.0, 1.0, 3.0, 1.0]


def test_a_duration_set_by_the_author_stays_so_when_merged():
    plan = _scenes(4.0, 4.0, 8.0)

    drafts = _keep(plan, Reword(sub_event=2, duration_s=6.0), Merge(sub_event=1))

    assert _durations(drafts) == [10.0, 6.0]


def test_the_longest_scene_is_never_exceeded_by_a_part_of_a_sample():
    longest_s = 10.00002  # 441000.88 samples
    edit = Reword(sub_event=1, duration_s=longest_s)

    with pytest.raises(BadInput):
        apply(_scenes(4.0), [edit], total=Total.MOVE, limits=SceneLimits(story_s=longest_s))


def test_a_kept_total_that_cannot_be_kept_says_what_can_be():
    refusal = _refused(_scenes(5.0, 5.0, 5.0), Reword(sub_event=2, duration_s=14.5))

    assert refusal.field == "edits.1.duration_s"
    assert refusal.remedy == "Give 0.5 to 14 s, or let the total move."


def test_deleting_more_than_the_others_can_take_up_is_refused():
    refusal = _refused(_scenes(30.0, 30.0), Delete(sub_event=1))

    assert refusal.field == "edits.1"
    assert "30 s" in refusal.problem


def test_a_moved_total_stays_a_story():
    refusal = _refused(_scenes(0.5, 0.5, 0.5), *[Delete(sub_event=1)] * 2, total=Total.MOVE)

    assert refusal.field == "edits.2"
    assert refusal.value == 0.5


def test_a_scene_that_cannot_be_made_at_once_is_refused_only_if_it_is_made_again():
    plan = _scenes(40.0, 10.0)

    _move(plan, Reword(sub_event=2, caption="Wind."))
    refusal = _refused(plan, Reword(sub_event=1, caption="Wind."), total=Total.MOVE)

    assert refusal.field == "edits.1"
    assert "30 s" in refusal.problem


def test_a_scene_may_be_as_long_as_the_engine_that_makes_it_can():
    plan = _scenes(30.0, 25.0)
    limits = SceneLimits(
        story_s=30.0, by_engine={"short": 20.0, "long": 60.0}, engines=("long", "short")
    )

    def edited(*edits: Edit) -> list[Draft]:
        return apply(plan, edits, total=Total.MOVE, limits=limits)

    def refusal(*edits: Edit) -> BadInput:
        with pytest.raises(BadInput) as refused:
            edited(*edits)
        return refused.value

    assert _durations(edited(Reword(sub_event=1, duration_s=60.0))) == [60.0, 25.0]
    assert refusal(Reword(sub_event=2, caption="Wind.")).field == "edits.1"
    assert refusal(Reword(sub_event=1, engine="short")).field == "edits.1"
    assert "20 s" in refusal(Reword(sub_event=1, engine="short", duration_s=21.0)).problem
    assert refusal(Insert(at=1, caption="Sea.", duration_s=31.0)).field == "edits.1.duration_s"
    assert len(edited(Insert(at=1, caption="Sea.", duration_s=31.0, engine="long"))) == 3
    assert _durations(edited(Merge(sub_event=1))) == [55.0]


def test_a_merged_scene_may_be_longer_than_can_be_made_until_it_is_split_elsewhere():
    plan = _scenes(20.0, 20.0)
    merge = Merge(sub_event=1)

    drafts = _keep(plan, merge, Split(sub_event=1, at_s=15.0))

    assert _durations(drafts) == [15.0, 25.0]
    assert _refused(plan, merge).field == "edits.1"


# Wording.


def test_a_new_caption_speaks_for_itself_but_keeps_the_spoken_lines():
    [draft] = _keep(_scenes(4.0, layers=(_SIREN, _LINE)), Reword(sub_event=1, caption="Hail."))

    assert draft.event.caption == "Hail."
    assert draft.event.layers == (_LINE,)


def test_rewording_with_what_is_already_there_changes_nothing():
    plan = _scenes(4.0, 5.0, layers=(_SIREN,))
    event = plan.sub_events[0]

    drafts = _keep(
        plan,
        Reword(sub_event=1, caption=event.caption, tone=event.tone, duration_s=4.0),
        Move(sub_event=1, to=1),
    )

    assert [draft.is_reworded for draft in drafts] == [False, False]
    assert plan_of(plan, drafts) == plan


@pytest.mark.parametrize(
    "asked",
    [
        {"seed": 7},
        {"engine": "dasheng"},
        {"cast": (CastMember(name="Mira"),)},
        {"change": "make the siren more distant"},
    ],
)
def test_what_is_asked_of_a_sub_event_is_carried_by_its_draft(asked):
    drafts = _keep(_scenes(4.0, 4.0), Reword(sub_event=2, **asked), Move(sub_event=2, to=1))

    assert drafts[0].is_reworded
    assert {name: getattr(drafts[0], name) for name in asked} == asked
    assert not drafts[1].is_reworded


def test_changes_in_plain_words_of_one_sub_event_are_told_in_order():
    louder, longer = (Reword(sub_event=1, change=told) for told in ("louder", "shriller"))

    [draft] = _keep(_scenes(4.0), louder, longer)

    assert draft.change == "louder; shriller"


def test_plain_words_beside_a_caption_are_refused():
    edit = Reword(sub_event=1, caption="Hail.", change="louder")

    assert _refused(_scenes(4.0), edit).field == "edits.1.change"


# Structure.


def test_numbers_refer_to_the_plan_after_the_edits_before():
    drafts = _move(
        _scenes(2.0, 3.0, 4.0),
        Delete(sub_event=1),
        Insert(at=1, caption="Wind.", duration_s=1.0),
        Move(sub_event=3, to=1),
    )

    assert [draft.origin for draft in drafts] == [2, None, 1]


def test_a_split_without_captions_keeps_the_beds_in_both_parts():
    layers = (_RAIN, _SIREN, _LINE, _WALTZ)

    first, second = _keep(_scenes(4.0, layers=layers), Split(sub_event=1, at_s=1.5))

    assert (first.origin, second.origin, second.inherits) == (0, None, 0)
    assert (first.event.layers, second.event.layers) == (layers, (_RAIN, _WALTZ))
    assert (first.event.continues, second.event.continues) == (False, True)
    assert first.event.caption == second.event.caption


def test_a_split_with_captions_lets_them_speak():
    edit = Split(sub_event=1, at_s=1.5, captions=("Rain.", "Hail."))

    first, second = _keep(_scenes(4.0, layers=(_RAIN, _LINE)), edit)

    assert (first.event.caption, second.event.caption) == ("Rain.", "Hail.")
    assert (first.event.layers, second.event.layers) == ((_LINE,), ())


def test_merging_joins_captions_durations_and_layers():
    plan = _plan(
        SubEvent(caption="Rain falls", duration_s=2.0, layers=(_RAIN, _SIREN)),
        SubEvent(caption="Mira shouts.", duration_s=3.0, tone="tense", layers=(_RAIN, _LINE)),
    )

    [draft] = _keep(plan, Merge(sub_event=1))

    assert draft.origin == 0
    assert draft.event == SubEvent(
        caption="Rain falls. Mira shouts.",
        duration_s=5.0,
        tone="tense",
        layers=(_RAIN, _SIREN, _LINE),
    )


def test_merging_loses_no_sub_event_that_only_its_caption_tells():
    plan = _plan(
        SubEvent(caption="雨", duration_s=2.0, layers=(_RAIN,)),
        SubEvent(caption="犬が吠える", duration_s=2.0),
    )

    [draft] = _keep(plan, Merge(sub_event=1))

    assert draft.event.caption == "雨。犬が吠える"
    assert draft.event.layers == (_RAIN, SoundLayer(kind=SoundKind.SFX, text="犬が吠える"))


def _continued() -> StoryPlan:
    return _plan(
        SubEvent(caption="Rain.", duration_s=20.0),
        SubEvent(caption="Rain.", duration_s=20.0, continues=True),
        SubEvent(caption="Rain.", duration_s=20.0, continues=True),
        SubEvent(caption="Wind.", duration_s=5.0),
    )


@pytest.mark.parametrize(
    ("edit", "continues"),
    [
        (Delete(sub_event=1), [False, True, False]),
        (Delete(sub_event=2), [False, True, False]),
        (Move(sub_event=4, to=2), [False, False, False, True]),
        (Move(sub_event=3, to=4), [False, True, False, False]),
        (Insert(at=3, caption="Hail.", duration_s=1.0), [False, True, False, False, False]),
        (Split(sub_event=2, at_s=5.0), [False, True, True, True, False]),
        (Merge(sub_event=3), [False, True, True]),
    ],
)
def test_a_sub_event_continues_only_the_scene_it_follows(edit, continues):
    drafts = _move(_continued(), *([edit] if edit.op != "merge" else _short_and(edit)))

    assert [draft.event.continues for draft in drafts] == continues


def _short_and(edit: Merge) -> list[Edit]:
    return [Reword(sub_event=3, duration_s=5.0), edit]


def test_a_merged_scene_is_continued_by_what_continued_its_end():
    plan = _plan(
        SubEvent(caption="Wind.", duration_s=5.0),
        SubEvent(caption="Rain.", duration_s=20.0),
        SubEvent(caption="Rain.", duration_s=20.0, continues=True),
    )

    merged = _move(plan, Merge(sub_event=1))
    split_again = _move(plan, Merge(sub_event=1), Split(sub_event=1, at_s=9.0))

    assert [draft.event.continues for draft in merged] == [False, True]
    assert [draft.event.continues for draft in split_again] == [False, True, True]


def test_a_scene_that_only_ceases_to_continue_keeps_its_clip():
    drafts = _move(_continued(), Insert(at=2, caption="Hail.", duration_s=1.0))

    assert not drafts[2].event.continues
    assert not drafts[2].is_reworded


# What it costs.


def _reasons(plan: StoryPlan, *edits: Edit, follow: bool = False) -> list[Reason | None]:
    return [one.reason for one in preview(plan, _move(plan, *edits), follow=follow)]


def test_rewording_one_scene_costs_its_clip_alone():
    edit = Reword(sub_event=2, caption="Wind.")

    assert _reasons(_scenes(2.0, 2.0, 2.0), edit) == [None, Reason.REWORDED, None]


def test_what_follows_is_conditioned_again_if_asked():
    edit = Reword(sub_event=2, caption="Wind.")

    assert _reasons(_scenes(2.0, 2.0, 2.0, 2.0), edit, follow=True) == [
        None,
        Reason.REWORDED,
        Reason.FOLLOWS,
        Reason.FOLLOWS,
    ]


def test_what_follows_a_deleted_scene_is_conditioned_again_if_asked():
    reasons = _reasons(_scenes(2.0, 2.0, 2.0), Delete(sub_event=2), follow=True)

    assert reasons == [None, Reason.FOLLOWS, Reason.DELETED]


def test_a_scene_that_becomes_the_last_is_made_again():
    reasons = _reasons(_scenes(2.0, 2.0, 2.0), Delete(sub_event=3))

    assert reasons == [None, Reason.BECOMES_LAST, Reason.DELETED]


def test_a_scene_that_stops_being_the_last_is_made_again():
    reasons = _reasons(_scenes(2.0, 2.0), Insert(at=3, caption="Wind.", duration_s=2.0))

    assert reasons == [None, Reason.STOPS_BEING_LAST, Reason.NEW]


def test_swapping_the_last_two_scenes_makes_both_again():
    reasons = _reasons(_scenes(2.0, 2.0, 2.0), Move(sub_event=3, to=2))

    assert reasons == [None, Reason.STOPS_BEING_LAST, Reason.BECOMES_LAST]


# Refusals.


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        (Reword(sub_event=3), "edits.1.sub_event"),
        (Reword(sub_event=1, duration_s=31.0), "edits.1.duration_s"),
        (Insert(at=4, caption="Wind.", duration_s=1.0), "edits.1.at"),
        (Insert(at=1, caption="Wind.", duration_s=31.0), "edits.1.duration_s"),
        (Delete(sub_event=9), "edits.1.sub_event"),
        (Move(sub_event=1, to=3), "edits.1.to"),
        (Split(sub_event=1, at_s=3.9), "edits.1.at_s"),
        (Merge(sub_event=2), "edits.1.sub_event"),
    ],
)
def test_an_edit_that_does_not_fit_the_plan_names_its_field(edit, field):
    assert _refused(_scenes(4.0, 4.0), edit).field == field


@pytest.mark.parametrize("edit", [Delete(sub_event=1), Merge(sub_event=1)])
def test_the_only_sub_event_can_be_neither_deleted_nor_merged(edit):
    assert _refused(_scenes(4.0), edit).field == "edits.1.sub_event"


@pytest.mark.parametrize(
    ("given_edits", "field"),
    [
        ([{"op": "delete", "sub_event": 0}], "edits.1.sub_event"),
        ([{"op": "delete", "sub_event": 1}, {"op": "cut"}], "edits.2"),
        ([{}], "edits.1"),
        (["delete"], "edits.1"),
        ("delete", "edits"),
        ([{"op": "reword", "sub_event": 1, "caption": " \n"}], "edits.1.caption"),
        ([{"op": "reword", "sub_event": 1, "change": "a\x00b"}], "edits.1.change"),
        ([{"op": "reword", "sub_event": 1, "tone": "\ud800"}], "edits.1.tone"),
        ([{"op": "reword", "sub_event": 1, "duration_s": math.nan}], "edits.1.duration_s"),
        ([{"op": "reword", "sub_event": 1, "seed": 2**63}], "edits.1.seed"),
        (
            [{"op": "reword", "sub_event": 1, "layers": [{"kind": "speech"}]}],
            "edits.1.layers.1.words",
        ),
        (
            [{"op": "split", "sub_event": 1, "at_s": 1, "captions": ["a", ""]}],
            "edits.1.captions.2",
        ),
    ],
)
def test_what_is_no_edit_is_refused_by_the_name_of_its_field(given_edits, field):
    with pytest.raises(BadInput) as refusal:
        read_edits(given_edits)

    assert refusal.value.field == field


def test_layers_keep_their_kinds_through_the_edits():
    layers: tuple[Layer, ...] = (_RAIN, _LINE)
    [edit] = read_edits([Reword(sub_event=1, layers=layers).model_dump(mode="json")])

    [draft] = _keep(_scenes(4.0), edit)

    assert draft.event.layers == layers


# Shapes.


def test_shape_of_one_layer_is_set_and_cleared_and_the_rest_stays():
    loud = _RAIN.model_copy(update={"gain_db": 3, "pan": 0.5})
    plan = _plan(SubEvent(caption="Rain.", duration_s=4, layers=(_SIREN, loud, _LINE)))

    (draft,) = _move(
        plan,
        Reshape(sub_event=1, layer=2, gain_db=-6, fade_in_s=1.5, clear=["pan"]),
        Reshape(sub_event=1, layer=3, pause_before_s=2),
    )

    rain = SoundLayer(kind="ambience", text="rain on tin roofs", gain_db=-6, fade_in_s=1.5)
    line = SpeechLayer(words="Get down!", speaker="Mira", pause_before_s=2)
    assert draft.event.layers == (_SIREN, rain, line)
    assert draft.is_reworded


def test_shape_that_is_set_already_makes_nothing_again():
    plan = _plan(
        SubEvent(caption="Rain.", duration_s=4, layers=(_RAIN.model_copy(update={"pan": 0.5}),))
    )

    (draft,) = _move(plan, Reshape(sub_event=1, layer=1, pan=0.5))

    assert not draft.is_reworded


@pytest.mark.parametrize(
    ("edit", "field", "problem"),
    [
        ({"layer": 3, "pan": 0}, "layer", "does not exist; sub-event 1 has 2"),
        ({"layer": 1}, "", "changes nothing"),
        ({"layer": 1, "pause_before_s": 1}, "pause_before_s", "means nothing to a sound"),
        ({"layer": 2, "count": 2}, "count", "means nothing to a spoken line"),
        ({"layer": 2, "clear": ["distance"]}, "distance", "means nothing to a spoken line"),
        (
            {"layer": 1, "count": 2, "scenes": 2},
            "",
            "cannot be made: count is 2, but the layer is heard in 2 scenes; leave one of them out",
        ),
    ],
)
def test_shape_that_a_layer_cannot_have_is_refused(edit, field, problem):
    plan = _plan(SubEvent(caption="Rain.", duration_s=4, layers=(_SIREN, _LINE)))

    refusal = _refused(plan, Reshape(sub_event=1, **edit))

    assert refusal.field == ".".join(filter(None, ["edits.1", field]))
    assert refusal.problem == problem
