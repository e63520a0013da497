"""How long a story is after edits: a total that is kept is shared, one that moves is checked."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from audiostory_core.errors import BadInput
from audiostory_core.story.edits import Edit, Insert, Reword
from audiostory_core.story.pieces import SHORTEST, Piece, length_of, shown
from audiostory_core.story.plan import (
    LONGEST_STORY_S,
    SHORTEST_STORY_S,
    samples_of,
    seconds_of,
)


def check_total(samples: int, number: int) -> None:
    """Refuse a story that is too short or too long.

    Raises:
        BadInput: naming the edit.
    """
    if not samples_of(SHORTEST_STORY_S) <= samples <= samples_of(LONGEST_STORY_S):
        raise BadInput(
            f"edits.{number}",
            seconds_of(samples),
            f"makes the story last {shown(samples)} s, which is not between 1 second and 24 hours",
            "Give other durations, or keep the total.",
        )


def balanced(pieces: list[Piece], total: int, longest: int, number: int, edit: Edit) -> list[Piece]:
    """Return the sub-events so long that they last `total` samples together.

    Args:
        pieces: after all edits; durations that an edit set stay.
        total: in samples.
        longest: samples of one sub-event.
        number: of the edit that changed a duration last, for errors.
        edit: that edit.

    Raises:
        BadInput: if the others cannot give or take the difference.
    """
    free = [piece.event.samples for piece in pieces if not piece.is_set]
    room = total - length_of([piece for piece in pieces if piece.is_set])
    if sum(free) == room:
        return pieces
    if not len(free) * SHORTEST <= room <= len(free) * longest:
        raise _no_balance(len(free), room, longest, number, edit)
    shares = iter(share_samples(free, room, SHORTEST, longest))
    return [piece if piece.is_set else _lasting(piece, next(shares), number) for piece in pieces]


def _lasting(piece: Piece, samples: int, number: int) -> Piece:
    if samples == piece.event.samples:
        return piece
    event = piece.event.model_copy(update={"duration_s": seconds_of(samples)})
    return replace(piece, event=event, edit=piece.edit or number)


def _no_balance(free: int, room: int, longest: int, number: int, edit: Edit) -> BadInput:
    least, most = free * SHORTEST, free * longest
    problem = (
        f"leaves {shown(max(0, room))} s of the kept total for the {free} other sub-events "
        f"whose durations may change, which can last {shown(least)} to {shown(most)} s together"
        if free
        else "changes the total, and no other sub-event's duration may change to keep it"
    )
    remedy = "Let the total move, or set fewer durations."
    duration_s = edit.duration_s if isinstance(edit, Reword | Insert) else None
    if duration_s is None:
        return BadInput(f"edits.{number}", edit.op, problem, remedy)
    requested = samples_of(duration_s)
    low, high = max(SHORTEST, requested + room - most), min(longest, requested + room - least)
    if low <= high:
        possible = shown(low) if low == high else f"{shown(low)} to {shown(high)}"
        remedy = f"Give {possible} s, or let the total move."
    return BadInput(f"edits.{number}.duration_s", duration_s, problem, remedy)


def share_samples(weights: Sequence[int], total: int, least: int, most: int) -> list[int]:
    """Split `total` samples in proportion to `weights`, each share from `least` to `most`.

    Shares that would leave the range are kept at its ends; the others keep their proportions.

    Args:
        weights: positive.
        total: from `len(weights) * least` to `len(weights) * most`.
        least: of each share.
        most: of each share.
    """
    shares: dict[int, int] = {}
    while len(shares) < len(weights):
        free = [index for index in range(len(weights)) if index not in shares]
        whole = sum(weights[index] for index in free)
        left = total - sum(shares.values())
        # exact in whole numbers: share < least is weight * left < least * whole
        under = [index for index in free if weights[index] * left < least * whole]
        over = [index for index in free if weights[index] * left > most * whole]
        lacking = sum(least * whole - weights[index] * left for index in under)
        excess = sum(weights[index] * left - most * whole for index in over)
        if lacking >= excess:
            shares |= dict.fromkeys(under, least)
        if excess >= lacking:
            shares |= dict.fromkeys(over, most)
        if not under and not over:
            # rounding down sums keeps each share within a sample of its own, so within the range
            ends = [left * at // whole for at in accumulate(weights[index] for index in free)]
            starts = [0, *ends[:-1]]
            shares |= {at: end - start for at, start, end in zip(free, starts, ends, strict=True)}
    return [shares[index] for index in range(len(weights))]
