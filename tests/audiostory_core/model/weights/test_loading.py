"""The golden acceptance through files: published folder, conversion, loading."""

import json
import re
import resource
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from audiostory_core.errors import BadInput
from audiostory_core.model.weights.convert import convert
from audiostory_core.model.weights.loading import Weights, open_weights
from audiostory_core.model.weights.manifest import Manifest
from tests.audiostory_core.model.test_golden import clip_durations, spans
from tests.support import golden_recipe
from tests.support.published_checkpoint import merge, write_published
from tests.support.subprocesses import run_apart, run_together

CLOSE = {"atol": 1e-4, "rtol": 0.0}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return write_published(tmp_path_factory.mktemp("published") / "ckpt")


@pytest.fixture(scope="module")
def folder(published: Path) -> Path:
    target = published.parent / "weights"
    convert(published, target)
    return target


@pytest.fixture
def own(folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return shutil.copytree(folder, tmp_path / "weights")


def assert_golden(weights: Weights) -> None:
    """Features, condition, latents and waveforms are the released ones."""
    given, expected = golden_recipe.settings(), golden_recipe.expected()
    ids = torch.cat([expected["prompt_ids"], expected["transcript_ids"]])
    states = weights.language_model("cpu", "float32").states(ids.tolist())
    semantic, residual = weights.bridge("cpu", "float32")(
        states[spans(ids, "<t5_00000>", 64)], states[spans(ids, "<aud_00000>", 8)]
    )
    assert_close(semantic, expected["t5_features"], **CLOSE)
    assert_close(residual, expected["aud_features"], **CLOSE)

    synthesizer = weights.synthesizer("cpu", "float32")
    condition = synthesizer.fuse(semantic, residual)
    assert_close(condition, expected["condition"], **CLOSE)
    latents = synthesizer.sample(
        condition,
        clip_durations(),
        [given["latent_seed"]] * 3,
        steps=given["steps"],
        guidance=given["guidance"],
    )
    waveforms = [expected[f"waveform_{clip}"] for clip in range(3)]
    ours = synthesizer.decode(latents, [waveform.shape[1] for waveform in waveforms])
    for clip, waveform in enumerate(waveforms):
        assert_close(latents[clip], expected[f"latents_{clip}"][0], **CLOSE)
        assert_close(torch.from_numpy(ours[clip]), waveform, atol=1e-3, rtol=0.0)


def test_converted_weights_give_the_released_numbers(folder: Path) -> None:
    assert_golden(Weights.open(folder))


def test_merged_checkpoint_gives_the_released_numbers_from_the_cache(tmp_path: Path) -> None:
    published = write_published(tmp_path / "ckpt", merge)
    weights = open_weights(published, tmp_path / "cache")
    assert weights.folder.parent == tmp_path / "cache"
    assert_golden(weights)


def test_published_checkpoint_is_converted_once(published: Path, tmp_path: Path) -> None:
    first = open_weights(published, tmp_path)
    written = (first.folder / "manifest.json").stat().st_mtime_ns
    second = open_weights(published, tmp_path)
    assert second.folder == first.folder
    assert (second.folder / "manifest.json").stat().st_mtime_ns == written


def test_published_checkpoint_that_changes_is_converted_anew(tmp_path: Path) -> None:
    published = write_published(tmp_path / "ckpt")
    before = open_weights(published, tmp_path / "cache")
    (published / "audiostory_3b" / "config.yaml").write_text("agent_model: {t5_feature_scale: 5}")
    after = open_weights(published, tmp_path / "cache")
    assert (before.config.feature_scale, after.config.feature_scale) == (10.0, 5.0)
    assert before.revision != after.revision


def test_failed_conversion_caches_nothing(tmp_path: Path) -> None:
    published = write_published(tmp_path / "ckpt", lambda flat: flat.popitem())
    with pytest.raises(BadInput, match="lacks"):
        open_weights(published, tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".lock"]


def open_and_tell(published: Path, cache: Path) -> str:
    return open_weights(published, cache).revision


def test_processes_that_open_a_checkpoint_together_convert_it_once(
    published: Path, tmp_path: Path
) -> None:
    revisions = run_together([(open_and_tell, (published, tmp_path))] * 2)
    assert len(set(revisions)) == 1
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 1


def anonymous_kb() -> int:
    """Memory of this process that no file backs."""
    return int(re.search(r"RssAnon:\s+(\d+)", Path("/proc/self/status").read_text())[1])


def load_bridge_twice(folder: Path) -> tuple[int, int]:
    weights = Weights.open(folder)
    before = anonymous_kb()
    mapped = weights.bridge("cpu", "float32")
    between = anonymous_kb()
    copied = weights.bridge("cpu", "bfloat16")
    assert mapped.projector[0].weight.dtype == torch.float32
    assert copied.projector[0].weight.dtype == torch.bfloat16
    return between - before, anonymous_kb() - between


def test_parameters_are_mapped_until_a_precision_is_asked_for(folder: Path) -> None:
    mapped_kb, copied_kb = run_apart(load_bridge_twice, folder)
    bridge_kb = (folder / "bridge.safetensors").stat().st_size / 1024
    assert mapped_kb < 0.1 * bridge_kb
    assert copied_kb > 0.4 * bridge_kb


def test_revision_is_that_of_the_content(folder: Path, own: Path) -> None:
    assert Weights.open(own).revision == Weights.open(folder).revision
    assert len(Weights.open(own).revision) == 64


@pytest.mark.parametrize("name", ["dit.safetensors", "llm/model.safetensors", "network.json"])
def test_missing_file_is_named(own: Path, name: str) -> None:
    (own / name).unlink()
    with pytest.raises(BadInput, match=f"lacks {name}"):
        Weights.open(own)


def test_file_that_is_cut_short_is_named(own: Path) -> None:
    path = own / "vae.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BadInput, match=r"vae\.safetensors of \d+ bytes, not \d+"):
        Weights.open(own)


def test_verify_names_the_file_with_a_flipped_bit(own: Path) -> None:
    path = own / "bridge.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    weights = Weights.open(own)
    with pytest.raises(BadInput, match=r"bridge\.safetensors that is damaged"):
        weights.verify()


def test_verify_reads_every_byte(folder: Path) -> None:
    read: list[int] = []
    weights = Weights.open(folder)
    weights.verify(read.append)
    assert sum(read) == weights.size


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "cannot be read"),
        ("[]", "of another kind"),
        ('{"format": "audiostory-studio weights", "version": 2}', "version 2"),
        ('{"format": "audiostory-studio weights", "version": 1, "dtype": "x"}', "damaged"),
    ],
)
def test_broken_manifest_is_an_error(own: Path, content: str, problem: str) -> None:
    (own / "manifest.json").write_text(content)
    with pytest.raises(BadInput, match=problem):
        Weights.open(own)


def test_manifest_cannot_name_a_file_outside(own: Path) -> None:
    manifest = json.loads((own / "manifest.json").read_text())
    manifest["files"]["../elsewhere"] = {"size": 1, "sha256": "0"}
    (own / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BadInput, match="elsewhere"):
        Weights.open(own)


def test_manifest_that_was_changed_is_an_error(own: Path) -> None:
    manifest = json.loads((own / "manifest.json").read_text())
    manifest["files"]["dit.safetensors"]["sha256"] = "0" * 64
    (own / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BadInput, match="changed"):
        Weights.open(own)


def test_tensor_that_is_not_the_networks_is_named(own: Path) -> None:
    config = Weights.open(own).config
    path = own / "bridge.safetensors"
    tensors = load_file(path)
    tensors["projector.0.weight"] = tensors["projector.0.weight"][:, :-1].contiguous()
    path.unlink()
    save_file(tensors, path)
    weights = Weights(own, Manifest("float32", {}), config)
    with pytest.raises(BadInput, match=r"projector\.0\.weight is not the network's"):
        weights.bridge("cpu", "float32")


def test_folder_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is no folder"):
        Weights.open(tmp_path / "nothing")


@pytest.mark.parametrize("device", ["cuda:99", "tpu", "cpu:x"])
def test_device_that_is_not_there_is_an_error(folder: Path, device: str) -> None:
    with pytest.raises(BadInput, match="is no device"):
        Weights.open(folder).bridge(device, "float32")


@pytest.mark.parametrize("dtype", ["float8", "int8", torch.int64])
def test_dtype_that_is_not_known_is_an_error(folder: Path, dtype: object) -> None:
    with pytest.raises(BadInput, match="dtype"):
        Weights.open(folder).bridge("cpu", dtype)


def load_with_little_room(folder: Path, dtype: str, room: int) -> str:
    weights = Weights.open(folder)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + room, -1))
    with pytest.raises(BadInput) as caught:
        weights.bridge("cpu", dtype)
    return str(caught.value)


@pytest.mark.parametrize(("dtype", "part"), [("float32", 0.5), ("bfloat16", 1.1)])
def test_no_memory_to_map_or_to_copy_is_one_clear_error(
    folder: Path, dtype: str, part: float
) -> None:
    room = int((folder / "bridge.safetensors").stat().st_size * part)
    told = run_apart(load_with_little_room, folder, dtype, room)
    assert "does not fit into the memory of cpu" in told
