"""One pass over an instruction: its clauses, spoken words, and what is addressed to the planner."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from audiostory_core.manuscript.elements import Manuscript, blanked, has_content
from audiostory_core.planners.clauses.absences import glue
from audiostory_core.planners.clauses.blocks import Block, Form, read_blocks
from audiostory_core.planners.clauses.clause_splitter import Bond, Piece, read_pieces, settle
from audiostory_core.planners.clauses.language import Language, Languages
from audiostory_core.planners.clauses.manuscripts import directed, outline_of
from audiostory_core.planners.clauses.numbered import with_scenes
from audiostory_core.planners.clauses.speech import Quote, Voice, find_quotes, read_voices
from audiostory_core.planners.clauses.times import Role, TimeMark, TimeReader, narrow
from audiostory_core.planners.clauses.words import Hole, overlapping
from audiostory_core.story.pace import seconds_to_say
from audiostory_core.story.plan import SHORTEST_SUB_EVENT_S
from audiostory_core.text.absence import Denial, find_denials

_AROUND_LINE_S = 4.0  # that a clip has besides its one spoken piece, where the engine allows it
_LOOSE = " \t\r\n,;:，；：、、-–—"
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufeff]")
_NO_SPACE_BEFORE = frozenset(",.;:!?，。；：！？、…)")
_FRAMED_STARTS = 3


@dataclass(frozen=True)
class Spoken:
    """Words that are spoken, as a span of the instruction."""

    start: int
    end: int
    voice: Voice
    pause_s: float = 0.0  # before them


@dataclass(frozen=True)
class Clause:
    """A run of the instruction that describes one event."""

    piece: Piece
    spoken: tuple[Spoken, ...] = ()
    is_silent: bool = False  # what stands before "At 10 s …" when the text says nothing of it


@dataclass(frozen=True)
class Reading:
    """All that was read; spans are positions in the instruction."""

    text: str
    language: Language
    blocks: tuple[Block, ...]
    clauses: tuple[Clause, ...]
    directions: tuple[Hole, ...]  # in order, disjoint
    marks: tuple[TimeMark, ...]
    source: str = ""  # as the author wrote it, of equal length; "": the text itself
    denials: tuple[Denial, ...] = ()  # what is said not to be heard

    @property
    def is_script(self) -> bool:
        """Whether it was read from the elements of a manuscript."""
        return bool(self.source)

    @property
    def directed(self) -> tuple[str, ...]:
        """What is addressed to the planner, as the author wrote it."""
        source = self.source or self.text
        return tuple(source[hole.start : hole.end].strip() for hole in self.directions)

    @property
    def left_out(self) -> tuple[str, ...]:
        """What is said not to be heard, as the author wrote it."""
        source = self.source or self.text
        words = (" ".join(source[slice(*denial.words)].split()) for denial in self.denials)
        return tuple(dict.fromkeys(words))

    @cached_property
    def _unheard(self) -> list[Hole]:
        return _disjoint([*self.directions, *(Hole(d.start, d.end, "") for d in self.denials)])

    @cached_property
    def _block_starts(self) -> list[int]:
        return [block.start for block in self.blocks]

    def kept(self, start: int, end: int) -> str:
        """Return the words of a span that are not directions, as one line."""
        return self._without(self.directions, start, end)

    def heard(self, start: int, end: int) -> str:
        """Return the words of a span that neither are directions nor say what is absent."""
        return self._without(self._unheard, start, end)

    def _without(self, holes: Sequence[Hole], start: int, end: int) -> str:
        starts = self._block_starts
        line = ""
        at = start
        while at < end:
            number = bisect_right(starts, at)
            until = min(end, starts[number]) if number < len(starts) else end
            words = self._kept_in_block(holes, at, until)
            if line and words:
                line += self._join(line, self.blocks[number - 2])
            line += words
            at = until
        return line.strip()

    def _join(self, line: str, before: Block) -> str:
        if before.form is Form.HEADING:
            return " — "
        return "; " if line[-1].isalnum() else " "

    def _kept_in_block(self, holes: Sequence[Hole], start: int, end: int) -> str:
        kept = ""
        at = start
        for hole in overlapping(holes, start, end):
            kept = _append(kept, self.text[at : hole.start])
            at = max(at, hole.end)
        kept = _append(kept, self.text[at:end])
        return " ".join(_CONTROLS.sub(" ", kept).split())

    def caption(self, start: int, end: int, *, heard: bool = False) -> str:
        """Return the words of a span as a caption: without loose punctuation at its ends.

        Args:
            start: of the span.
            end: of the span.
            heard: leave out what is said to be absent, too.
        """
        kept = self.heard(start, end) if heard else self.kept(start, end)
        bare = kept.strip(_LOOSE)
        if bare.endswith((".", "。")) and not bare.endswith(("..", "。。")):
            bare = bare[:-1].rstrip(_LOOSE)
        return bare or kept or self.text[start:end]


def _append(kept: str, more: str) -> str:
    """Join what stood on both sides of a removed span."""
    if not kept or not more:
        return kept + more
    stripped = more.lstrip()
    if stripped[:1] in _NO_SPACE_BEFORE:
        kept = kept.rstrip()
        return kept + (stripped[1:] if kept[-1:] in _NO_SPACE_BEFORE else stripped)
    return kept + more


def read_instruction(
    text: str, language: Language, languages: Languages, times: TimeReader, longest_clip_s: float
) -> Reading:
    """Read an instruction, without deciding how long anything lasts."""
    plain = narrow(text)
    quotes = find_quotes(text)
    blocks = with_scenes(text, read_blocks(text, language))
    said = [span for block in blocks for span in _words_of(block)]
    marks = times.read(plain, [(quote.start, quote.end) for quote in quotes])
    marks = [mark for mark in marks if mark.bracketed or not _is_in(mark.start, said)]
    framed = list(_framing(plain, languages))
    framed_end = framed[-1].end if framed else 0
    marks = [
        _whole_sentence(text, mark)
        for mark in marks
        if mark.start >= framed_end or mark.role is Role.TOTAL
    ]
    lead = _lead(plain, marks)
    timed = [_hole(mark) for mark in marks if mark.role is not Role.OPENING]
    markers = [Hole(*block.marker, "direction") for block in blocks if block.marker]
    opaque = _united([*((q.start, q.end) for q in quotes), *said])
    denials = find_denials(text, language.code, opaque)
    asides = [_aside(text, denial) for denial in denials if denial.is_direction]
    directions = _disjoint([*framed, *timed, *markers, *asides])
    spoken = list(_spoken(text, quotes, blocks, language))
    reading = Reading(text, language, tuple(blocks), (), tuple(directions), tuple(marks))
    reading = replace(reading, denials=tuple(denials))
    return _with_lead(_with_clauses(reading, quotes, spoken, longest_clip_s), lead)


def read_script(
    manuscript: Manuscript, language: Language, times: TimeReader, longest_clip_s: float
) -> Reading:
    """Read a manuscript whose elements say who speaks and what is heard."""
    text = manuscript.text
    plain = narrow(text)
    outline = outline_of(manuscript)
    quotes = _in_prose(find_quotes(text), outline.blocks)
    said = [span for block in outline.blocks for span in _words_of(block)]
    opaque = _united([*((q.start, q.end) for q in quotes), *said, *outline.hidden()])
    marks = outline.stamps or list(directed(times.read(plain, opaque)))
    timed = [] if outline.stamps else [_hole(mark) for mark in marks]
    markers = [Hole(*block.marker, "direction") for block in outline.blocks if block.marker]
    directions = _disjoint([*outline.holes, *timed, *markers])
    spoken = [
        line for line in _spoken(text, quotes, outline.blocks, language)
        if line.voice.speaker or not _is_quote(line, quotes)
    ]  # fmt: skip
    lead = _lead(blanked(plain, outline.hidden(before_stamps=True)), marks)
    reading = Reading(
        text,
        language,
        tuple(outline.blocks),
        (),
        tuple(directions),
        tuple(marks),
        manuscript.source,
        tuple(find_denials(text, language.code, opaque)),
    )
    return _with_lead(_with_clauses(reading, quotes, spoken, longest_clip_s), lead)


def _words_of(block: Block) -> Iterator[tuple[int, int]]:
    """Yield the spans of dialogue in which a time is said, not directed."""
    if block.voice:
        yield (block.spoken[0][0] if block.spoken else block.words_start), block.end


def _is_in(at: int, spans: Sequence[tuple[int, int]]) -> bool:
    """Say whether a position lies in one of the spans, which are in order."""
    before = bisect_right(spans, at, key=lambda span: span[0]) - 1
    return before >= 0 and at < spans[before][1]


def _united(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Put spans in order, joined where they overlap."""
    united: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if united and start <= united[-1][1]:
            united[-1] = (united[-1][0], max(end, united[-1][1]))
        else:
            united.append((start, end))
    return united


def _in_prose(quotes: Sequence[Quote], blocks: Sequence[Block]) -> list[Quote]:
    starts = [block.start for block in blocks]
    kept: list[Quote] = []
    for quote in quotes:
        at = bisect_right(starts, quote.start) - 1
        if at >= 0 and quote.end <= blocks[at].end and blocks[at].form is Form.PROSE:
            kept.append(quote)
    return kept


def _is_quote(line: Spoken, quotes: Sequence[Quote]) -> bool:
    at = bisect_right(quotes, line.start, key=lambda quote: quote.start) - 1
    return at >= 0 and quotes[at].inner == (line.start, line.end)


def _with_clauses(
    reading: Reading, quotes: Sequence[Quote], spoken: Sequence[Spoken], longest_clip_s: float
) -> Reading:
    """Read the clauses of a text whose blocks, directions and speech are known."""
    text, language, blocks = reading.text, reading.language, reading.blocks
    opaque = _disjoint([*reading.directions, *(Hole(q.start, q.end, "quote") for q in quotes)])
    pieces = read_pieces(text, blocks, opaque, language)
    pieces = [piece for piece in pieces if has_content(reading.kept(piece.start, piece.end))]
    if not pieces:
        whole = Piece(0, len(text), Bond.BLOCK, 0, has_verb=False, words=1)
        silent = Clause(whole, is_silent=True)
        return replace(reading, clauses=(silent,), directions=())
    pieces = glue(pieces, reading.denials, reading.heard, language)
    spans = [Hole(line.start, line.end, "quote") for line in spoken]
    longest_s = max(longest_clip_s - _AROUND_LINE_S, longest_clip_s / 2)
    longest = max(8, int(_letters_per_s(reading, spoken) * longest_s))
    pieces = [
        piece
        for piece in settle(text, pieces, language, spans, longest)
        if has_content(reading.kept(piece.start, piece.end))
    ]
    return replace(reading, clauses=tuple(_clauses(pieces, spoken, spans)))


def _letters_per_s(reading: Reading, spoken: Sequence[Spoken]) -> float:
    """Return how many characters of the lines are said in a second, on the average."""
    said = " ".join(reading.text[line.start : line.end] for line in spoken)
    return len(said) / max(seconds_to_say(said, reading.language.code), 1.0)


def _aside(text: str, denial: Denial) -> Hole:
    """Return what is said to the planner of absence, with its full stop if it is a sentence."""
    mark = TimeMark(denial.start, denial.end, Role.TOTAL, 0.0)
    whole = _whole_sentence(text, mark)
    return Hole(whole.start, whole.end, "direction")


def _lead(plain: str, marks: Sequence[TimeMark]) -> TimeMark | None:
    """Return the first start time if the text says nothing of the time before it."""
    first = next((mark for mark in marks if mark.role is Role.STARTS), None)
    if first is None or first.seconds < SHORTEST_SUB_EVENT_S:
        return None
    return None if has_content(plain[: first.start]) else first


def _with_lead(reading: Reading, lead: TimeMark | None) -> Reading:
    """Give the silence before the first start time a clause, in the place of the time's own words."""
    if lead is None or reading.clauses[0].is_silent:
        return reading
    first = reading.clauses[0]
    opening = replace(first.piece, start=lead.start, end=lead.end, setting=None, words=0)
    rest = replace(first.piece, start=max(first.piece.start, lead.end), bond=Bond.STAMP)
    clauses = (Clause(opening, is_silent=True), replace(first, piece=rest), *reading.clauses[1:])
    return replace(reading, clauses=clauses)


def _hole(mark: TimeMark) -> Hole:
    return Hole(mark.start, mark.end, "stamp" if mark.role is Role.STARTS else "direction")


def _framing(plain: str, languages: Languages) -> Iterator[Hole]:
    at = len(plain) - len(plain.lstrip())
    for _ in range(_FRAMED_STARTS):
        ends = [
            match.end()
            for language in languages.known.values()
            for pattern in language.framing
            if (match := pattern.match(plain, at))
        ]
        if not ends:
            return
        end = max(ends)
        yield Hole(at, end, "direction")
        at = end + len(plain[end : end + 80]) - len(plain[end : end + 80].lstrip(" ,:，："))


def _whole_sentence(text: str, mark: TimeMark) -> TimeMark:
    """Take the full stop along where a total is a sentence of its own."""
    if mark.role is not Role.TOTAL:
        return mark
    before = text[max(0, mark.start - 8) : mark.start].rstrip()
    alone = (
        not before or before[-1] in ".!?。！？;；\n" or "\n" in text[mark.start - 1 : mark.start]
    )
    stop = re.compile(r"\s*[.。!;；]").match(text, mark.end) if alone else None
    return replace(mark, end=stop.end()) if stop else mark


def _disjoint(holes: Iterable[Hole]) -> list[Hole]:
    """Put holes in order; of two that overlap the later one gives way."""
    kept: list[Hole] = []
    for hole in sorted(holes):
        start = max(hole.start, kept[-1].end) if kept else hole.start
        if start < hole.end:
            kept.append(hole._replace(start=start))
    return kept


def _spoken(
    text: str, quotes: Sequence[Quote], blocks: Sequence[Block], language: Language
) -> Iterator[Spoken]:
    number = 0
    voices = read_voices(text, quotes, language)
    for block in blocks:
        if block.form is Form.DIALOGUE and block.voice:
            while number < len(quotes) and quotes[number].start < block.end:
                number += 1
            if block.spoken:
                yield from (Spoken(*span, block.voice) for span in block.spoken)
                continue
            start, end = block.words_start, block.end
            whole = find_quotes(text[start:end])
            if len(whole) == 1 and whole[0].end - whole[0].start == len(text[start:end].strip()):
                start, end = start + whole[0].inner[0], start + whole[0].inner[1]
            yield Spoken(start, end, block.voice, block.pause_s)
            continue
        while number < len(quotes) and quotes[number].start < block.end:
            voice = voices[number]
            if voice:
                yield Spoken(*quotes[number].inner, voice)
            number += 1


def _clauses(
    pieces: Sequence[Piece], spoken: Sequence[Spoken], spans: Sequence[Hole]
) -> Iterator[Clause]:
    for piece in pieces:
        own = overlapping(spans, piece.start, piece.end)
        first = bisect_right(spans, piece.start, key=lambda span: span.end)
        lines = tuple(
            replace(line, start=max(line.start, piece.start), end=min(line.end, piece.end))
            for line in spoken[first : first + len(own)]
        )
        yield Clause(piece, lines)
