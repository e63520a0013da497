"""The free instruction as elements: what the planner reads as lines, labels and headings."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from audiostory_core.manuscript.elements import (
    Action,
    Cue,
    Element,
    Format,
    Heading,
    Line,
    Manuscript,
    Pause,
    Span,
    compose,
)
from audiostory_core.manuscript.labels import SOUNDS
from audiostory_core.planners.clauses.blocks import Block, Form, read_blocks
from audiostory_core.planners.clauses.language import Languages
from audiostory_core.planners.clauses.speech import Voice, find_quotes, read_voices


def read_instruction_elements(source: str) -> Manuscript:
    """Read an instruction."""
    languages = Languages.load()
    language = languages.named(languages.detect(source))
    blocks = read_blocks(source, language)
    quotes = find_quotes(source)
    voices = read_voices(source, quotes, language)
    spoken = [(q.inner, voice) for q, voice in zip(quotes, voices, strict=True) if voice]
    elements = [element for block in blocks for element in _of_block(block, spoken)]
    return compose(source, source, Format.INSTRUCTION, elements)


def _of_block(block: Block, quotes: Sequence[tuple[Span, Voice]]) -> list[Element]:
    start, end = block.start, block.end
    if block.form is Form.HEADING:
        return [Heading(start, end)]
    if block.voice:
        voice = block.voice
        pause = [Pause(start, start, seconds=block.pause_s)] if block.pause_s else []
        spans = block.spoken or ((block.words_start, end),)
        lines = [
            Line(start if number == 0 else span[0], span[1], span[0],
                 speaker=voice.speaker, manner=voice.manner)
            for number, span in enumerate(spans)
        ]  # fmt: skip
        return [*pause, *lines]
    first = block.marker[0] if block.marker else start
    sound = SOUNDS.get(block.label or "")
    if sound:
        return [Cue(first, end, start, sound=sound)]
    return list(_in_turn(first, start, end, quotes))


def _in_turn(
    first: int, start: int, end: int, quotes: Sequence[tuple[Span, Voice]]
) -> Iterator[Element]:
    """Yield what happens and what is spoken, in turn."""
    at = start
    number = bisect_left(quotes, start, key=lambda quote: quote[0][0])
    while number < len(quotes) and quotes[number][0][0] < end:
        (begin, until), voice = quotes[number]
        number += 1
        if begin < at or until > end:
            continue
        yield Action(first, begin, at)
        yield Line(begin, until, speaker=voice.speaker, manner=voice.manner)
        first = at = until
    yield Action(first, end, at)
