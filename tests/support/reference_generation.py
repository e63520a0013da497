"""Decoding as the release does it, from its description: stock `generate` and two processors.

It is the slow reference of `audiostory_core.model.generation`: one forward pass per token.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList, Qwen2ForCausalLM

from audiostory_core.model.grammar import States, residual_block, semantic_block
from audiostory_core.model.vocabulary import Vocabulary


class Chain(LogitsProcessor):
    """After any token of a block but the last, the next is forced; elsewhere all are set to 0."""

    def __init__(self, block: Sequence[int]) -> None:
        self.following = dict(pairwise(block))
        self.inner = torch.tensor(block[1:])

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        for row, last in enumerate(input_ids[:, -1].tolist()):
            if last in self.following:
                scores[row, self.following[last]] = scores[row].max() + 10.0
            else:
                scores[row, self.inner] = 0.0
        return scores


def generate(
    model: Qwen2ForCausalLM,
    vocabulary: Vocabulary,
    prompt: Sequence[int],
    *,
    max_new_tokens: int = 1600,
    repetition_penalty: float = 1.0,
) -> tuple[list[int], Tensor]:
    """Return what is written after the prompt, and its states [N, H] in the release's indices."""
    chains = [Chain(semantic_block(vocabulary)), Chain(residual_block(vocabulary))]
    ids = torch.tensor([list(prompt)])
    output = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        logits_processor=LogitsProcessorList(chains),
        do_sample=False,
        max_new_tokens=max_new_tokens,
        repetition_penalty=repetition_penalty,
        eos_token_id=sorted(vocabulary.ends),
        pad_token_id=max(vocabulary.ends),
        output_hidden_states=True,
        return_dict_in_generate=True,
    )
    states = torch.cat([layers[-1] for layers in output.hidden_states], dim=1)[0]
    return output.sequences[0, len(prompt) :].tolist(), states[len(prompt) :]


def states_by_search(vocabulary: Vocabulary, ids: Sequence[int], states: Tensor) -> list[States]:
    """Cut states as the release does: the 64 before each `</t5>`, the 8 before each `</aud>`."""
    t5_ends = [at for at, token in enumerate(ids) if token == vocabulary.t5_end]
    aud_ends = [at for at, token in enumerate(ids) if token == vocabulary.aud_end]
    return [
        States(states[t5_end - 64 : t5_end], states[aud_end - 8 : aud_end])
        for t5_end, aud_end in zip(t5_ends, aud_ends, strict=True)
    ]
