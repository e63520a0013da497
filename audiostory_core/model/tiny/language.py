"""The tiny checkpoint's tokenizer and language model, trained on synthetic stories.

Lessons are the published grammar token for token. Only what a decoder may choose is learned: the
64 + 8 forced tokens of a segment carry no loss. In the first part of the training most of them are
left out while all other tokens keep their true positions, which halves its time.
"""

import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen2Tokenizer

from audiostory_core.model.grammar import print_seconds, prompt_ids
from audiostory_core.model.tiny.stories import Story, draw_story
from audiostory_core.model.vocabulary import Vocabulary

QWEN_TOKENS = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>"),
    *("<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>"),
    *("<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>", "<tool_call>"),
    *("</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>"),
    *("<|repo_name|>", "<|file_sep|>"),
)
"""What Qwen2.5 adds to its byte pairs, in order of id."""

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

TOKENIZER_STORIES = 1500
BYTE_PAIRS = 1200  # at most; the stories' words need fewer
LONGEST = 4096  # positions
HIDDEN_SIZE = 64  # H

STEPS = 600
BATCH = 16
STRANGE_SHARE = 0.15  # of the stories
POOL = 8  # batches drawn at a time and sorted by length, so that little is padding
WHOLE_FROM = 0.85  # share of the training after which no forced token is left out
KEPT_FORCED = 6  # tokens of each forced block that stay before that
WARM_UP = 0.1  # share of the training
MATRIX_RATE, VECTOR_RATE = 0.03, 6e-3  # at their peaks
LARGEST_GRADIENT = 1.0

OnStep = Callable[[int, int], None]


def write_tokenizer(folder: Path, seed: int) -> None:
    """Train a byte-level tokenizer and write it as Qwen2.5's, without AudioStory's tokens.

    Args:
        folder: exists.
        seed: of the stories it is trained on.
    """
    chance = random.Random(seed)
    pairs = Tokenizer(models.BPE())
    pairs.pre_tokenizer = Qwen2Tokenizer().backend_tokenizer.pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=BYTE_PAIRS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    stories = (draw_story(chance) for _ in range(TOKENIZER_STORIES))
    texts = ("\n".join(story.texts) for story in stories)
    pairs.train_from_iterator(texts, trainer)

    learned = json.loads(pairs.to_str())["model"]
    merges = [" ".join(pair) for pair in learned["merges"]]
    tokenizer = Qwen2Tokenizer(
        vocab=learned["vocab"],
        merges=[tuple(pair) for pair in learned["merges"]],
        chat_template=CHAT_TEMPLATE,
        model_max_length=LONGEST,
    )
    tokenizer.add_tokens([AddedToken(t, special=True, normalized=False) for t in QWEN_TOKENS])
    tokenizer.eos_token = "<|im_end|>"
    tokenizer.save_pretrained(folder)
    vocab = json.dumps(learned["vocab"], ensure_ascii=False)
    (folder / "vocab.json").write_text(vocab, encoding="utf-8")
    lines = "\n".join(["#version: 0.2", *merges, ""])
    (folder / "merges.txt").write_text(lines, encoding="utf-8")


def language_config(vocabulary: Vocabulary) -> Qwen2Config:
    """Dimensions of the language model; vLLM on a CPU wants heads of 32 or 64."""
    return Qwen2Config(
        architectures=["Qwen2ForCausalLM"],
        vocab_size=len(vocabulary),
        hidden_size=HIDDEN_SIZE,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=LONGEST,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        rms_norm_eps=1e-6,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=vocabulary.im_end,
        pad_token_id=vocabulary.special["<|endoftext|>"],
    )


def train_language(
    vocabulary: Vocabulary, seed: int, steps: int = STEPS, on_step: OnStep | None = None
) -> Qwen2ForCausalLM:
    """Train the language model; no other random numbers are read or moved on than its own.

    Args:
        vocabulary: with AudioStory's tokens.
        seed: of the weights and the stories.
        steps: 0 leaves the weights random.
        on_step: called with the number of steps done and their total; may raise to give up.
    """
    with torch.random.fork_rng(devices=[]):  # transformers fills new weights from torch's own
        model = Qwen2ForCausalLM(language_config(vocabulary)).float()
    _fill(model, torch.Generator().manual_seed(seed))
    optimizers = _optimizers(model)
    batches = _batches(vocabulary, random.Random(seed), steps)
    for step, batch in enumerate(batches):
        _loss(model, batch).backward()  # type: ignore[no-untyped-call]  # torch's own
        torch.nn.utils.clip_grad_norm_(model.parameters(), LARGEST_GRADIENT)
        for optimizer, peak in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = peak * _rate((step + 1) / (steps + 1))
            optimizer.step()
            optimizer.zero_grad()
        if on_step is not None:
            on_step(step + 1, steps)
    return model.eval()


@torch.no_grad()
def _fill(model: Qwen2ForCausalLM, generator: torch.Generator) -> None:
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2:
            parameter.normal_(0, parameter.shape[1] ** -0.5, generator=generator)
            if "o_proj" in name or "down_proj" in name:
                parameter /= 2  # what layers add starts small
        elif name.endswith("bias"):
            parameter.zero_()
        else:
            parameter.fill_(1)


def _optimizers(model: Qwen2ForCausalLM) -> list[tuple[torch.optim.Optimizer, float]]:
    """Each with its peak rate. Muon learns to copy from the instruction in half of Adam's steps."""
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        is_matrix = parameter.ndim == 2 and "embed_tokens" not in name
        (matrices if is_matrix else others).append(parameter)
    return [
        (torch.optim.Muon(matrices, weight_decay=0.0), MATRIX_RATE),
        (torch.optim.AdamW(others, betas=(0.9, 0.98)), VECTOR_RATE),
    ]


def _rate(share: float) -> float:
    """Learning rate as a share of its peak: a short rise, then half a cosine down."""
    if share < WARM_UP:
        return share / WARM_UP
    return 0.5 + 0.5 * math.cos(math.pi * (share - WARM_UP) / (1 - WARM_UP))


@dataclass
class Lesson:
    """A prompt and its answer as token ids, with the true position of each."""

    ids: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    is_learned: list[bool] = field(default_factory=list)
    end: int = 0  # position of the next token

    def add(self, ids: Sequence[int], is_learned: bool) -> None:
        """Append tokens."""
        self.ids += ids
        self.positions += range(self.end, self.end + len(ids))
        self.is_learned += [is_learned] * len(ids)
        self.end += len(ids)

    def add_forced(self, ids: Sequence[int], kept: Sequence[int]) -> None:
        """Append those tokens of a forced block whose indices are kept."""
        self.ids += [ids[index] for index in kept]
        self.positions += [self.end + index for index in kept]
        self.is_learned += [False] * len(kept)
        self.end += len(ids)


def _lesson(vocabulary: Vocabulary, story: Story, chance: random.Random, is_whole: bool) -> Lesson:
    lesson = Lesson()

    def forced(ids: Sequence[int]) -> None:
        indices = range(len(ids))
        lesson.add_forced(ids, indices if is_whole else sorted(chance.sample(indices, KEPT_FORCED)))

    text = vocabulary.encode_text
    lesson.add(prompt_ids(vocabulary, story.instruction), is_learned=False)
    lesson.add([*text(story.reasoning), vocabulary.think_end], is_learned=True)
    for segment in story.segments:
        lesson.add([vocabulary.gen, *text(segment.caption)], is_learned=True)
        seconds = text(print_seconds(segment.duration_s))
        lesson.add([vocabulary.timestamp, *seconds, vocabulary.timestamp_end], is_learned=True)
        lesson.add([vocabulary.t5], is_learned=True)
        forced(vocabulary.semantic)
        lesson.add([vocabulary.t5_end], is_learned=False)
        lesson.add([vocabulary.aud], is_learned=True)  # the release does not force this one
        forced(vocabulary.residual)
        lesson.add([vocabulary.aud_end], is_learned=False)
        lesson.add([vocabulary.gen_end], is_learned=True)
    lesson.add([vocabulary.im_end], is_learned=True)
    return lesson


@dataclass(frozen=True)
class Batch:
    """Lessons side by side, each [B, T]; behind a short one is padding, which nothing reads."""

    ids: Tensor
    positions: Tensor
    is_learned: Tensor


def _batches(vocabulary: Vocabulary, chance: random.Random, steps: int) -> Iterator[Batch]:
    whole_from = round(WHOLE_FROM * steps)
    for first in range(0, steps, POOL):
        size = min(POOL, steps - first)
        wholes = sum(step >= whole_from for step in range(first, first + size))
        parts = []
        for count, is_whole in ((size - wholes, False), (wholes, True)):
            stories = [draw_story(chance, STRANGE_SHARE) for _ in range(count * BATCH)]
            lessons = [_lesson(vocabulary, story, chance, is_whole) for story in stories]
            lessons.sort(key=lambda lesson: len(lesson.ids))
            batches = [lessons[at : at + BATCH] for at in range(0, len(lessons), BATCH)]
            chance.shuffle(batches)
            parts += batches
        yield from map(_stacked, parts)


def _stacked(lessons: Sequence[Lesson]) -> Batch:
    longest = max(len(lesson.ids) for lesson in lessons)

    def stack(rows: list[list[int]]) -> Tensor:
        return torch.tensor([row + [0] * (longest - len(row)) for row in rows])

    return Batch(
        ids=stack([lesson.ids for lesson in lessons]),
        positions=stack([lesson.positions for lesson in lessons]),
        is_learned=stack([[int(flag) for flag in lesson.is_learned] for lesson in lessons]).bool(),
    )


def _loss(model: Qwen2ForCausalLM, batch: Batch) -> Tensor:
    states = model.model(
        input_ids=batch.ids,
        position_ids=batch.positions,
        attention_mask=torch.ones_like(batch.ids),  # or gaps in positions would part a lesson
        use_cache=False,
    ).last_hidden_state  # [B, T, H]
    learned = batch.is_learned[:, 1:]
    logits = F.linear(states[:, :-1][learned], model.lm_head.weight)
    return F.cross_entropy(logits, batch.ids[:, 1:][learned])
