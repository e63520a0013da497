"""What a story costs the language model: as the release reads and writes it, and as it is done here.

    python -m bench.interleave [--sizes tiny small] [--clips 5] [--times 3]
    python -m bench.interleave --weights FOLDER [--clips 5]
    python -m bench.interleave --real [--device cuda]

*published* is the release's loop: stock `generate` with two logits processors, one forward pass per
token, the states of all layers kept for every token. *free* is `decoding.tell`, *approved* is
`decoding.read_window` of the same ids. All three have the same weights and take turns in one run.

Weights are random, so the head is told what to choose: it computes its logits in full, then the
next token of a written story gets the largest. With `--weights` (of a trained checkpoint, as
published or converted) the model writes its own words instead, and whether both loops write the
same is printed. `--real` has the published 3B dimensions, in fp16.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import LogitsProcessorList, Qwen2Config, Qwen2ForCausalLM

from audiostory_core.model.generation import MAX_TOKENS, generate, read_window, window_of
from audiostory_core.model.grammar import (
    Generation,
    States,
    Written,
    parse,
    prompt_ids,
    residual_block,
    segment_ids,
    semantic_block,
)
from audiostory_core.model.llm import LanguageModel
from audiostory_core.model.tiny.language import language_config, write_tokenizer
from audiostory_core.model.tiny.stories import Story, draw_story
from audiostory_core.model.vocabulary import Vocabulary
from audiostory_core.model.weights.loading import open_weights
from tests.support.reference_generation import Chain, states_by_search

SMALL = {
    "hidden_size": 512,
    "intermediate_size": 1408,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
}
MEDIUM = {
    "hidden_size": 1024,
    "intermediate_size": 2816,
    "num_hidden_layers": 16,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
}
REAL = {
    "hidden_size": 2048,
    "intermediate_size": 11008,
    "num_hidden_layers": 36,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "vocab_size": 152_277,
    "max_position_embeddings": 32_768,
}
SIZES: dict[str, dict[str, int]] = {"tiny": {}, "small": SMALL, "medium": MEDIUM, "real": REAL}
DICTATED = 1e4  # a logit that no other reaches, also in fp16
LARGEST_SEED = 10_000


class Dictation(nn.Module):
    """A head that computes its logits and then lets the next of `choices` win."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head
        self.choices: Iterator[int] = iter(())

    def forward(self, state: Tensor) -> Tensor:
        """Logits of states [..., H]; one position per call."""
        logits: Tensor = self.head(state)
        logits[..., next(self.choices)] = DICTATED
        return logits


@dataclass
class Count:
    """Passes of a network, and the positions it ran over."""

    passes: int = 0
    tokens: int = 0

    def __call__(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Be a hook that runs before each pass."""
        ids = args[0] if args else kwargs["input_ids"]
        self.passes += 1
        self.tokens += ids.shape[1]


@dataclass
class Cost:
    """What one way took."""

    passes: int = 0
    tokens: int = 0
    kept_bytes: int = 0  # of states, when the way is done
    seconds: list[float] = field(default_factory=list)
    processor_s: list[float] = field(default_factory=list)


class Bench:
    """Three ways through the same story.

    Args:
        model: on its device.
        vocabulary: of the same network.
        story: whose instruction is read.
        is_dictated: whether the model is told to write this very story.
    """

    def __init__(
        self, model: Qwen2ForCausalLM, vocabulary: Vocabulary, story: Story, *, is_dictated: bool
    ) -> None:
        self.model = model
        self.vocabulary = vocabulary
        self.prompt = prompt_ids(vocabulary, story.instruction)
        self.count = Count()
        model.model.register_forward_pre_hook(self.count, with_kwargs=True)
        self.dictation: Dictation | None = None
        self.costs = {"published": Cost(), "free": Cost(), "approved": Cost()}
        self.written: tuple[int, ...] = ()
        if is_dictated:
            self.dictation = Dictation(model.lm_head)
            model.lm_head = self.dictation
            self.written = written_ids(vocabulary, story)

    def published(self) -> tuple[list[int], list[States], int]:
        """Ids, states and the bytes of all states that are kept, by stock `generate`."""
        words = self.vocabulary
        if self.dictation is not None:
            self.dictation.choices = iter(self.written)
        chains = [Chain(semantic_block(words)), Chain(residual_block(words))]
        ids = torch.tensor([self.prompt], device=self.model.device)
        output = self.model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            logits_processor=LogitsProcessorList(chains),
            do_sample=False,
            max_new_tokens=MAX_TOKENS,
            repetition_penalty=1.0,
            eos_token_id=sorted(words.ends),
            pad_token_id=max(words.ends),
            output_hidden_states=True,
            return_dict_in_generate=True,
        )
        kept = sum(layer.nbytes for step in output.hidden_states for layer in step)
        states = torch.cat([layers[-1] for layers in output.hidden_states], dim=1)[0]
        written = output.sequences[0, len(self.prompt) :].tolist()
        return written, states_by_search(words, written, states[len(self.prompt) :]), kept

    def free(self) -> Generation:
        """What `generate` writes."""
        if self.dictation is not None:
            self.dictation.choices = iter(chosen(self.vocabulary, self.written))
        return generate(LanguageModel(self.model), self.vocabulary, self.prompt)

    def approved(self, generation: Generation) -> list[States]:
        """States of what was told, forced."""
        backend = LanguageModel(self.model)
        scenes = [
            Written(segment.caption, segment.duration_s, segment.caption_ids)
            for segment in generation.segments
            if segment.duration_s is not None
        ]
        window = window_of(
            self.vocabulary,
            self.prompt,
            generation.reasoning_ids,
            (),
            scenes,
            longest=backend.longest,
        )
        return read_window(backend, window)

    def measure(self, way: str, run: Callable[[], Any]) -> Any:
        """Run a way once and remember what it took."""
        self.count.passes = self.count.tokens = 0
        _wait(self.model.device)
        started, worked = time.perf_counter(), time.process_time()
        result = run()
        _wait(self.model.device)
        cost = self.costs[way]
        cost.processor_s.append(time.process_time() - worked)
        cost.seconds.append(time.perf_counter() - started)
        cost.passes, cost.tokens = self.count.passes, self.count.tokens
        return result

    def run(self, times: int) -> None:
        """Take turns, and print how far the ways agree."""
        told = parse(self.vocabulary, self.written) if self.dictation else self.free()
        self.approved(told)  # untimed: whatever libraries do once
        for _ in range(times):
            ids, published, kept = self.measure("published", self.published)
            free = self.measure("free", self.free)
            approved = self.measure("approved", partial(self.approved, free))
        self.costs["published"].kept_bytes = kept
        ours = [segment.states for segment in free.segments if segment.states is not None]
        for cost, states in ((self.costs["free"], ours), (self.costs["approved"], approved)):
            cost.kept_bytes = sum(part.nbytes for pair in states for part in pair)
        same = "the same" if tuple(ids) == free.ids else "NOT the same"
        print(f"\n{len(published)} clips; both loops wrote {same} {len(free.ids)} tokens")
        scale = max(float(part.abs().max()) for pair in published for part in pair)
        for name, states in (("free", ours), ("approved", approved)):
            print(
                f"largest difference, {name}: {_difference(published, states):.1e} of {scale:.1f}"
            )


def written_ids(vocabulary: Vocabulary, story: Story) -> tuple[int, ...]:
    """A story as the model would write it."""
    ids = [*vocabulary.encode_text(story.reasoning), vocabulary.think_end]
    for segment in story.segments:
        ids += segment_ids(vocabulary, Written(segment.caption, segment.duration_s))
    return (*ids, vocabulary.im_end)


def chosen(vocabulary: Vocabulary, ids: Sequence[int]) -> list[int]:
    """Those of the ids that follow from no token before them."""
    forced = len(semantic_block(vocabulary)[1:] + residual_block(vocabulary))
    free, at = [], 0
    while at < len(ids):
        free.append(ids[at])
        at += 1 + (forced if ids[at] == vocabulary.t5 else 0)
    return free


def story_of(clips: int) -> Story:
    """A synthetic story of so many clips, 2 … 6."""
    stories = (draw_story(random.Random(seed)) for seed in range(LARGEST_SEED))
    return next(story for story in stories if len(story.segments) == clips)


def random_model(vocabulary: Vocabulary, size: str, device: str) -> Qwen2ForCausalLM:
    """A language model of random weights."""
    dimensions = language_config(vocabulary).to_dict() | SIZES[size]
    del dimensions["layer_types"]  # of as many layers as there were
    with torch.device(device):
        model = Qwen2ForCausalLM(Qwen2Config(**dimensions))
    return model.to(torch.float16 if size == "real" else torch.float32).eval()


def show(name: str, costs: dict[str, Cost]) -> None:
    """Print a table."""
    columns = f"{name} | passes | positions read | states kept | time (least … most)"
    print(f"\n| {columns} | | by processor time |\n{'|---' * 7}|")
    slow = statistics.median(costs["published"].seconds)
    busy = statistics.median(costs["published"].processor_s)
    for way, cost in costs.items():
        median = statistics.median(cost.seconds)
        spread = f"{1000 * min(cost.seconds):.1f} … {1000 * max(cost.seconds):.1f}"
        print(
            f"| {way} | {cost.passes:,} | {cost.tokens:,} | {cost.kept_bytes / 1e6:.2f} MB "
            f"| {1000 * median:.1f} ms ({spread}) | {slow / median:.1f} × "
            f"| {busy / statistics.median(cost.processor_s):.1f} × |",
            flush=True,
        )


def _difference(left: Sequence[States], right: Sequence[States]) -> float:
    if len(left) != len(right):
        return float("nan")
    pairs = zip(left, right, strict=True)
    return max(
        float((one.float() - other.float()).abs().max())
        for pair in pairs
        for one, other in zip(*pair, strict=True)
    )


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    """Print a table for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["tiny", "small"])
    parser.add_argument("--clips", type=int, choices=range(2, 7), default=5)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--device")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    sizes = ["real"] if given.real else given.sizes
    device = given.device or ("cuda" if given.real else "cpu")
    if device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("there is no GPU")
    story = story_of(given.clips)
    with tempfile.TemporaryDirectory() as folder:
        if given.weights is not None:
            llm_folder = open_weights(given.weights, Path(folder)).llm_folder
            vocabulary = Vocabulary.load(llm_folder)
            model = Qwen2ForCausalLM.from_pretrained(llm_folder).to(device).eval()
            bench = Bench(model, vocabulary, story, is_dictated=False)
            bench.run(given.times)
            show("own words", bench.costs)
            return
        write_tokenizer(Path(folder), seed=0)
        vocabulary = Vocabulary.load(Path(folder))
    for size in sizes:
        model = random_model(vocabulary, size, device)
        millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
        bench = Bench(model, vocabulary, story, is_dictated=True)
        bench.run(given.times)
        show(f"{size}, {millions:,.1f} M parameters", bench.costs)


if __name__ == "__main__":
    main()
