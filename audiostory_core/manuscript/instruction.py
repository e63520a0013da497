"""The free instruction as elements: what the planner reads as lines, labels and headings."""

from audiostory_core.manuscript.elements import (
    Action,
    Cue,
    Element,
    Format,
    Heading,
    Line,
    Manuscript,
    Pause,
    compose,
)
from audiostory_core.planners.clauses.blocks import Block, Form, read_blocks
from audiostory_core.planners.clauses.language import Languages
from audiostory_core.planners.clauses.speech import find_quotes, voice_of


def read_instruction_elements(source: str) -> Manuscript:
    """Read an instruction."""
    languages = Languages.load()
    language = languages.named(languages.detect(source))
    blocks = read_blocks(source, language)
    elements = [element for block in blocks for element in _of_block(block)]
    for quote in find_quotes(source):
        voice = voice_of(source, quote, language)
        if voice and not _is_within(quote.start, blocks):
            speaker, manner = voice.speaker, voice.manner
            elements.append(Line(*quote.inner, speaker=speaker, manner=manner))
    return compose(source, source, Format.INSTRUCTION, elements)


def _is_within(at: int, blocks: list[Block]) -> bool:
    return any(block.voice and block.start <= at < block.end for block in blocks)


def _of_block(block: Block) -> list[Element]:
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
    if block.label in ("sfx", "music", "ambience"):
        return [Cue(first, end, start, sound=block.label)]
    return [Action(first, end, start)]
