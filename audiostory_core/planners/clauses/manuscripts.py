"""Elements of a manuscript as the blocks that clauses are read from."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from audiostory_core.manuscript.cue_sheet import TIMED
from audiostory_core.manuscript.elements import (
    Action,
    Cue,
    Element,
    Format,
    Heading,
    Line,
    Manuscript,
    Narration,
    Pause,
    Span,
)
from audiostory_core.manuscript.subtitles import TIMES
from audiostory_core.planners.clauses.blocks import Block, Form
from audiostory_core.planners.clauses.screenplay import HEADING
from audiostory_core.planners.clauses.speech import Voice
from audiostory_core.planners.clauses.times import Role, TimeMark
from audiostory_core.planners.clauses.words import Hole

_READ_ALOUD = (Format.PROSE, Format.EPUB)
_LONGEST_DIRECTED_S = 60.0  # what a script's prose tells of longer times is story


@dataclass
class Outline:
    """What elements say of where clauses begin, who speaks, and when."""

    blocks: list[Block] = field(default_factory=list)
    holes: list[Hole] = field(default_factory=list)
    stamps: list[TimeMark] = field(default_factory=list)

    def hidden(self, *, before_stamps: bool = False) -> list[Span]:
        """Return the spans that are neither told nor heard; times that start something apart."""
        return [(h.start, h.end) for h in self.holes if h.kind != "stamp" or not before_stamps]


def outline_of(manuscript: Manuscript) -> Outline:
    """Return the outline of a script."""
    outline = Outline(holes=[Hole(*span, "direction") for span in manuscript.markup])
    is_read_aloud = manuscript.format in _READ_ALOUD
    pause_s, reached = 0.0, 0
    for element in manuscript.elements:
        if isinstance(element, Pause):
            pause_s += element.seconds
        stamp = _stamp(manuscript.source, element, outline.stamps)
        if stamp:
            outline.stamps.append(stamp)
            outline.holes.append(Hole(stamp.start, stamp.end, "stamp"))
        if isinstance(element, Cue) and element.start_s is not None:
            outline.holes.append(Hole(element.start, element.words[0], "direction"))
        if isinstance(element, Action) and element.words[0] > element.start:  # "!Thunder."
            outline.holes.append(Hole(element.start, element.words[0], "direction"))
        block = _block(element, pause_s, is_read_aloud=is_read_aloud)
        if block is None or element.start < reached:
            outline.holes.append(Hole(element.start, element.end, "direction"))
            continue
        reached = element.end
        if block.voice:
            pause_s = 0.0
        if isinstance(element, Heading):
            pause_s = 0.0
        outline.blocks.append(block)
    return outline


def _block(element: Element, pause_s: float, *, is_read_aloud: bool) -> Block | None:
    start, end = element.start, element.end
    words_start = element.words[0]
    if isinstance(element, Line):
        voice = Voice(element.speaker, element.manner)
        form = Form.DIALOGUE
        return Block(start, end, form, voice=voice, words_start=words_start, pause_s=pause_s)
    if isinstance(element, Narration) or (isinstance(element, Heading) and is_read_aloud):
        form = Form.DIALOGUE
        return Block(start, end, form, voice=Voice(), words_start=words_start, pause_s=pause_s)
    if isinstance(element, Heading):
        return Block(start, end, Form.HEADING)
    if isinstance(element, Cue):
        if element.start_s is not None:
            return Block(start, end, Form.ITEM, label=element.sound)
        marker = (start, words_start) if words_start > start else None
        return Block(words_start, end, Form.ITEM, marker, label=element.sound)
    return Block(words_start, end) if isinstance(element, Action) else None


def _stamp(source: str, element: Element, before: list[TimeMark]) -> TimeMark | None:
    if element.start_s is None or (before and element.start_s <= before[-1].seconds):
        return None
    match = TIMES.match(source, element.start) or TIMED.match(source, element.start)
    end = match.end() if match else element.start
    return TimeMark(element.start, end, Role.STARTS, element.start_s, element.until_s)


def directed(marks: Iterable[TimeMark]) -> Iterator[TimeMark]:
    """Yield the times in a script's prose that are directions: in brackets, or short lengths."""
    for mark in marks:
        is_short = mark.role is Role.LASTS and mark.seconds < _LONGEST_DIRECTED_S
        if mark.bracketed or is_short:
            yield mark


_QUOTED = re.compile(r"[\"“„«「『]|^[—–―]\s?\S")
_NAMED = re.compile(r"[^\W\d_][^\n:：.!?\d]{0,24}[:：](?!\d)\s*\S")


_SHOT = re.compile(
    r"(?:CLOSE|ANGLE|WIDE|POV|INSERT|SHOT|VIEW|SUPER|TITLE|CARD|MONTAGE|INTERCUT|FLASHBACK|CUT"
    r"|FADE|SMASH|DISSOLVE|LATER|BACK|EXTREME|MEDIUM|TRACKING|[^:]*\b(?:ON|TO|SHOT|POV|ANGLE))\b"
)


def unspoken_in(manuscript: Manuscript, spoken: Sequence[Span]) -> Iterator[str]:
    """Yield what a script tells as action, in quotes or behind a name, and nobody speaks.

    Args:
        manuscript: a script.
        spoken: spans of all lines, in order.
    """
    for element in manuscript.elements:
        if not isinstance(element, Action):
            continue
        first = bisect_right(spoken, element.start, key=lambda span: span[1])
        words = manuscript.words_of(element)
        is_shot = HEADING.match(words) or _SHOT.match(words)
        if first < len(spoken) and spoken[first][0] < element.end:
            continue
        if _QUOTED.search(words) or (_NAMED.match(words) and not is_shot):
            yield words


def looks_spoken(words: str) -> bool:
    """Say whether words that nobody speaks look as if somebody should."""
    is_question = words.rstrip().endswith(("?", "？"))
    return bool(_QUOTED.search(words) or _NAMED.match(words)) or is_question
