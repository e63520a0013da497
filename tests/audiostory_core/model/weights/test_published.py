"""Reading the published layout: what is refused, and how."""

import json
import os
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from audiostory_core.errors import BadInput
from audiostory_core.model.weights.published import Checkpoint, find_sources, read_checkpoint
from audiostory_core.model.weights.tensor_files import check_sums
from tests.support import golden_recipe
from tests.support.published_checkpoint import ADAPTED, PLAIN, merge, write_published

BIN = "audiostory_3b/pytorch_model.bin"
LAYER = f"{ADAPTED}model.layers.1"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return write_published(tmp_path_factory.mktemp("published") / "ckpt")


@pytest.fixture
def own(published: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return shutil.copytree(published, tmp_path / "ckpt")


def read(folder: Path, **apart: Path) -> Checkpoint:
    return read_checkpoint(find_sources(folder, **apart))


def edit(folder: Path, change) -> None:
    """Change the flat dict of a published folder."""
    flat = torch.load(folder / BIN, weights_only=True)
    change(flat)
    torch.save(flat, folder / BIN)


def assert_refused(folder: Path, *told: str, **apart: Path) -> None:
    with pytest.raises(BadInput) as caught:
        read(folder, **apart)
    assert caught.value.field == "weights"
    assert str(folder) in str(caught.value.value)
    for words in told:
        assert words in caught.value.problem


def test_every_tensor_is_read_under_our_name(published: Path) -> None:
    checkpoint = read(published)
    known = checkpoint.config.as_dict() | {"text_encoder": golden_recipe.config().text_encoder}
    assert known == golden_recipe.config().as_dict()
    assert checkpoint.llm_config["vocab_size"] == 1834
    assert "model.layers.1.mlp.up_proj.weight" in checkpoint.llm
    assert "audio_projector.2.bias" in checkpoint.bridge
    assert "duration_embedder.time_positional_embedding.1.weight" in checkpoint.dit
    assert checkpoint.continuation == {}


def test_norms_are_those_that_were_trained(published: Path) -> None:
    flat = golden_recipe.published_tensors()
    norm = read(published).llm["model.layers.1.input_layernorm.weight"].base
    assert torch.equal(norm, flat[f"{LAYER}.input_layernorm.modules_to_save.default.weight"])


def test_merged_layout_reads_as_the_adapted_one(published: Path, tmp_path: Path) -> None:
    adapted, merged = read(published), read(write_published(tmp_path / "ckpt", merge))
    for name, stored in adapted.llm.items():
        ours = torch.cat(list(stored.blocks(torch.float32)))
        assert torch.allclose(ours, merged.llm[name].base, atol=1e-6), name


@pytest.mark.parametrize(
    "key",
    [
        "multihead_attention.in_proj_bias",
        "tangoflux.transformer.proj_out.weight",
        "tangoflux.text_encoder.shared.weight",
        "seedx.audio_projector.2.weight",
        f"{ADAPTED}lm_head.weight",
        f"{LAYER}.self_attn.q_proj.bias",
        f"{LAYER}.mlp.down_proj.lora_A.default.weight",
        f"{LAYER}.mlp.down_proj.lora_B.default.weight",
        f"{LAYER}.input_layernorm.modules_to_save.default.weight",
    ],
)
def test_missing_tensor_is_named(own: Path, key: str) -> None:
    if key.endswith("lm_head.weight"):
        set_llm(own, tie_word_embeddings=False)
    edit(own, lambda flat: flat.pop(key))
    assert_refused(own, f"lacks {key}")


@pytest.mark.parametrize(
    "key",
    [
        "optimizer.step",
        "seedx.projector.4.weight",
        "multihead_attention.bias_k",
        "tangoflux.transformer.extra.weight",
        f"{LAYER}.self_attn.q_proj.lora_C.default.weight",
        f"{ADAPTED}model.layers.2.self_attn.q_proj.weight",
        f"{PLAIN}model.norm.weight",
    ],
)
def test_unexpected_tensor_is_named(own: Path, key: str) -> None:
    edit(own, lambda flat: flat.update({key: torch.zeros(1)}))
    assert_refused(own, f"holds {key}, which the network does not know")


@pytest.mark.parametrize(
    "key",
    [
        "multihead_attention.in_proj_bias",
        "tangoflux.fc.0.weight",
        f"{LAYER}.mlp.up_proj.weight",
        f"{LAYER}.mlp.up_proj.lora_A.default.weight",
        f"{LAYER}.mlp.up_proj.lora_B.default.weight",
        f"{ADAPTED}model.embed_tokens.weight",
    ],
)
def test_misshapen_tensor_is_named_with_both_shapes(own: Path, key: str) -> None:
    shape = list(golden_recipe.published_tensors()[key].shape)
    edit(own, lambda flat: flat.update({key: flat[key].unsqueeze(-1)}))
    assert_refused(own, f"holds {key} of shape {[*shape, 1]}", str(shape)[:4])


def test_embedding_of_fewer_rows_than_the_vocabulary_is_an_error(own: Path) -> None:
    key = f"{ADAPTED}model.embed_tokens.weight"
    edit(own, lambda flat: flat.update({key: flat[key][:1222]}))
    assert_refused(own, f"holds {key} of shape [1222, 64], not [1834, 64]")


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.float64, torch.bool])
def test_tensor_of_another_kind_of_number_is_named(own: Path, dtype: torch.dtype) -> None:
    key = "tangoflux.fc.0.bias"
    edit(own, lambda flat: flat.update({key: flat[key].to(dtype)}))
    assert_refused(own, f"holds {key} in {str(dtype).removeprefix('torch.')}")


def test_resamplers_are_kept_for_continuation(own: Path) -> None:
    key = "seedx.whisper_resampler_llava.aud_projector.0.weight"
    edit(
        own,
        lambda flat: flat.update({key: torch.ones(4, 2), "seedx.input_resampler.x": torch.ones(1)}),
    )
    kept = read(own).continuation
    assert sorted(kept) == ["input_resampler.x", key.removeprefix("seedx.")]


class Payload:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize(
    "save", [torch.save, lambda what, path: path.write_bytes(pickle.dumps(what))]
)
def test_pickle_that_holds_code_is_refused_and_nothing_runs(
    own: Path, tmp_path: Path, save
) -> None:
    proof = tmp_path / "executed"
    save({"weights": Payload(proof)}, own / BIN)
    assert_refused(own, "")
    assert not proof.exists()
    with (own / BIN).open("rb") as file:  # the payload works where it is trusted
        torch.load(file, weights_only=False) if save is torch.save else pickle.load(file)
    assert proof.exists()


def test_refusal_of_code_says_so(own: Path) -> None:
    torch.save({"weights": Payload(own / "executed")}, own / BIN)
    assert_refused(own, "holds code or objects beside tensors")


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04"])
def test_file_that_is_none_of_torch_is_an_error(own: Path, content: bytes) -> None:
    (own / BIN).write_bytes(content)
    assert_refused(own, "")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.999])
def test_file_that_is_cut_short_is_an_error(own: Path, part: float) -> None:
    content = (own / BIN).read_bytes()
    (own / BIN).write_bytes(content[: int(len(content) * part)])
    assert_refused(own, "cut short, damaged")


def test_flipped_bit_is_found_by_the_checksums(own: Path) -> None:
    content = bytearray((own / BIN).read_bytes())
    content[len(content) // 2] ^= 1
    (own / BIN).write_bytes(content)
    with pytest.raises(BadInput, match=r"is damaged.*Bad CRC-32"):
        check_sums(own / BIN, lambda more: None)


@pytest.mark.parametrize("what", [torch.ones(3), [torch.ones(3)], {"a": 1}, {1: torch.ones(3)}])
def test_file_of_other_things_than_named_tensors_is_an_error(own: Path, what: object) -> None:
    torch.save(what, own / BIN)
    assert_refused(own, "holds")


def test_sparse_tensor_is_an_error(own: Path) -> None:
    key = "tangoflux.fc.0.weight"
    edit(own, lambda flat: flat.update({key: flat[key].to_sparse()}))
    assert_refused(own, f"holds {key} as a sparse")


def test_parameters_are_tensors(own: Path) -> None:
    key = "tangoflux.fc.0.weight"
    edit(own, lambda flat: flat.update({key: torch.nn.Parameter(flat[key])}))
    assert not read(own).dit["fc.0.weight"].base.requires_grad


@pytest.mark.parametrize("part", [0.0, 0.001, 0.5])
def test_autoencoder_that_is_cut_short_is_an_error(own: Path, part: float) -> None:
    path = own / "Flux_detokenizer" / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    assert_refused(own, "cannot be read as safetensors")


def test_tensor_that_the_autoencoder_lacks_is_named(own: Path) -> None:
    path = own / "Flux_detokenizer" / "model.safetensors"
    tensors = load_file(path)
    del tensors["decoder.conv1.bias"]
    path.unlink()
    save_file(tensors, path)
    assert_refused(own, "lacks decoder.conv1.bias")


@pytest.mark.parametrize(
    ("gone", "told"),
    [
        (BIN, "holds no pytorch_model.bin"),
        ("Flux_detokenizer", "holds no folder Flux_detokenizer"),
        ("Flux_detokenizer/config.json", "holds no Flux_detokenizer/config.json"),
        ("Flux_detokenizer/model.safetensors", "cannot be read as safetensors"),
        ("Qwen2.5-3B-Instruct", "holds no folder of Qwen2.5-3B-Instruct"),
        ("Qwen2.5-3B-Instruct/vocab.json", "vocab.json"),
    ],
)
def test_missing_part_is_named(own: Path, gone: str, told: str) -> None:
    path = own / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert_refused(own, told)


def test_folder_that_is_no_checkpoint_is_an_error(tmp_path: Path) -> None:
    assert_refused(tmp_path, "is no checkpoint")
    assert_refused(tmp_path / "nothing", "is no folder")


def test_folders_may_be_given_apart(own: Path, tmp_path: Path) -> None:
    llm = (own / "Qwen2.5-3B-Instruct").rename(tmp_path / "elsewhere")
    text_encoder = (own / "flan-t5-large").rename(tmp_path / "t5")
    assert read(own, llm=llm, text_encoder=text_encoder).config.dit == golden_recipe.config().dit


def test_weights_may_lie_in_the_folder_itself(own: Path) -> None:
    (own / BIN).rename(own / "pytorch_model.bin")
    assert read(own).config.dit == golden_recipe.config().dit


def test_text_encoder_is_read_from_its_folder_where_the_dict_lacks_it(own: Path) -> None:
    prefix, shared = "tangoflux.text_encoder.", {}

    def move(flat) -> None:
        for key in [key for key in flat if key.startswith(prefix)]:
            shared[key.removeprefix(prefix)] = flat.pop(key)

    edit(own, move)
    del shared["encoder.embed_tokens.weight"]
    shared["decoder.final_layer_norm.weight"] = torch.ones(1024)
    save_file(shared, own / "flan-t5-large" / "model.safetensors")
    encoder = read(own).text_encoder
    assert "encoder.final_layer_norm.weight" in encoder
    shutil.rmtree(own / "flan-t5-large")
    assert_refused(own, "lacks tangoflux.text_encoder.*")


def set_llm(folder: Path, **values: object) -> None:
    path = folder / "Qwen2.5-3B-Instruct" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    "values",
    [
        {"hidden_size": 65},
        {"hidden_size": "64"},
        {"num_hidden_layers": 10**9},
        {"num_attention_heads": 0},
        {"num_key_value_heads": 3},
        {"intermediate_size": None},
        {"rope_parameters": 3},
        {"hidden_act": "none of them"},
    ],
)
def test_language_model_that_cannot_be_is_an_error(own: Path, values: dict[str, object]) -> None:
    set_llm(own, **values)
    assert_refused(own, "")


@pytest.mark.parametrize(
    "values",
    [{"num_layers": 10**7}, {"audio_seq_len": -1}, {"attention_head_dim": 64}, {"vae": []}],
)
def test_dit_that_cannot_be_is_an_error(own: Path, values: dict[str, object]) -> None:
    path = own / "Flux_detokenizer" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    assert_refused(own, "describes no network")


def set_yaml(folder: Path, text: str) -> None:
    (folder / "audiostory_3b" / "config.yaml").write_text(text)


def test_feature_scale_and_lora_scale_are_read_from_config_yaml(own: Path) -> None:
    set_yaml(
        own,
        "agent_model: {_target_: os.system, t5_feature_scale: 5}\n"
        "llm_model: {peft_config: {r: 4, lora_alpha: 8}}\n"
        "train_dataset: {datapipes: [{num_t5_out_tokens: 64, num_aud_out_tokens: 8}]}\n",
    )
    checkpoint = read(own)
    assert checkpoint.config.feature_scale == 5.0
    assert checkpoint.llm["model.layers.0.mlp.up_proj.weight"].lora_scale == 2.0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "is no YAML"),
        ("!!python/object/apply:os.system ['touch executed']", "is no YAML"),
        ("agent_model: {t5_feature_scale: many}", "t5_feature_scale"),
        ("agent_model: {t5_feature_scale: 0}", "t5_feature_scale"),
        ("agent_model: {t5_feature_scale: .nan}", "t5_feature_scale"),
        ("train_dataset: {datapipes: [{num_t5_out_tokens: 32}]}", "num_t5_out_tokens: 32"),
    ],
)
def test_config_yaml_that_cannot_be_used_is_an_error(own: Path, text: str, told: str) -> None:
    set_yaml(own, text)
    assert_refused(own, told)
    assert not Path("executed").exists()


def test_config_yaml_of_other_things_changes_nothing(own: Path) -> None:
    set_yaml(own, "- just\n- a list\n")
    assert read(own).config.dit == golden_recipe.config().dit
