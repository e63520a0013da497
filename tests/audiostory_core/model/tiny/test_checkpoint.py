import hashlib
import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from audiostory_core.errors import BadInput
from audiostory_core.model.generation import generate
from audiostory_core.model.grammar import print_seconds, prompt_ids
from audiostory_core.model.tiny.checkpoint import write_tiny
from audiostory_core.model.tiny.stories import draw_story
from audiostory_core.model.vocabulary import ADDED_TOKENS, Vocabulary
from audiostory_core.model.weights.loading import Weights
from audiostory_core.model.weights.published import find_sources, read_checkpoint
from audiostory_core.quality.checks import Expectation, examine
from audiostory_core.quality.measures import measure
from tests.support import golden_recipe

HELD_OUT = 30
HELD_OUT_SEED = 1 << 40  # no training draws its stories from it
LAYOUT = {
    "audiostory_3b/pytorch_model.bin",
    "Flux_detokenizer/config.json",
    "Flux_detokenizer/model.safetensors",
    "Qwen2.5-3B-Instruct/chat_template.jinja",
    "Qwen2.5-3B-Instruct/config.json",
    "Qwen2.5-3B-Instruct/generation_config.json",
    "Qwen2.5-3B-Instruct/merges.txt",
    "Qwen2.5-3B-Instruct/tokenizer.json",
    "Qwen2.5-3B-Instruct/tokenizer_config.json",
    "Qwen2.5-3B-Instruct/vocab.json",
    "flan-t5-large/config.json",
}


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def flat(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "audiostory_3b" / "pytorch_model.bin", weights_only=True)


def test_the_folder_is_laid_out_as_published(untrained: Path) -> None:
    assert hashes(untrained).keys() == LAYOUT


def test_the_tensors_bear_the_published_names(untrained: Path) -> None:
    given = flat(untrained)
    assert given.keys() == golden_recipe.published_tensors().keys()
    assert all(tensor.isfinite().all() for tensor in given.values())


def test_the_strict_reader_takes_it_as_it_is(untrained: Path) -> None:
    checkpoint = read_checkpoint(find_sources(untrained))
    assert checkpoint.config.longest_s == pytest.approx(29.954, abs=1e-3)
    assert checkpoint.config.vae.hop == 2048


def test_the_tokenizer_lacks_the_added_tokens_and_the_embedding_has_them(untrained: Path) -> None:
    folder = untrained / "Qwen2.5-3B-Instruct"
    bare = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    assert not set(ADDED_TOKENS) & bare.get_vocab().keys()
    assert bare.eos_token == "<|im_end|>"

    vocabulary = Vocabulary.load(folder)
    ids = [vocabulary.special[token] for token in ADDED_TOKENS]
    assert len(ids) == 612
    assert ids == list(range(len(bare), len(bare) + 612))
    embedding = flat(untrained)["seedx.llm.base_model.model.model.embed_tokens.weight"]
    assert embedding.shape[0] == len(vocabulary) == len(bare) + 612


@pytest.mark.parametrize(
    "text", ["rain", "雨が降る。", "Ça coûte 5 €", "🎻\n\t<|gen|> </t5>", "\x00\u202e"]
)
def test_any_text_is_encoded_and_comes_back(untrained: Path, text: str) -> None:
    vocabulary = Vocabulary.load(untrained / "Qwen2.5-3B-Instruct")
    assert vocabulary.decode(vocabulary.encode_text(text)) == text


def test_vllm_on_a_cpu_takes_the_width_of_the_heads(untrained: Path) -> None:
    config = json.loads((untrained / "Qwen2.5-3B-Instruct" / "config.json").read_text())
    assert config["hidden_size"] // config["num_attention_heads"] in (32, 64)
    assert config["max_position_embeddings"] == 4096


def test_lora_makes_a_difference(untrained: Path) -> None:
    given = flat(untrained)
    stems = [key.removesuffix(".lora_A.default.weight") for key in given if "lora_A" in key]
    assert len(stems) == 14
    for stem in stems:
        lora_a = given[f"{stem}.lora_A.default.weight"]
        lora_b = given[f"{stem}.lora_B.default.weight"]
        assert lora_a.shape[0] == lora_b.shape[1] == 4
        share = (lora_b @ lora_a).norm() / given[f"{stem}.weight"].norm()
        assert 0.01 < share < 1


def test_a_seed_gives_the_same_files(tmp_path: Path) -> None:
    for name, seed in (("one", 3), ("same", 3), ("other", 4)):
        write_tiny(tmp_path / name, seed, steps=2)
    one, same, other = (hashes(tmp_path / name) for name in ("one", "same", "other"))
    assert one == same
    assert one["audiostory_3b/pytorch_model.bin"] != other["audiostory_3b/pytorch_model.bin"]


def test_an_empty_folder_is_filled_and_no_global_random_number_is_drawn(tmp_path: Path) -> None:
    state, other = torch.get_rng_state(), random.getstate()
    told: list[tuple[int, int]] = []
    write_tiny(tmp_path, on_step=lambda step, steps: told.append((step, steps)), steps=2)
    assert hashes(tmp_path).keys() == LAYOUT
    assert torch.equal(torch.get_rng_state(), state)
    assert random.getstate() == other
    assert told == [(1, 2), (2, 2)]


def test_giving_up_leaves_nothing(tmp_path: Path) -> None:
    def give_up(step: int, steps: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_tiny(tmp_path / "deep" / "tiny", on_step=give_up, steps=2)
    assert not list((tmp_path / "deep").iterdir())


def test_a_folder_that_is_taken_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for taken in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(BadInput, match=r"^folder "):
            write_tiny(taken, steps=0)
    with pytest.raises(BadInput, match="cannot be written"):
        write_tiny(tmp_path / "notes.txt" / "tiny", steps=0)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(("field", "values"), [("seed", {"seed": -1}), ("steps", {"steps": -1})])
def test_a_number_out_of_range_is_refused(
    tmp_path: Path, field: str, values: dict[str, int]
) -> None:
    with pytest.raises(BadInput, match=rf"^{field} "):
        write_tiny(tmp_path / "tiny", **values)


def test_stories_state_durations_that_add_up() -> None:
    chance = random.Random(5)
    for _ in range(200):
        story = draw_story(chance)
        assert 2 <= len(story.segments) <= 6
        durations = [one.duration_s for one in story.segments]
        assert all(1.0 <= duration_s <= 26.9 for duration_s in durations)
        assert all(one.caption in story.instruction for one in story.segments)
        if "total" in story.instruction:
            assert f" {print_seconds(sum(durations))} seconds" in story.instruction


@pytest.mark.parametrize("is_parity", [False, True])
def test_held_out_instructions_become_whole_segments(tiny_weights: Path, is_parity: bool) -> None:
    weights = Weights.open(tiny_weights)
    model = weights.language_model("cpu", torch.float32)
    vocabulary = Vocabulary.load(weights.llm_folder)
    chance = random.Random(HELD_OUT_SEED)
    good = ended = 0
    for _ in range(HELD_OUT):
        prompt = prompt_ids(vocabulary, draw_story(chance).instruction)
        generation = generate(model, vocabulary, prompt, is_parity=is_parity)
        whole = [one for one in generation.segments if one.is_whole and one.problem is None]
        good += len(whole) >= 2
        ended += generation.ids[-1] == vocabulary.im_end
    assert good >= 25
    assert ended >= 25


def test_clips_are_heard_and_not_clipped(tiny_weights: Path) -> None:
    weights = Weights.open(tiny_weights)
    synthesizer = weights.synthesizer("cpu", torch.float32)
    bridge = weights.bridge("cpu", torch.float32)
    generator = torch.Generator().manual_seed(11)
    width = weights.config.hidden_size
    states = [torch.randn(2, tokens, width, generator=generator) for tokens in (64, 8)]
    latents = synthesizer.sample(synthesizer.fuse(*bridge(*states)), [3.0, 6.0], [1, 2], steps=10)
    clips = synthesizer.decode(latents, [132_300, 264_600])
    for clip in clips:
        assert examine(measure(clip, clip.shape[1]), Expectation()) == ()
        assert 0.3 <= np.abs(clip).max() <= 0.9
    assert not np.array_equal(clips[0], clips[1][:, : clips[0].shape[1]])
