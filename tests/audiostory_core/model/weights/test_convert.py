"""Converting a published checkpoint to our layout."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from audiostory_core.errors import BadInput
from audiostory_core.model.vocabulary import ADDED_TOKENS
from audiostory_core.model.weights.convert import convert
from audiostory_core.model.weights.loading import Weights, open_weights
from audiostory_core.model.weights.manifest import Manifest, hash_file
from tests.support import golden_recipe
from tests.support.disks import Disk, mount_disk
from tests.support.golden_network import make_language_model, make_unconditional
from tests.support.large_checkpoint import write_large
from tests.support.published_checkpoint import ADAPTED, write_published
from tests.support.subprocesses import run_apart

__all__ = ["mount_disk"]  # a fixture

BIN = "audiostory_3b/pytorch_model.bin"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return write_published(tmp_path_factory.mktemp("published") / "ckpt")


@pytest.fixture(scope="module")
def folder(published: Path) -> Path:
    target = published.parent / "weights"
    convert(published, target)
    return target


def test_every_file_is_listed_with_its_hash(folder: Path) -> None:
    manifest = Manifest.read(folder)
    found = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    assert set(manifest.files) == found
    for name, record in manifest.files.items():
        assert record.sha256 == hash_file(folder / name)
    assert "continuation.safetensors" not in found


def test_converting_twice_gives_the_same_revision(
    folder: Path, published: Path, tmp_path: Path
) -> None:
    assert convert(published, tmp_path / "again").revision == Manifest.read(folder).revision


def test_tensors_that_are_not_merged_are_bit_identical(folder: Path) -> None:
    flat = golden_recipe.published_tensors()
    llm = load_file(folder / "llm" / "model.safetensors")
    dit = load_file(folder / "dit.safetensors")
    bridge = load_file(folder / "bridge.safetensors")
    vae = load_file(folder / "vae.safetensors")
    assert torch.equal(llm["lm_head.weight"], flat[f"{ADAPTED}lm_head.weight"])
    assert torch.equal(dit["fc.0.weight"], flat["tangoflux.fc.0.weight"])
    assert torch.equal(bridge["projector.2.bias"], flat["seedx.projector.2.bias"])
    assert {name: tensor.dtype for name, tensor in vae.items()} == dict.fromkeys(
        golden_recipe.vae_tensors(), torch.float32
    )
    for name, tensor in golden_recipe.vae_tensors().items():
        assert torch.equal(vae[name], tensor)


def test_language_model_loads_with_transformers_as_it_is(folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(folder / "llm", dtype="auto")
    wanted = make_language_model().state_dict()
    for name, tensor in model.state_dict().items():
        assert torch.allclose(tensor, wanted[name], atol=1e-6, rtol=0.0), name
    assert model.config.tie_word_embeddings is False
    assert model.config.vocab_size == 1834


def test_tokenizer_has_the_added_tokens_at_the_released_ids(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder / "llm")
    ids = tokenizer.convert_tokens_to_ids(list(ADDED_TOKENS))
    assert ids == list(range(1222, 1834))
    prompt = tokenizer(golden_recipe.settings()["prompt"], add_special_tokens=False)["input_ids"]
    assert prompt == golden_recipe.expected()["prompt_ids"].tolist()


def test_generation_is_greedy_without_penalty_and_ends_the_turn(folder: Path) -> None:
    generation = json.loads((folder / "llm" / "generation_config.json").read_text())
    tokenizer = AutoTokenizer.from_pretrained(folder / "llm")
    assert generation["eos_token_id"] == tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert generation["pad_token_id"] == tokenizer.convert_tokens_to_ids("<|endoftext|>")
    assert (generation["repetition_penalty"], generation["do_sample"]) == (1.0, False)


def test_unconditional_embedding_is_the_text_encoders_of_no_text(folder: Path) -> None:
    ours = load_file(folder / "unconditional.safetensors")["unconditional"]
    assert torch.allclose(ours, make_unconditional(), atol=1e-6, rtol=0.0)


def test_head_that_is_the_embedding_is_kept_once(tmp_path: Path) -> None:
    def tie(flat) -> None:
        flat[f"{ADAPTED}lm_head.weight"] = flat[f"{ADAPTED}model.embed_tokens.weight"].clone()

    convert(write_published(tmp_path / "ckpt", tie), tmp_path / "weights")
    assert "lm_head.weight" not in load_file(tmp_path / "weights" / "llm" / "model.safetensors")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "weights" / "llm", dtype="auto")
    assert torch.equal(model.lm_head.weight, model.model.embed_tokens.weight)
    ours = Weights.open(tmp_path / "weights").language_model("cpu", "float32")
    ids = golden_recipe.expected()["prompt_ids"]
    with torch.no_grad():
        states = model.model(input_ids=ids[None]).last_hidden_state[0]
    assert torch.allclose(ours.states(ids.tolist()), states, atol=1e-5)


def test_merged_weight_keeps_the_checkpoints_precision(tmp_path: Path) -> None:
    def halve(flat) -> None:
        for key in flat:
            flat[key] = flat[key].to(torch.bfloat16)

    published = write_published(tmp_path / "ckpt", halve)
    assert convert(published, tmp_path / "weights").dtype == "bfloat16"
    stem = "model.layers.0.mlp.up_proj"
    merged = load_file(tmp_path / "weights" / "llm" / "model.safetensors")[f"{stem}.weight"]
    flat = torch.load(published / BIN, weights_only=True)
    parts = ("weight", "lora_A.default.weight", "lora_B.default.weight")
    base, lora_a, lora_b = (flat[f"{ADAPTED}{stem}.{part}"].float() for part in parts)
    assert torch.equal(merged, (base + lora_b @ lora_a).to(torch.bfloat16))
    assert (
        json.loads((tmp_path / "weights/llm/config.json").read_text())["torch_dtype"] == "bfloat16"
    )


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_dtype_is_that_asked_for_but_the_autoencoder_keeps_its_own(
    published: Path, tmp_path: Path, dtype: str
) -> None:
    convert(published, tmp_path / "weights", dtype=dtype)
    kinds = {}
    for path in (tmp_path / "weights").rglob("*.safetensors"):
        kinds[path.name] = {str(tensor.dtype) for tensor in load_file(path).values()}
    code, kept = f"torch.{dtype}", "torch.float32"
    assert kinds == {
        "model.safetensors": {code},
        "bridge.safetensors": {code},
        "fusion.safetensors": {code},
        "dit.safetensors": {code},
        "vae.safetensors": {kept},
        "unconditional.safetensors": {kept},
    }


def test_resamplers_are_kept(tmp_path: Path) -> None:
    key = "seedx.whisper_resampler_llava.aud_projector.0.weight"
    published = write_published(
        tmp_path / "ckpt", lambda flat: flat.update({key: torch.ones(2, 3)})
    )
    convert(published, tmp_path / "weights")
    kept = load_file(tmp_path / "weights" / "continuation.safetensors")
    assert torch.equal(kept[key.removeprefix("seedx.")], torch.ones(2, 3))


def test_large_language_model_is_split_into_files_that_transformers_joins(
    published: Path, tmp_path: Path
) -> None:
    convert(published, tmp_path / "weights", shard_bytes=300_000)
    assert len(list((tmp_path / "weights" / "llm").glob("model-*-of-*.safetensors"))) == 3
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "weights" / "llm", dtype="auto")
    wanted = make_language_model().state_dict()
    for name, tensor in model.state_dict().items():
        assert torch.allclose(tensor, wanted[name], atol=1e-6, rtol=0.0), name
    ids = golden_recipe.expected()["prompt_ids"].tolist()
    ours = Weights.open(tmp_path / "weights").language_model("cpu", "float32").states(ids)
    whole = make_language_model().model(input_ids=torch.tensor([ids])).last_hidden_state[0]
    assert torch.allclose(ours, whole, atol=1e-5)


def test_value_that_is_not_finite_in_the_dtype_is_an_error(tmp_path: Path) -> None:
    published = write_published(
        tmp_path / "ckpt", lambda flat: flat["tangoflux.fc.0.bias"].fill_(1e5)
    )
    with pytest.raises(BadInput, match=r"fc\.0\.bias.*not finite in float16"):
        convert(published, tmp_path / "weights", dtype="float16")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ckpt"]


def test_flipped_bit_in_the_checkpoint_leaves_nothing(published: Path, tmp_path: Path) -> None:
    own = shutil.copytree(published, tmp_path / "ckpt")
    content = bytearray((own / BIN).read_bytes())
    content[len(content) // 2] ^= 1
    (own / BIN).write_bytes(content)
    with pytest.raises(BadInput, match="is damaged"):
        convert(own, tmp_path / "weights")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ckpt"]


def test_conversion_that_is_given_up_leaves_nothing(published: Path, tmp_path: Path) -> None:
    seen = []

    def give_up(done: int, total: int) -> None:
        seen.extend(path.name for path in tmp_path.iterdir())
        if done > 0.9 * total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(published, tmp_path / "weights", on_progress=give_up)
    assert set(seen) == {".weights.partial"}
    assert not list(tmp_path.iterdir())


def test_what_a_killed_conversion_left_is_no_hindrance(published: Path, tmp_path: Path) -> None:
    left = tmp_path / ".weights.partial"
    left.mkdir()
    (left / "manifest.json").write_text("half")
    convert(published, tmp_path / "weights")
    assert [path.name for path in tmp_path.iterdir()] == ["weights"]


def test_progress_ends_at_all_bytes(published: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    convert(published, tmp_path / "weights", on_progress=lambda *both: told.append(both))
    dones = [done for done, _ in told]
    assert dones == sorted(dones)
    assert told[-1][0] == told[-1][1]


def test_target_that_is_taken_is_an_error(published: Path, tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "mine").write_text("keep")
    with pytest.raises(BadInput, match="exists already"):
        convert(published, tmp_path / "weights")
    with pytest.raises(BadInput, match="is a file"):
        convert(published, tmp_path / "weights" / "mine")
    assert (tmp_path / "weights" / "mine").read_text() == "keep"


def test_empty_target_is_taken(published: Path, tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    convert(published, tmp_path / "weights")
    assert Weights.open(tmp_path / "weights").revision


def test_target_below_a_file_is_an_error(published: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        convert(published, tmp_path / "file" / "weights")


def test_disk_without_room_is_one_clear_error(
    published: Path, tmp_path: Path, mount_disk: Callable[[Path, int], Disk]
) -> None:
    disk = mount_disk(tmp_path / "disk", 60)
    with pytest.raises(BadInput, match=r"it needs \d+ MiB, and \d+ MiB are free.*Free some space"):
        convert(published, disk.folder / "weights")
    assert not list(disk.folder.iterdir())


def test_disk_that_fills_up_leaves_nothing(
    published: Path, tmp_path: Path, mount_disk: Callable[[Path, int], Disk]
) -> None:
    disk = mount_disk(tmp_path / "disk", 100)

    def fill(done: int, total: int) -> None:
        if done > 0.8 * total:
            disk.fill()

    with pytest.raises(BadInput, match=r"No space left on device.*Free some space"):
        convert(published, disk.folder / "weights", on_progress=fill)
    assert [path.name for path in disk.folder.iterdir()] == ["filler"]


def test_disk_that_cannot_be_written_is_one_clear_error(
    published: Path, tmp_path: Path, mount_disk: Callable[[Path, int], Disk]
) -> None:
    disk = mount_disk(tmp_path / "disk", 100)
    disk.set_writable(False)
    with pytest.raises(BadInput, match="Read-only file system"):
        convert(published, disk.folder / "weights")
    with pytest.raises(BadInput, match="Read-only file system"):
        open_weights(published, disk.folder / "cache")


def test_dtype_that_is_not_known_is_an_error(published: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="dtype"):
        convert(published, tmp_path / "weights", dtype="int8")


def convert_and_measure(published: Path, target: Path) -> int:
    """Bytes by which the peak of the process rose, mapped pages of the checkpoint included."""

    def status(name: str) -> int:
        return int(re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024

    torch.set_num_threads(1)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
    before = status("VmRSS")
    convert(published, target)
    return status("VmHWM") - before


def test_peak_memory_is_at_most_1_3_times_the_largest_file(tmp_path: Path) -> None:
    published = write_large(tmp_path / "ckpt", hidden_size=1024, layers=8)
    largest = (published / BIN).stat().st_size
    assert largest > 200_000_000
    rise = run_apart(convert_and_measure, published, tmp_path / "weights")
    assert rise <= 1.3 * largest
