r"""What the language model reads and writes: prompt, segments, durations, and reading them back.

    <|im_start|>system … <|im_start|>assistant\n<|think|>                           prompt
    reasoning <|/think|>                                                           then
    <|gen|> caption <timestamp>1.2</timestamp> <t5> 64 × <t5_k> </t5>
                                               <aud> 8 × <aud_k> </aud> <|/gen|>   per sub-event
    <|im_end|>

(The spaces are for the eye.) A *segment* is the text of one sub-event in this grammar.

Source: AudioStory (arXiv:2508.20088) and its released inference code. Differs: reading back is by
segment, so that one that is malformed never loses the others; the release loses all.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from audiostory_core.model.vocabulary import Vocabulary

SYSTEM = "You are a helpful assistant."
LEAD = "Develop a comprehensive audio that fully represents "
"""One of the release's lead sentences, of which it draws one by chance."""

SECONDS = re.compile(
    r"(\d+(?:[.,]\d+)?)[\s-]*(?:(?:s|secs?|second\w?\w?|segundos?|sekunden?|секунд\w*)\b|秒|초)",
    re.IGNORECASE,
)


def print_seconds(duration_s: float) -> str:
    """Write a duration as the release prints its floats: 35.1 is "35.1", 50 is "50.0".

    Durations of whole samples are rounded to 10 ms, finer than any the model was trained on.
    """
    return str(round(float(duration_s), 2))


def full_instruction(instruction: str, duration_s: float, *, is_parity: bool = False) -> str:
    """Return the instruction as the model was trained on it: with its total duration.

    Args:
        instruction: as the author wrote it. If it states the total in seconds nothing is added.
        duration_s: the total.
        is_parity: put the release's lead sentence before it, unless it begins with that.
    """
    text = instruction.strip()
    if is_parity and not text.startswith(LEAD):
        text = (LEAD + text).strip()
    stated = {float(number.replace(",", ".")) for number in SECONDS.findall(text)}
    if any(math.isclose(number, duration_s, abs_tol=0.005) for number in stated):
        return text
    return f"{text} The total duration is {print_seconds(duration_s)} seconds."


def prompt_ids(vocabulary: Vocabulary, instruction: str) -> list[int]:
    """Return the prompt up to and with `<|think|>`, after which the model reasons.

    Args:
        vocabulary: of the checkpoint.
        instruction: of `full_instruction`.
    """
    text = vocabulary.encode_text
    line = [vocabulary.im_end, *text("\n"), vocabulary.im_start]
    return [
        vocabulary.im_start,
        *text(f"system\n{SYSTEM}"),
        *line,
        *text(f"user\n{instruction}"),
        *line,
        *text("assistant\n"),
        vocabulary.think,
    ]


@dataclass(frozen=True)
class Written:
    """A sub-event to be forced.

    Args:
        caption: its text.
        duration_s: its length in seconds.
        caption_ids: what the model wrote, if the caption is as it wrote it; None to tokenize.
    """

    caption: str
    duration_s: float
    caption_ids: tuple[int, ...] | None = None


def segment_ids(vocabulary: Vocabulary, written: Written) -> list[int]:
    """Return the whole segment of a sub-event, from `<|gen|>` to `<|/gen|>`."""
    caption = written.caption_ids
    if caption is None:
        caption = tuple(vocabulary.encode_text(written.caption))
    return [
        vocabulary.gen,
        *caption,
        vocabulary.timestamp,
        *vocabulary.encode_text(print_seconds(written.duration_s)),
        vocabulary.timestamp_end,
        *semantic_block(vocabulary),
        *residual_block(vocabulary),
        vocabulary.gen_end,
    ]


def semantic_block(vocabulary: Vocabulary) -> list[int]:
    """`<t5>` to `</t5>`, 66 tokens."""
    return [vocabulary.t5, *vocabulary.semantic, vocabulary.t5_end]


def residual_block(vocabulary: Vocabulary) -> list[int]:
    """`<aud>` to `</aud>`, 10 tokens."""
    return [vocabulary.aud, *vocabulary.residual, vocabulary.aud_end]


class States(NamedTuple):
    """What the language model has in mind for one sub-event, in float32 after the final norm."""

    semantic: Tensor  # [64, H], at `<t5_00000>` … `<t5_00063>`
    residual: Tensor  # [8, H], at `<aud_00000>` … `<aud_00007>`


@dataclass(frozen=True)
class TokenSpan:
    """A sub-event as the model wrote it; what could not be read is empty or None."""

    caption: str  # without white space around it
    caption_ids: tuple[int, ...]  # verbatim, without any special token
    duration_s: float | None
    semantic_at: int | None  # index of `<t5_00000>` in the ids of the generation
    residual_at: int | None  # index of `<aud_00000>`
    problem: str | None = None  # the first thing wrong, a predicate: "has no duration"
    states: States | None = None  # None if it was only read back, or lacks a block

    @property
    def is_whole(self) -> bool:
        """Whether all is there that a clip needs, whatever else is wrong."""
        blocks = self.semantic_at is not None and self.residual_at is not None
        return bool(self.caption) and self.duration_s is not None and blocks


@dataclass(frozen=True)
class Generation:
    """What the model wrote after `<|think|>`."""

    reasoning: str  # without white space around it
    reasoning_ids: tuple[int, ...]  # verbatim, without `<|/think|>`
    segments: tuple[TokenSpan, ...]
    ids: tuple[int, ...] = ()  # all of it


def parse(vocabulary: Vocabulary, ids: Sequence[int]) -> Generation:
    """Read back what the model wrote; never fails, a damaged segment says so in its `problem`.

    Args:
        vocabulary: of the checkpoint.
        ids: continuation of the prompt, without the prompt.
    """
    special = frozenset(vocabulary.special.values())
    structure = {vocabulary.gen, vocabulary.think_end, vocabulary.timestamp, vocabulary.t5}
    end = next((at for at, token in enumerate(ids) if token in structure), len(ids))
    reasoning = tuple(token for token in ids[:end] if token not in special)
    start = end + 1 if tuple(ids[end : end + 1]) == (vocabulary.think_end,) else end
    return Generation(
        reasoning=_words(vocabulary, reasoning),
        reasoning_ids=reasoning,
        segments=tuple(
            _Reader(vocabulary, special, ids, *region).segment()
            for region in _regions(vocabulary, ids, start)
        ),
        ids=tuple(ids),
    )


def _words(vocabulary: Vocabulary, ids: Sequence[int]) -> str:
    return vocabulary.decode(ids).replace("\x00", "").strip()


def _regions(
    vocabulary: Vocabulary, ids: Sequence[int], start: int
) -> Iterator[tuple[int, int, str | None]]:
    """Yield where each segment starts and stops, and what is wrong with its borders."""
    closing = {vocabulary.gen_end, *vocabulary.ends}
    structure = {vocabulary.timestamp, vocabulary.t5, vocabulary.aud}
    at, is_open = start, False
    for index in range(start, len(ids) + 1):
        token = ids[index] if index < len(ids) else None
        if token is not None and token != vocabulary.gen and token not in closing:
            continue
        if is_open:
            yield at, index, None if token == vocabulary.gen_end else "is not closed"
        elif structure & set(ids[at:index]):
            yield at, index, "does not begin with <|gen|>"
        at, is_open = index + 1, token == vocabulary.gen


class _Reader:
    """Reads one segment, `ids[start:stop]` without its `<|gen|>` and `<|/gen|>`."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        special: frozenset[int],
        ids: Sequence[int],
        start: int,
        stop: int,
        problem: str | None,
    ) -> None:
        self.vocabulary = vocabulary
        self.special = special
        self.ids = ids
        self.start = start
        self.stop = stop
        self.problems = [problem] if problem else []

    def segment(self) -> TokenSpan:
        caption_ids = self._caption()
        caption = _words(self.vocabulary, caption_ids)
        if not caption:
            self.problems.append("has no caption")
        duration_s = self._duration()
        semantic_at = self._block(semantic_block(self.vocabulary), "<t5>")
        residual_at = self._block(residual_block(self.vocabulary), "<aud>")
        return TokenSpan(
            caption=caption,
            caption_ids=caption_ids,
            duration_s=duration_s,
            semantic_at=semantic_at,
            residual_at=residual_at,
            problem=self.problems[0] if self.problems else None,
        )

    def _find(self, *tokens: int) -> int | None:
        """Index of the first of any of the tokens."""
        inside = range(self.start, self.stop)
        return next((index for index in inside if self.ids[index] in tokens), None)

    def _caption(self) -> tuple[int, ...]:
        words = self.vocabulary
        end = self._find(words.timestamp, words.t5, words.aud)
        written = self.ids[self.start : self.stop if end is None else end]
        caption = tuple(token for token in written if token not in self.special)
        if len(caption) < len(written):
            strange = next(token for token in written if token in self.special)
            self.problems.append(f"has {words.decode([strange])} in its caption")
        return caption

    def _duration(self) -> float | None:
        begin = self._find(self.vocabulary.timestamp)
        if begin is None:
            self.problems.append("has no duration")
            return None
        end = begin + 1
        while end < self.stop and self.ids[end] not in self.special:
            end += 1
        if end == self.stop or self.ids[end] != self.vocabulary.timestamp_end:
            self.problems.append("has a duration that is not closed")
        text = self.vocabulary.decode(self.ids[begin + 1 : end]).strip()
        if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{0,9})?", text) and float(text) > 0:
            return float(text)
        self.problems.append(f"has a duration that is no number: {text[:40]!r}")
        return None

    def _block(self, block: list[int], name: str) -> int | None:
        """Index of the first token inside a block, if the block is complete."""
        at = self._find(block[0])
        while at is not None:
            if list(self.ids[at : min(at + len(block), self.stop)]) == block:
                return at + 1
            after = range(at + 1, self.stop)
            at = next((index for index in after if self.ids[index] == block[0]), None)
        self.problems.append(f"has no complete block of {name}")
        return None
