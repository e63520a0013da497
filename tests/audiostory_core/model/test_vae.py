import pytest
import torch
from diffusers import AutoencoderOobleck
from torch import Tensor
from torch.testing import assert_close

from audiostory_core.errors import Cancelled
from audiostory_core.model.vae import decode, make_vae, reach
from tests.support import golden_recipe
from tests.support.golden_network import load

FRAMES = 60
HOP = 2048
PUBLISHED_RATIOS = (2, 4, 4, 8, 8)


@pytest.fixture(scope="module")
def vae() -> AutoencoderOobleck:
    torch.set_num_threads(1)
    return load(make_vae(golden_recipe.config().vae), golden_recipe.vae_tensors())


@pytest.fixture(scope="module")
def latents() -> Tensor:
    return torch.randn(FRAMES, 64, generator=torch.Generator().manual_seed(9))


@pytest.fixture(scope="module")
def whole(vae: AutoencoderOobleck, latents: Tensor) -> Tensor:
    with torch.inference_mode():
        return vae.decode(latents.T[None]).sample[0]


@pytest.mark.parametrize("chunk", [1, 7, 16, 59, 60, 128])
@pytest.mark.parametrize("samples", [1, HOP, 30_001, FRAMES * HOP - 1, FRAMES * HOP])
def test_chunks_equal_the_whole(
    vae: AutoencoderOobleck, latents: Tensor, whole: Tensor, chunk: int, samples: int
) -> None:
    if chunk == 1 and samples > HOP:
        samples = 5 * HOP + 3
    waveform = decode(vae, latents, samples, chunk=chunk)
    assert waveform.shape == (2, samples)
    assert_close(waveform, whole[:, :samples], atol=1e-4, rtol=0.0)


@torch.inference_mode()
def test_reach_is_as_far_as_a_sample_depends_and_no_farther(
    vae: AutoencoderOobleck, latents: Tensor, whole: Tensor
) -> None:
    middle = FRAMES // 2
    changed = latents.clone()
    changed[middle] += 10
    difference = (vae.decode(changed.T[None]).sample[0] - whole).abs().amax(dim=0)
    (where,) = torch.where(difference > 0)
    margin = reach(PUBLISHED_RATIOS)
    assert margin == 10
    assert where.min() // HOP >= middle - margin
    assert where.max() // HOP <= middle + margin
    assert where.min() // HOP <= middle - margin + 1


def test_frames_that_no_sample_needs_are_not_read(
    vae: AutoencoderOobleck, latents: Tensor, whole: Tensor
) -> None:
    samples = 20 * HOP
    spoilt = latents.clone()
    spoilt[20 + reach(PUBLISHED_RATIOS) :] = torch.nan
    assert_close(decode(vae, spoilt, samples), whole[:, :samples], atol=1e-4, rtol=0.0)


def test_chunks_are_told_in_order_and_can_end_the_decoding(
    vae: AutoencoderOobleck, latents: Tensor
) -> None:
    told = []

    def on_chunk(done: int, chunks: int) -> None:
        told.append((done, chunks))
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        decode(vae, latents, 30 * HOP, chunk=10, on_chunk=on_chunk)
    assert told == [(1, 3), (2, 3)]


@pytest.mark.parametrize("samples", [0, -5, FRAMES * HOP + 1])
def test_samples_that_the_latents_do_not_hold_are_refused(
    vae: AutoencoderOobleck, latents: Tensor, samples: int
) -> None:
    with pytest.raises(ValueError, match="samples are not in latents"):
        decode(vae, latents, samples)
