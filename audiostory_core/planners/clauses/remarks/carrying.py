"""What an author said of rejected plans, carried out on the plan made anew."""

from collections.abc import Sequence

from audiostory_core.errors import BadInput
from audiostory_core.planners.clauses.remarks.story import StoryRemarks
from audiostory_core.planners.clauses.timing import parts_of
from audiostory_core.planners.remarks import is_of_total
from audiostory_core.story.editing import Total, apply, plan_of
from audiostory_core.story.edits import Edit, Voice
from audiostory_core.story.lengths import spoken_s
from audiostory_core.story.limits import SceneLimits
from audiostory_core.story.plan import (
    LONGEST_STORY_S,
    CastMember,
    SpeechLayer,
    StoryPlan,
    SubEvent,
    seconds_of,
)
from audiostory_core.story.spans import layers_in_parts

_ANY = SceneLimits(story_s=LONGEST_STORY_S)  # scenes too long for a clip are split afterwards


def carry_out(
    reader: StoryRemarks,
    plan: StoryPlan,
    remarks: Sequence[str],
    total_s: float | None,
    longest_clip_s: float,
) -> StoryPlan:
    """Return the plan with every remark carried out that can be, in order.

    Args:
        reader: reads remarks.
        plan: as planned from the instruction alone.
        remarks: oldest first; one that cannot be used becomes a note of the plan.
        total_s: total that the author asked for and that stays; None lets it follow.
        longest_clip_s: longer scenes are split.
    """
    notes = list(plan.notes)
    for remark in filter(None, map(str.strip, remarks)):
        try:
            plan = with_edits(plan, reader.edits(plan, remark), is_kept=total_s is not None)
        except BadInput as error:
            notes.append(f"The remark “{remark}” could not be used: {error.problem}.")
    events = [part for event in plan.sub_events for part in _split(event, longest_clip_s)]
    return plan.model_copy(
        update={
            "sub_events": tuple(events),
            "cast": _with_speakers(plan.cast, events),
            "notes": tuple(notes),
        }
    )


def with_edits(plan: StoryPlan, edits: Sequence[Edit], *, is_kept: bool) -> StoryPlan:
    """Return a plan with edits made.

    Args:
        plan: as it is.
        edits: of it.
        is_kept: whether its total stays, except where every scene gets another length.
    """
    total = Total.KEEP if is_kept and not is_of_total(plan, tuple(edits)) else Total.MOVE
    made = plan_of(plan, apply(plan, edits, total=total, limits=_ANY))
    voices = {e.speaker: e.description for e in edits if isinstance(e, Voice)}
    cast = {member.name: member for member in plan.cast}
    cast |= {name: CastMember(name=name, description=about) for name, about in voices.items()}
    return made.model_copy(update={"cast": tuple(cast.values())})


def _with_speakers(
    cast: tuple[CastMember, ...], events: Sequence[SubEvent]
) -> tuple[CastMember, ...]:
    """Return the cast and all others who speak."""
    known = {member.name: member for member in cast}
    for event in events:
        for layer in event.layers:
            if isinstance(layer, SpeechLayer) and layer.speaker:
                known.setdefault(layer.speaker, CastMember(name=layer.speaker))
    return tuple(known.values())


def _split(event: SubEvent, longest_clip_s: float) -> list[SubEvent]:
    spoken = sum(spoken_s(layer.words) for layer in event.layers if isinstance(layer, SpeechLayer))
    parts = parts_of(event.samples, longest_clip_s, spoken)
    layers = layers_in_parts(event.layers, len(parts))
    return [
        event.model_copy(
            update={"duration_s": seconds_of(part), "layers": layers[number]}
            | ({"continues": True} if number else {})
        )
        for number, part in enumerate(parts)
    ]
