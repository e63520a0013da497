"""The language model in process: Qwen2 of transformers, greedy, one sequence at a time.

It knows token ids only, no grammar. Keys and values of what was read last are kept while writing,
so that a sequence which goes on from it, or repeats a part of it, is read from there. States are
always read afresh: rounding differs with how many tokens a pass has, and equal ids must give equal
states, bit for bit, whatever was read or written before.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from transformers import Qwen2ForCausalLM
from transformers.cache_utils import DynamicCache


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

        Row n is the state at the position where `ids[n]` is the input. Equal ids give equal
        states; on a server, but for rounding.
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
        barred = torch.tensor(list(suppressed), dtype=torch.long, device=self._model.device)
        choice = _Choice(barred, 0.0 if is_parity else -torch.inf, repetition_penalty)
        context, end = list(ids), len(ids) + max_tokens
        draft = draft[:max_tokens]
        states = self._read([*context, *draft], since=len(context) - 1)
        state = states[0]
        if draft and choice.of(self._logits(state), context) == draft[0]:
            context += draft
            state = states[-1]
        while len(context) < end:
            context.append(choice.of(self._logits(state), context))
            if context[-1] in stop_ids or len(context) == end:
                break
            state = self._read(context, since=len(context) - 1)[-1]
        return context[len(ids) :]

    @torch.no_grad()
    def states(self, ids: Sequence[int]) -> Tensor:
        """Return the states of `ids` as `Backend.states` says, from one pass over all of them."""
        return self._pass(list(ids), None).float()

    def _logits(self, state: Tensor) -> Tensor:
        """[V] in float32, as `generate` compares them, from a state [H]."""
        return self._model.lm_head(state).float()

    def _read(self, ids: list[int], *, since: int) -> Tensor:
        """Return the states of `ids[since:]`, and have `ids` in the cache."""
        cache, cached = self._cache, len(self._ids)
        shared = min(_shared(self._ids, ids), since)
        # A pass that fails half way leaves some layers longer than others: nothing is kept then.
        self.forget()
        if cache is None or shared == 0:
            cache, shared = DynamicCache(config=self._model.config), 0
        elif cached > shared:
            cache.crop(shared - cached)
        states = self._pass(ids[shared:], cache)
        self._cache, self._ids = cache, ids[:]
        return states[since - shared :]

    def _pass(self, ids: list[int], cache: DynamicCache | None) -> Tensor:
        """Run the network over `ids` after what the cache holds; states [N, H] in its dtype."""
        assert len(ids) <= self.longest, f"{len(ids)} tokens for a model of {self.longest}"
        rest = torch.tensor([ids], device=self._model.device)
        read = self._model.model(rest, cache=cache, use_cache=cache is not None)
        self.forward_passes += 1
        self.tokens_read += len(ids)
        return read.last_hidden_state[0]


@dataclass(frozen=True)
class _Choice:
    """How a token is chosen: the arguments of `Backend.step` of the same names."""

    barred: Tensor  # ids that are suppressed
    barred_logit: float
    repetition_penalty: float

    def of(self, logits: Tensor, context: list[int]) -> int:
        """Return the chosen token; Source of the penalty: Keskar et al. 2019, arXiv:1909.05858."""
        if self.repetition_penalty != 1.0:
            seen = torch.tensor(sorted(set(context)), device=logits.device)
            scores = logits[seen]
            penalty = self.repetition_penalty
            logits[seen] = torch.where(scores < 0, scores * penalty, scores / penalty)
        logits[self.barred] = self.barred_logit
        return int(logits.argmax())


def _shared(left: list[int], right: list[int]) -> int:
    """Length of the longest common prefix."""
    if left == right[: len(left)]:
        return len(left)
    pairs = zip(left, right, strict=False)
    return next(
        (at for at, (left_id, right_id) in enumerate(pairs) if left_id != right_id), len(right)
    )
