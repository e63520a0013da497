"""What holds for any plan and any edits of it."""

import math
from itertools import pairwise

from hypothesis import assume, given
from hypothesis import strategies as st

from audiostory_core.errors import BadInput
from audiostory_core.story.editing import (
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
    share_samples,
)
from audiostory_core.story.edits import (
    AddLayer,
    Relanguage,
    Relayer,
    RemoveLayer,
    ReshapeAll,
    Swap,
    Voice,
)
from audiostory_core.story.limits import SceneLimits
from audiostory_core.story.plan import (
    SoundKind,
    SoundLayer,
    SpeechLayer,
    StoryPlan,
    SubEvent,
    samples_of,
    seconds_of,
)
from audiostory_core.story.spans import heard_layers

_LONGEST_S = 30.0
_RAIN = SoundLayer(kind=SoundKind.AMBIENCE, text="rain on tin roofs")
_WALTZ = SoundLayer(kind=SoundKind.MUSIC, text="a waltz")
_SIREN = SoundLayer(kind=SoundKind.SFX, text="a siren wails")
_STORM = SoundLayer(kind=SoundKind.AMBIENCE, text="a storm", gain_db=-6, scenes=3)
_DIRGE = SoundLayer(kind=SoundKind.MUSIC, text="a dirge", fade_in_s=2, fade_out_s=1, pan=-0.5)
_LINE = SpeechLayer(words="Get down!", speaker="Mira")


def _plan(*sub_events: SubEvent) -> StoryPlan:
    total = seconds_of(sum(event.samples for event in sub_events))
    return StoryPlan(instruction="A night.", language="en", duration_s=total, sub_events=sub_events)


_SAMPLES = st.integers(samples_of(0.5), samples_of(_LONGEST_S))
_WORDS = st.sampled_from(["rain falls", "A dog barks.", "雨が降る", "der Wind heult", "x"])
_LAYERS = st.lists(st.sampled_from([_RAIN, _WALTZ, _SIREN, _LINE, _STORM, _DIRGE]), max_size=3).map(
    tuple
)


@st.composite
def _plans(draw) -> StoryPlan:
    counts = draw(st.lists(_SAMPLES, min_size=1, max_size=8).filter(lambda c: sum(c) >= 44_100))
    return _plan(
        *(
            SubEvent(
                caption=draw(_WORDS),
                duration_s=seconds_of(count),
                tone=draw(st.sampled_from(["neutral", "tense"])),
                layers=draw(_LAYERS),
                continues=draw(st.booleans()),
            )
            for count in counts
        )
    )


_MORE = {  # edits that leave as many scenes: of a scene and the number of scenes
    Swap: lambda at, scenes: st.builds(Swap, sub_event=st.just(at), other=st.integers(1, scenes)),
    Relayer: lambda at, _: st.builds(
        lambda layer, field: Relayer(sub_event=at, layer=layer, **{field: "calm rain"}),
        st.integers(1, 2),
        st.sampled_from(["text", "words", "manner"]),
    ),
    AddLayer: lambda at, _: st.builds(
        AddLayer,
        sub_event=st.just(at),
        layer=st.sampled_from([_SIREN, _LINE]),
        at=st.none() | st.integers(1, 3),
    ),
    RemoveLayer: lambda at, _: st.builds(
        RemoveLayer, sub_event=st.just(at), layer=st.integers(1, 2)
    ),
    Voice: lambda at, _: st.builds(
        Voice, speaker=st.sampled_from(["Mira", "Ben"]), description=st.just("a woman")
    ),
    Relanguage: lambda *_: st.builds(Relanguage, language=st.sampled_from(["en", "fr"])),
    ReshapeAll: lambda *_: st.builds(
        ReshapeAll, kind=st.sampled_from(["sfx", "speech", None]), gain_db=st.just(-3)
    ),
}


@st.composite
def _edits(draw, scenes: int) -> list[Edit]:
    edits: list[Edit] = []
    seconds = st.floats(0.5, _LONGEST_S)
    for op in draw(st.lists(st.sampled_from(Edit.__origin__.__args__), max_size=6)):
        number = draw(st.integers(1, scenes))
        if op is Insert:
            at, scenes = draw(st.integers(1, scenes + 1)), scenes + 1
            caption, duration_s = draw(_WORDS), draw(seconds)
            edit = Insert(at=at, caption=caption, duration_s=duration_s, layers=draw(_LAYERS))
        elif op is Split:
            captions = draw(st.none() | st.tuples(_WORDS, _WORDS))
            edit = Split(sub_event=number, at_s=draw(st.floats(0.5, 5.0)), captions=captions)
            scenes += 1
        elif op is Move:
            edit = Move(sub_event=number, to=draw(st.integers(1, scenes)))
        elif op is Reword:
            edit = Reword(
                sub_event=number,
                caption=draw(st.none() | _WORDS),
                tone=draw(st.none() | st.just("tense")),
                layers=draw(st.none() | _LAYERS),
                duration_s=draw(st.none() | seconds),
                seed=draw(st.none() | st.integers(0, 9)),
            )
        elif op is Reshape:
            edit = Reshape(
                sub_event=number,
                layer=draw(st.integers(1, 2)),
                gain_db=draw(st.none() | st.floats(-60, 12)),
                scenes=draw(st.none() | st.integers(1, 4)),
                clear=draw(st.lists(st.sampled_from(["pan", "fade_in_s"]), max_size=1)),
            )
        elif op in _MORE:
            edit = draw(_MORE[op](number, scenes))
        elif scenes == 1 or (op is Merge and number == scenes):
            continue
        else:
            edit, scenes = op(sub_event=number), scenes - 1
        edits.append(edit)
    return edits


@st.composite
def _edited(draw) -> tuple[StoryPlan, list[Edit], Total]:
    plan = draw(_plans())
    return plan, draw(_edits(len(plan.sub_events))), draw(st.sampled_from(Total))


def _attempt(plan: StoryPlan, edits: list[Edit], total: Total) -> list[Draft] | BadInput:
    try:
        return apply(plan, edits, total=total, limits=SceneLimits(story_s=_LONGEST_S))
    except BadInput as refusal:
        return refusal


def _made(plan: StoryPlan, edits: list[Edit], total: Total) -> list[Draft]:
    """Return the drafts, or give the example up if its durations do not fit."""
    drafts = _attempt(plan, edits, total)
    assume(isinstance(drafts, list))
    return drafts


@given(_edited())
def test_any_edits_leave_a_plan_whose_durations_add_up_and_fit_the_engine(case):
    plan, edits, total = case
    drafts = _made(plan, edits, total)

    edited = plan_of(plan, drafts)
    counts = [event.samples for event in edited.sub_events]
    assert sum(counts) == edited.samples
    assert tuple(draft.event for draft in drafts) == edited.sub_events
    assert all(samples_of(0.5) <= count <= samples_of(_LONGEST_S) for count in counts)
    assert all(event.duration_s == seconds_of(event.samples) for event in edited.sub_events)
    if total is Total.KEEP:
        assert edited.samples == plan.samples


@given(_edited())
def test_any_edits_keep_lineages_apart_and_the_plan_they_started_from(case):
    plan, edits, total = case
    written = plan.model_dump_json()
    drafts = _made(plan, edits, total)

    origins = [draft.origin for draft in drafts if draft.origin is not None]
    assert len(origins) == len(set(origins))
    assert plan.model_dump_json() == written
    assert drafts == apply(plan, edits, total=total, limits=SceneLimits(story_s=_LONGEST_S))


@given(_edited())
def test_what_no_edit_touched_is_equal_to_the_byte(case):
    plan, edits, total = case
    drafts = _made(plan, edits, total)

    for draft in drafts:
        if draft.origin is not None and not draft.is_reworded:
            was = plan.sub_events[draft.origin]
            follows_as_before = draft.event.continues == was.continues
            kept = (
                draft.event
                if follows_as_before
                else draft.event.model_copy(update={"continues": True})
            )
            assert _without_spans(kept) == _without_spans(was)


def _without_spans(event: SubEvent) -> dict[str, object]:
    written = event.model_dump(mode="json")
    for layer in written["layers"]:
        layer.pop("scenes", None)  # a scene put in or taken out of it makes no clip elsewhere
    return written


@given(_edited())
def test_scene_is_made_again_where_a_layer_of_another_reaches_it_no_longer_or_now(case):
    plan, edits, total = case
    drafts = _made(plan, edits, total)

    before = heard_layers(plan.sub_events)
    after = heard_layers([draft.event for draft in drafts])
    for draft, layers in zip(drafts, after, strict=True):
        if draft.origin is not None and layers != before[draft.origin]:
            assert draft.is_reworded


@given(_edited())
def test_a_preview_tells_each_sub_event_of_both_plans_once(case):
    plan, edits, total = case
    drafts = _made(plan, edits, total)
    told = preview(plan, drafts)
    following = preview(plan, drafts, follow=True)

    assert [one.number for one in told if one.number] == list(range(1, len(drafts) + 1))
    was = sorted(one.was for one in told if one.was)
    assert was == list(range(1, len(plan.sub_events) + 1))
    assert all(
        wider.reason == one.reason or (one.reason is None and wider.reason is Reason.FOLLOWS)
        for one, wider in zip(told, following, strict=True)
    )


@given(st.lists(_SAMPLES, min_size=1, max_size=12), st.floats(0, 1), st.integers(1, 22_050))
def test_shares_are_exact_in_range_and_in_order_of_their_weights(weights, fullness, least):
    most = samples_of(_LONGEST_S)
    total = math.floor(len(weights) * (least + fullness * (most - least)))

    shares = share_samples(weights, total, least, most)

    assert sum(shares) == total
    assert all(least <= share <= most for share in shares)
    pairs = sorted(zip(weights, shares, strict=True))
    assert all(low <= high + 1 for (_, low), (_, high) in pairwise(pairs))
    free = [(w, s) for w, s in pairs if least < s < most]
    assert all(abs(w * t - v * s) <= w + v for w, s in free for v, t in free)
    assert all(w * t <= (s + 1) * v for w, s in pairs if s == least for v, t in free)
    assert all(w * (t + 1) >= s * v for w, s in pairs if s == most for v, t in free)


def test_what_a_share_held_at_the_most_leaves_over_may_lift_another_off_the_least():
    assert share_samples([1, 2, 100], 60, 4, 50) == [4, 6, 50]


def test_what_a_share_held_at_the_least_takes_may_bring_another_below_the_most():
    assert share_samples([1, 60, 70], 100, 20, 50) == [20, 36, 44]


def test_a_share_at_the_end_of_its_range_is_not_rounded_out_of_it():
    assert share_samples([1, 2, 1], 2, 0, 1) == [0, 1, 1]


@given(_plans(), st.floats(0.5, _LONGEST_S))
def test_a_duration_that_a_refusal_offers_is_possible(plan, duration_s):
    refusal = _attempt(plan, [Reword(sub_event=1, duration_s=duration_s)], Total.KEEP)
    if not isinstance(refusal, BadInput):
        return

    assert refusal.field == "edits.1.duration_s"
    offered = refusal.remedy.removeprefix("Give ").partition(" s,")[0]
    for seconds in offered.split(" to "):
        edit = Reword(sub_event=1, duration_s=float(seconds))
        assert isinstance(_attempt(plan, [edit], Total.KEEP), list)


@given(_edited())
def test_any_refusal_names_its_edit(case):
    plan, edits, total = case
    refusal = _attempt(plan, edits, total)
    if not isinstance(refusal, BadInput):
        return

    assert refusal.field.startswith("edits.")
    assert refusal.remedy.endswith(".")


@given(_plans(), st.data())
def test_merging_what_was_split_changes_nothing(plan, data):
    number = data.draw(st.integers(1, len(plan.sub_events)))
    whole = plan.sub_events[number - 1]
    assume(whole.duration_s >= 1.1)
    assume(len(set(whole.layers)) == len(whole.layers))

    drafts = _attempt(
        plan, [Split(sub_event=number, at_s=0.55), Merge(sub_event=number)], Total.KEEP
    )

    assert plan_of(plan, drafts) == plan
    assert not any(draft.is_reworded for draft in drafts)


@given(_edited())
def test_edits_survive_being_written(case):
    _, edits, _ = case

    assert list(read_edits([edit.model_dump(mode="json") for edit in edits])) == edits
