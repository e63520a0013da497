"""Which clause gets how much time: the total, the times the text gives, natural lengths."""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from audiostory_core.planners.clauses.blocks import Form
from audiostory_core.planners.clauses.clause_splitter import Bond
from audiostory_core.planners.clauses.reading import Clause, Reading
from audiostory_core.planners.clauses.talk import Talk, read_talk
from audiostory_core.planners.clauses.times import Role, TimeMark
from audiostory_core.planners.clauses.timing import (
    COMFORTABLE_SHORTEST_S,
    Share,
    merge,
    spread,
    with_leads,
)
from audiostory_core.story.lengths import natural_s, words_in
from audiostory_core.story.plan import (
    LONGEST_STORY_S,
    SHORTEST_STORY_S,
    SHORTEST_SUB_EVENT_S,
    SLACK_S,
    check_duration,
)

_LONG_SCRIPT = 200  # clauses; shorter scripts have time for each of their sounds
_BEFORE_TALK_S = 0.15
_ESTIMATED = "estimated from the content"
_ADDED_UP = "added up from the times told in the text"
_LEAST_ACTION_S = 0.4
_MOST_ACTION_S = 8.0
_ACTION_WORDS_PER_S = 6.0
_LEAST_OF_NATURAL = 0.25  # what events without a stated time keep of their natural length


@dataclass(frozen=True)
class Stretch:
    """A run of clauses whose time the text gives together."""

    first: int
    last: int  # included
    seconds: float | None  # None: what is left


@dataclass(frozen=True)
class Schedule:
    """How long the story is, and how its clauses share it."""

    total_s: float
    source: str  # where the total came from, in English
    shares: tuple[Share, ...]
    talk: Talk
    notes: tuple[str, ...] = field(default=())


def make_schedule(reading: Reading, requested_s: float | None, longest_clip_s: float) -> Schedule:
    """Decide the total and share it.

    Raises:
        BadInput: if the total, requested or stated, is not between 1 s and 24 h.
    """
    talk = read_talk(reading)
    is_long_script = reading.is_script and len(reading.clauses) > _LONG_SCRIPT
    lengths = _script_s if is_long_script else _natural_s
    natural = [lengths(reading, at, talk) for at in range(len(reading.clauses))]
    notes: list[str] = []
    stretches = _stretches(reading, notes)
    total_s, source = _total(reading, requested_s, stretches, natural, notes)
    targets = _targets(reading, stretches, natural, talk, total_s, notes)
    shares = _shares(reading, stretches, targets, talk, longest_clip_s)
    merged = merge(shares, total_s, longest_clip_s)
    is_free = source == _ESTIMATED or (
        source == _ADDED_UP
        and any(stretch.seconds is None for stretch in stretches)
        and all(clause.piece.bond is not Bond.STAMP for clause in reading.clauses)
    )
    if not is_free and len(merged) < len(shares) and total_s < COMFORTABLE_SHORTEST_S * len(shares):
        notes.append(
            f"{len(shares)} events are too many for {total_s:g} s; "
            f"they were merged into {len(merged)}."
        )
    notes += _notes_on_numbered(merged, longest_clip_s)
    merged = with_leads(merged)
    if is_free and any(talk.seconds):
        total_s = round(math.fsum(share.target_s for share in merged), 1)
        total_s = min(max(total_s, SHORTEST_STORY_S), LONGEST_STORY_S)
    return Schedule(total_s, source, tuple(merged), talk, tuple(notes))


def _notes_on_numbered(shares: Sequence[Share], longest_clip_s: float) -> Iterator[str]:
    """Yield which numbered scenes of the text are several, so that the numbers after them differ."""
    parts = Counter(share.scene for share in shares if share.scene)
    split = ", ".join(f"{scene} ({count} parts)" for scene, count in parts.items() if count > 1)
    if split:
        yield f"Numbered scenes that fit no clip of {longest_clip_s:g} s were split: {split}."


def _natural_s(reading: Reading, at: int, talk: Talk) -> float:
    clause, spoken = reading.clauses[at], talk.seconds[at]
    lasting = clause.piece.setting is not None
    if talk.is_all[at]:
        return spoken + _BEFORE_TALK_S
    words = clause.piece.words
    if spoken:
        words -= sum(words_in(reading.text[line.start : line.end]) for line in clause.spoken)
    return natural_s(max(words, 0), lasting=lasting, spoken=spoken)


def _script_s(reading: Reading, at: int, talk: Talk) -> float:
    """Return the length of an event where lines follow each other, about a minute a page."""
    if talk.seconds[at]:
        return talk.seconds[at] + _BEFORE_TALK_S
    words = reading.clauses[at].piece.words
    return min(_LEAST_ACTION_S + words / _ACTION_WORDS_PER_S, _MOST_ACTION_S)


def _stretches(reading: Reading, notes: list[str]) -> list[Stretch]:
    """Cover all clauses with stretches, in order."""
    if not reading.clauses:
        return []
    starts = [mark for mark in reading.marks if mark.role is Role.STARTS]
    if starts:
        stamped = _stamped(reading, starts, notes)
        if stamped:
            return stamped
    return _lasting(reading)


def _stamped(reading: Reading, marks: Sequence[TimeMark], notes: list[str]) -> list[Stretch]:
    starts = [clause.piece.start for clause in reading.clauses]
    at = [max(0, bisect_right(starts, mark.end) - 1) for mark in marks]
    seconds = [mark.seconds for mark in marks]
    rising = all(a < b for a, b in pairwise(seconds))
    apart = all(a < b for a, b in pairwise(at))
    if not rising or not apart:
        notes.append("The start times do not rise from event to event; they were not used.")
        return []
    stretches: list[Stretch] = []
    if at[0] > 0:
        stretches.append(Stretch(0, at[0] - 1, seconds[0] if seconds[0] > 0 else None))
    if reading.clauses[0].is_silent:
        notes.append(f"Nothing is told before {seconds[0]:g} s; it is silent until then.")
    for index, first in enumerate(at):
        begin = 0.0 if index == 0 and first == 0 else seconds[index]
        if index + 1 < len(at):
            stretches.append(Stretch(first, at[index + 1] - 1, seconds[index + 1] - begin))
            continue
        until = marks[index].until
        lasts = until - begin if until is not None and until > begin else None
        stretches.append(Stretch(first, len(starts) - 1, lasts))
    return stretches


def _lasting(reading: Reading) -> list[Stretch]:
    clauses = reading.clauses
    starts = [clause.piece.start for clause in clauses]
    marks = [mark for mark in reading.marks if mark.role is Role.LASTS and mark.seconds > 0]
    timed: list[Stretch] = []
    covered = -1
    for number, mark in enumerate(marks):
        last = max(0, bisect_right(starts, mark.start) - 1)
        first = last
        while mark.bracketed and first - 1 > covered and _same_item(clauses, first):
            first -= 1
        block = reading.blocks[clauses[last].piece.block]
        following = marks[number + 1].start if number + 1 < len(marks) else len(reading.text)
        if mark.bracketed and block.form is Form.ITEM and following >= block.end:
            last = bisect_left(starts, block.end) - 1
        if first > covered:
            timed.append(Stretch(first, max(first, last), mark.seconds))
            covered = timed[-1].last
    return _with_gaps(timed, len(clauses))


def _same_item(clauses: Sequence[Clause], index: int) -> bool:
    return (
        clauses[index].piece.block == clauses[index - 1].piece.block
        and clauses[index].piece.bond < Bond.SENTENCE
    )


def _with_gaps(timed: Sequence[Stretch], count: int) -> list[Stretch]:
    stretches: list[Stretch] = []
    at = 0
    for stretch in [*timed, Stretch(count, count, None)]:
        if stretch.first > at:
            stretches.append(Stretch(at, stretch.first - 1, None))
        if stretch.first < count:
            stretches.append(stretch)
        at = stretch.last + 1
    return stretches


def _total(
    reading: Reading,
    requested_s: float | None,
    stretches: Sequence[Stretch],
    natural: Sequence[float],
    notes: list[str],
) -> tuple[float, str]:
    stated_s = next((mark.seconds for mark in reading.marks if mark.role is Role.TOTAL), None)
    opening = next((mark.seconds for mark in reading.marks if mark.role is Role.OPENING), None)
    if requested_s is not None:
        total = check_duration(requested_s)
        if stated_s is not None and abs(stated_s - total) > SLACK_S:
            notes.append(
                f"The text says {stated_s:g} s in all; {total:g} s was asked for and is kept."
            )
        return total, "asked for"
    if stated_s is not None:
        return check_duration(stated_s), "told by the text"
    if opening is not None and SHORTEST_STORY_S <= opening <= LONGEST_STORY_S:
        return check_duration(opening), "told by the opening of the text"
    free = math.fsum(
        natural[i] for s in stretches if s.seconds is None for i in range(s.first, s.last + 1)
    )
    fixed = math.fsum(s.seconds for s in stretches if s.seconds is not None)
    if fixed > 0:
        return check_duration(round(fixed + free, 3)), _ADDED_UP
    estimate = min(max(round(free, 1), SHORTEST_STORY_S), LONGEST_STORY_S)
    return check_duration(estimate), _ESTIMATED


def _targets(
    reading: Reading,
    stretches: Sequence[Stretch],
    natural: Sequence[float],
    talk: Talk,
    total_s: float,
    notes: list[str],
) -> list[float]:
    """Return the seconds of each clause; they add up to the total."""
    free = [i for s in stretches if s.seconds is None for i in range(s.first, s.last + 1)]
    fixed = math.fsum(s.seconds for s in stretches if s.seconds is not None)
    wish = math.fsum(natural[i] for i in free)
    room = total_s - fixed
    least = max(_LEAST_OF_NATURAL * wish, SHORTEST_SUB_EVENT_S * len(free))
    fits = room >= least if free else abs(room) <= SLACK_S
    scale = 1.0 if fits else total_s / (fixed + wish)
    if fixed and not fits:
        notes.append(f"The times told were scaled by {scale:.3g} to fit {total_s:g} s.")
    runs = [(free, total_s - fixed * scale)]
    runs += [
        (list(range(s.first, s.last + 1)), s.seconds * scale)
        for s in stretches
        if s.seconds is not None
    ]
    targets = [0.0] * len(natural)
    for own, seconds in runs:
        for i, share in zip(own, _allotted(reading, own, natural, talk, seconds), strict=True):
            targets[i] = share
    return targets


def _allotted(
    reading: Reading, own: Sequence[int], natural: Sequence[float], talk: Talk, seconds: float
) -> list[float]:
    """Share seconds among clauses; what talk does not need goes to what else is heard.

    Where there is nothing else it goes to the last lines in each place.
    """
    weights = [natural[i] for i in own]
    more = seconds - math.fsum(weights)
    if more <= 0:
        return spread(weights, [talk.seconds[i] for i in own], seconds)
    wants = [not talk.is_all[i] for i in own]
    if not any(wants):
        wants = [at + 1 == len(own) or _enters(reading, own[at + 1]) for at in range(len(own))]
    whole = math.fsum(weight for weight, wanted in zip(weights, wants, strict=True) if wanted)
    return [
        weight + more * weight / whole * wanted
        for weight, wanted in zip(weights, wants, strict=True)
    ]


def _enters(reading: Reading, index: int) -> bool:
    piece = reading.clauses[index].piece
    return piece.setting is not None or piece.opens_scene


def _shares(
    reading: Reading,
    stretches: Sequence[Stretch],
    targets: Sequence[float],
    talk: Talk,
    longest_clip_s: float,
) -> list[Share]:
    """One share per clause; clauses whose time is given together are one where it fits a clip."""
    bonds = [clause.piece.bond for clause in reading.clauses]
    spoken = talk.seconds
    shares: list[Share] = []
    for stretch in stretches:
        own = range(stretch.first, stretch.last + 1)
        singles = [
            Share(
                i, i, targets[i], spoken[i], bonds[i],
                enters=_enters(reading, i), is_talk=talk.is_all[i],
                scene=reading.clauses[i].piece.scene,
            )
            for i in own
        ]  # fmt: skip
        if stretch.seconds is None:
            shares += singles
            continue
        whole = math.fsum(targets[i] for i in own)
        stamped = any(bond is Bond.STAMP for bond in bonds[stretch.first : stretch.last + 2])
        if stamped or whole > longest_clip_s:
            shares += [replace(single, is_timed=len(singles) == 1) for single in singles]
        else:
            heard = math.fsum(spoken[i] for i in own)
            shares.append(
                Share(stretch.first, stretch.last, whole, heard, bonds[stretch.first], True)
            )
    return shares
