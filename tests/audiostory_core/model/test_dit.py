import pytest
import torch
from torch.testing import assert_close

from audiostory_core.model.config import NetworkConfig
from audiostory_core.model.dit import Dit
from audiostory_core.model.vae import make_vae
from tests.support.golden_network import make_dit

PUBLISHED = NetworkConfig()
TIME = torch.tensor([0.7])


@pytest.fixture(scope="module")
def dit() -> Dit:
    return make_dit()


def test_published_dit_has_the_published_tensors() -> None:
    with torch.device("meta"):
        dit = Dit(PUBLISHED.dit)
    transformer = dit.transformer.state_dict()
    assert len(transformer) == 460
    assert sum(tensor.numel() for tensor in transformer.values()) == pytest.approx(516.7e6, abs=5e4)
    assert dit.duration_embedder.time_positional_embedding[1].weight.shape == (1024, 257)


def test_published_vae_has_the_published_tensors() -> None:
    with torch.device("meta"):
        vae = make_vae(PUBLISHED.vae)
    tensors = vae.state_dict()
    assert len(tensors) == 365
    assert sum(tensor.numel() for tensor in tensors.values()) == pytest.approx(156.1e6, abs=5e4)
    assert vae.hop_length == 2048
    assert PUBLISHED.longest_s == pytest.approx(29.954, abs=5e-4)


@torch.inference_mode()
def test_dit_clamps_durations_to_the_range_it_was_trained_on(dit: Dit) -> None:
    embed = dit.duration_embedder
    given = embed(torch.tensor([-1.0, 0.0, 30.0, 40.0, 12.0]))[:, 0]
    assert_close(given[0], given[1])
    assert_close(given[2], given[3])
    assert not torch.allclose(given[4], given[2])


@torch.inference_mode()
def test_dit_reads_the_duration_of_each_clip(dit: Dit) -> None:
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(1, 48, 64, generator=generator).expand(3, -1, -1)
    condition = torch.randn(1, 64, 1024, generator=generator).expand(3, -1, -1)
    velocity = dit(latents, condition, torch.tensor([1.0, 25.0, 1.0]), TIME)
    assert velocity.shape == latents.shape
    assert_close(velocity[0], velocity[2])
    assert (velocity[0] - velocity[1]).abs().max() > 1e-4


@torch.inference_mode()
def test_dit_takes_one_time_for_all_clips_as_for_each(dit: Dit) -> None:
    generator = torch.Generator().manual_seed(2)
    latents = torch.randn(2, 48, 64, generator=generator)
    condition = torch.randn(2, 64, 1024, generator=generator)
    duration_s = torch.tensor([1.0, 2.0])
    assert_close(
        dit(latents, condition, duration_s, TIME),
        dit(latents, condition, duration_s, TIME.expand(2)),
        atol=1e-5,
        rtol=0.0,
    )
