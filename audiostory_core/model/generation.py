"""Interleaving, two ways with equal results: *free*, the model writes, and *approved*, it reads.

Free: the model reasons and writes captions; where it opens a segment's blocks their tokens are
known, so they are read in one pass instead of decoded one by one. Approved: the author's captions
and durations are forced, all is known, and a whole window of the story is one pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from audiostory_core.errors import BadInput
from audiostory_core.model.config import RESIDUAL_TOKENS, SEMANTIC_TOKENS
from audiostory_core.model.grammar import (
    Generation,
    States,
    TokenSpan,
    Written,
    parse,
    residual_block,
    segment_ids,
    semantic_block,
)
from audiostory_core.model.llm import Backend
from audiostory_core.model.vocabulary import ADDED_TOKENS, Vocabulary
from audiostory_core.story.plan import samples_of

MAX_TOKENS = 1600  # of one telling, forced ones included; as released, 12 to 14 sub-events
WINDOW_CLIPS = 12
WINDOW_S = 150.0  # what the model was trained on
CARRIED = 2  # sub-events before a window that it begins with


def generate(
    backend: Backend,
    vocabulary: Vocabulary,
    prompt: Sequence[int],
    *,
    max_tokens: int = MAX_TOKENS,
    is_parity: bool = False,
    repetition_penalty: float = 1.0,
) -> Generation:
    """Let the model reason and write, and return what it wrote with the states of each segment.

    Args:
        backend: runs the language model.
        vocabulary: of the same checkpoint.
        prompt: of `prompt_ids`.
        max_tokens: the most to write, forced tokens included.
        is_parity: choose token for token as the release does: tokens of the blocks are suppressed
            by a logit of 0.0, and after `</t5>` the model is free not to write `<aud>`. Otherwise
            they are never chosen, and both blocks always follow `<t5>`. (The release's chain itself
            breaks where all logits inside a block are below -10; that is not followed.)
        repetition_penalty: of `Backend.step`. The release takes over that of the Qwen2 folder's
            `generation_config.json`.

    Raises:
        BadInput: if the instruction leaves no room to write.
    """
    room = backend.longest - len(prompt)
    if room < 1:
        raise _too_long(
            "instruction", _instruction_of(vocabulary, prompt), len(prompt), backend.longest
        )
    forced = _forced(vocabulary, is_parity=is_parity)
    limit = min(max_tokens, room)
    ids: list[int] = []
    while len(ids) < limit:
        drafted = is_parity and ids[-1:] == [vocabulary.t5_end]
        ids += backend.step(
            [*prompt, *ids],
            stop_ids=forced.keys() | vocabulary.ends,
            max_tokens=limit - len(ids),
            suppressed=_suppressed(vocabulary, is_parity=is_parity),
            is_parity=is_parity,
            draft=residual_block(vocabulary) if drafted else (),
            repetition_penalty=repetition_penalty,
        )
        if ids[-1] in vocabulary.ends:
            break
        ids += forced.get(ids[-1], [])[: limit - len(ids)]
    return _with_states(backend, prompt, parse(vocabulary, ids))


def _forced(vocabulary: Vocabulary, *, is_parity: bool) -> dict[int, list[int]]:
    """What follows a token without any choice."""
    semantic, residual = semantic_block(vocabulary), residual_block(vocabulary)
    if not is_parity:
        return {vocabulary.t5: [*semantic[1:], *residual]}
    # The release forces after every token of a block, so that one chosen by itself goes on too.
    return {
        token: block[at + 1 :]
        for block in (semantic, residual)
        for at, token in enumerate(block[:-1])
    }


def _suppressed(vocabulary: Vocabulary, *, is_parity: bool) -> list[int]:
    if is_parity:
        return [*semantic_block(vocabulary)[1:], *residual_block(vocabulary)[1:]]
    free = {vocabulary.t5, vocabulary.timestamp, vocabulary.timestamp_end}
    free |= {vocabulary.gen, vocabulary.gen_end, vocabulary.think_end}
    added = {vocabulary.special[token] for token in ADDED_TOKENS}
    return sorted(added - free)


def _with_states(backend: Backend, prompt: Sequence[int], generation: Generation) -> Generation:
    ends = [
        max(segment.semantic_at + SEMANTIC_TOKENS, segment.residual_at + RESIDUAL_TOKENS)
        for segment in generation.segments
        if segment.semantic_at is not None and segment.residual_at is not None
    ]
    if not ends:
        return generation
    states = backend.states([*prompt, *generation.ids[: max(ends)]])[len(prompt) :]
    segments = [_segment_with_states(segment, states) for segment in generation.segments]
    return replace(generation, segments=tuple(segments))


def _segment_with_states(segment: TokenSpan, states: Tensor) -> TokenSpan:
    if segment.semantic_at is None or segment.residual_at is None:
        return segment
    return replace(segment, states=_cut(states, segment.semantic_at, segment.residual_at))


def _cut(states: Tensor, semantic_at: int, residual_at: int) -> States:
    return States(
        semantic=states[semantic_at : semantic_at + SEMANTIC_TOKENS].clone(),
        residual=states[residual_at : residual_at + RESIDUAL_TOKENS].clone(),
    )


@dataclass(frozen=True)
class Window:
    """A part of a story that the model reads at once.

    Args:
        ids: prompt, reasoning, carried segments and the window's own, to its last `<aud_00007>`.
        spans: per sub-event of the window, the indices of `<t5_00000>` and `<aud_00000>`.
    """

    ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]


def windows_of(durations_s: Sequence[float]) -> list[range]:
    """Split a plan into windows of at most 12 sub-events and 150 s, each as long as can be.

    Raises:
        BadInput: if one sub-event is longer than a window.
    """
    longest = samples_of(WINDOW_S)
    windows: list[range] = []
    start, length = 0, 0
    for index, duration_s in enumerate(durations_s):
        samples = samples_of(duration_s)
        if samples > longest:
            problem = f"is longer than the {WINDOW_S:g} s that the model reads at once"
            raise BadInput("duration", duration_s, problem, "Split the scene into several.")
        if index - start == WINDOW_CLIPS or length + samples > longest:
            windows.append(range(start, index))
            start, length = index, 0
        length += samples
    if durations_s:
        windows.append(range(start, len(durations_s)))
    return windows


def window_of(
    vocabulary: Vocabulary,
    prompt: Sequence[int],
    reasoning: Sequence[int],
    carried: Sequence[Written],
    scenes: Sequence[Written],
    *,
    longest: int,
) -> Window:
    """Write down a window: all that the model reads, and where its states are.

    Args:
        vocabulary: of the checkpoint.
        prompt: of `prompt_ids`.
        reasoning: ids of the plan's reasoning; may be empty.
        carried: the last `CARRIED` sub-events before the window, fewer at the beginning.
        scenes: the window's sub-events, at least one.
        longest: of the backend.

    Raises:
        BadInput: if it is longer than that, naming the instruction, the reasoning or a caption.
    """
    if len(prompt) >= longest:
        raise _too_long("instruction", _instruction_of(vocabulary, prompt), len(prompt), longest)
    ids = [*prompt, *reasoning, vocabulary.think_end]
    if len(ids) >= longest:
        raise _too_long("reasoning", vocabulary.decode(reasoning), len(ids), longest)
    for written in carried:
        ids += segment_ids(vocabulary, written)
    spans = []
    for written in scenes:
        ids += segment_ids(vocabulary, written)
        residual_at = len(ids) - 2 - RESIDUAL_TOKENS
        spans.append((residual_at - 2 - SEMANTIC_TOKENS, residual_at))
    del ids[-2:]  # no state is needed after the last `<aud_00007>`
    if len(ids) > longest:
        caption = max((written.caption for written in (*carried, *scenes)), key=len)
        raise _too_long("caption", caption, len(ids), longest)
    return Window(tuple(ids), tuple(spans))


def read_window(backend: Backend, window: Window) -> list[States]:
    """Return the states of each of the window's sub-events, from one pass over it."""
    states = backend.states(window.ids)
    return [_cut(states, *span) for span in window.spans]


def _instruction_of(vocabulary: Vocabulary, prompt: Sequence[int]) -> str:
    """The instruction of a prompt."""
    return vocabulary.decode(prompt).partition("user\n")[2].rpartition("<|im_end|>")[0]


def _too_long(field: str, text: str, tokens: int, longest: int) -> BadInput:
    problem = f"is too long: the model would read {tokens:,} tokens, and can {longest:,}"
    return BadInput(field, text, problem, "Shorten it.")
