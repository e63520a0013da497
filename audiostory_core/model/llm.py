"""The language model in process: Qwen2 as transformers has it, greedy, one sequence at a time.

It knows token ids only, no grammar. What it has read last is kept (keys, values and states), so
that a sequence which goes on from it, or repeats a part of it, is read from there.
"""

from collections.abc import Collection, Sequence
from typing import Protocol

import torch
from torch import Tensor
from transformers import Qwen2ForCausalLM
from transformers.cache_utils import DynamicCache

SMALLEST_BUFFER = 512  # positions


class Backend(Protocol):
    """Whatever runs the language model: in process here, or a server."""

    @property
    def longest(self) -> int:
        """The most tokens that prompt and continuation may have together."""
        ...

    def step(
        self,
        ids: Sequence[int],
        *,
        stop_ids: Collection[int],
        max_tokens: int,
        suppressed: Sequence[int] = (),
        is_parity: bool = False,
        draft: Sequence[int] = (),
        repetition_penalty: float = 1.0,
    ) -> list[int]:
        """Continue `ids` greedily until a stop id, which is the last of the continuation.

        Args:
            ids: prompt and everything written so far.
            stop_ids: tokens to stop after.
            max_tokens: the most to write, the draft included.
            suppressed: tokens that are not to be chosen.
            is_parity: suppress as the release does, by a logit of 0.0: where all others are
                negative a suppressed token is chosen after all. Otherwise never.
            draft: what follows if the first choice is `draft[0]`; only this is compared, the
                others are taken over, stop ids among them too.
            repetition_penalty: by which the logits of all tokens in `ids` and continuation are
                divided if positive and multiplied if negative, before suppression; 1 is none.
        """
        ...

    def states(self, ids: Sequence[int]) -> Tensor:
        """Return the last layer's states after the final norm, [N, H] in float32.

        Row n is the state at the position where `ids[n]` is the input.
        """
        ...


class LanguageModel:
    """A `Backend` on a model of this process; not for two threads at once.

    Args:
        model: on its device and in its dtype, in evaluation mode.

    Attributes:
        forward_passes: how often the network ran, since it was made.
        tokens_read: how many positions it ran over.
    """

    def __init__(self, model: Qwen2ForCausalLM) -> None:
        self._model = model
        self.forward_passes = 0
        self.tokens_read = 0
        self.forget()

    @property
    def longest(self) -> int:
        """The most tokens that prompt and continuation may have together."""
        return self._model.config.max_position_embeddings

    def forget(self) -> None:
        """Let go of what was read last, and of its memory."""
        self._ids: list[int] = []
        self._cache: DynamicCache | None = None
        self._states: Tensor | None = None  # [capacity, H], valid for the first len(_ids)

    @torch.no_grad()
    def step(
        self,
        ids: Sequence[int],
        *,
        stop_ids: Collection[int],
        max_tokens: int,
        suppressed: Sequence[int] = (),
        is_parity: bool = False,
        draft: Sequence[int] = (),
        repetition_penalty: float = 1.0,
    ) -> list[int]:
        """Continue `ids` greedily, as `Backend.step` says; the draft costs no pass of its own."""
        context = list(ids)
        draft = draft[:max_tokens]
        barred = torch.tensor(list(suppressed), dtype=torch.long, device=self._model.device)
        self._read([*context, *draft])
        while len(context) - len(ids) < max_tokens:
            self._read(context)
            logits = self._logits(len(context) - 1)
            if repetition_penalty != 1.0:
                _penalize(logits, context, repetition_penalty)
            logits[barred] = 0.0 if is_parity else -torch.inf
            chosen = int(logits.argmax())
            if draft and len(context) == len(ids) and chosen == draft[0]:
                context += draft
                continue
            context.append(chosen)
            if chosen in stop_ids:
                break
        return context[len(ids) :]

    @torch.no_grad()
    def states(self, ids: Sequence[int]) -> Tensor:
        """Return the states of `ids` as `Backend.states` says; free where they were just read."""
        states = self._read(list(ids))
        return states[: len(ids)].clone()

    def _logits(self, index: int) -> Tensor:
        """Logits after the token at `index`, [V] in float32, as `generate` compares them."""
        assert self._states is not None
        state = self._states[index].to(self._model.dtype)
        return self._model.lm_head(state).float()

    def _read(self, ids: list[int]) -> Tensor:
        """Have at least `ids` in the cache, and return the buffer of states."""
        shared = _shared(self._ids, ids)
        if shared == len(ids) and self._states is not None:
            return self._states
        assert len(ids) <= self.longest, f"{len(ids)} tokens for a model of {self.longest}"
        cache, states = self._cache, self._states
        surplus = len(self._ids) - shared
        # A pass that fails half way leaves some layers longer than others: nothing is kept then.
        self.forget()
        if cache is None or shared == 0:
            cache, shared = DynamicCache(config=self._model.config), 0
        elif surplus:
            cache.crop(-surplus)
        rest = torch.tensor([ids[shared:]], device=self._model.device)
        hidden = self._model.model(rest, past_key_values=cache, use_cache=True).last_hidden_state[0]
        self.forward_passes += 1
        self.tokens_read += rest.shape[1]
        states = _grown(states, shared, len(ids), hidden)
        states[shared : len(ids)] = hidden
        self._cache, self._ids, self._states = cache, ids[:], states
        return states


def _shared(left: list[int], right: list[int]) -> int:
    """Length of the longest common prefix."""
    if left == right[: len(left)]:
        return len(left)
    pairs = zip(left, right, strict=False)
    return next((at for at, (one, other) in enumerate(pairs) if one != other), len(right))


def _grown(states: Tensor | None, kept: int, needed: int, like: Tensor) -> Tensor:
    """Return a buffer of at least `needed` rows in float32 with the first `kept` of `states`."""
    if states is not None and needed <= len(states):
        return states
    capacity = max(SMALLEST_BUFFER, needed + needed // 2)
    buffer = torch.empty(capacity, like.shape[-1], device=like.device, dtype=torch.float32)
    if states is not None:
        buffer[:kept] = states[:kept]
    return buffer


def _penalize(logits: Tensor, context: list[int], penalty: float) -> None:
    """Make what was read already less likely; Source: Keskar et al. 2019, arXiv:1909.05858."""
    seen = torch.tensor(sorted(set(context)), device=logits.device)
    scores = logits[seen]
    logits[seen] = torch.where(scores < 0, scores * penalty, scores / penalty)
