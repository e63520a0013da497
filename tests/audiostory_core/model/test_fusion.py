import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from audiostory_core.model.config import NetworkConfig
from audiostory_core.model.fusion import Fusion
from tests.support.golden_network import make_fusion

CLIPS, WIDTH = 4, 1024


@pytest.fixture(scope="module")
def fusion() -> Fusion:
    return make_fusion()


@pytest.fixture(scope="module")
def tokens() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    semantic = torch.randn(CLIPS, 64, WIDTH, generator=generator)
    return semantic, torch.randn(CLIPS, 8, WIDTH, generator=generator)


@torch.inference_mode()
def test_fusion_of_one_clip_does_not_depend_on_the_others(
    fusion: Fusion, tokens: tuple[Tensor, Tensor]
) -> None:
    together = fusion(*tokens)
    for clip in range(CLIPS):
        alone = fusion(*(kind[clip : clip + 1] for kind in tokens))
        assert_close(alone[0], together[clip], atol=1e-6, rtol=0.0)


@torch.inference_mode()
def test_fusion_reads_the_residual_tokens_whatever_their_order(
    fusion: Fusion, tokens: tuple[Tensor, Tensor]
) -> None:
    semantic, residual = tokens
    fused = fusion(semantic, residual)
    assert_close(fused, fusion(semantic, residual.flip(1)), atol=1e-6, rtol=0.0)
    assert (fused - fusion(semantic, residual.roll(1, dims=0))).abs().max() > 1e-3


@torch.inference_mode()
def test_fusion_scales_once_after_or_tokens_too(tokens: tuple[Tensor, Tensor]) -> None:
    once = make_fusion()
    twice = Fusion(NetworkConfig(scales_twice=True))
    twice.load_state_dict(once.state_dict())
    unscaled = Fusion(NetworkConfig(feature_scale=1.0))
    unscaled.load_state_dict(once.state_dict())

    assert_close(once(*tokens), unscaled(*tokens) / 10)
    assert_close(twice(*tokens), unscaled(*(kind / 10 for kind in tokens)) / 10)
    assert not torch.allclose(twice(*tokens), once(*tokens) / 10, atol=1e-4)


@pytest.mark.parametrize(
    ("semantic", "residual", "problem"),
    [
        ((2, 64, WIDTH), (3, 8, WIDTH), "not of the same number of clips"),
        ((64, WIDTH), (8, WIDTH), r"are not \[B, S, 1024\]"),
        ((2, 64, 2048), (2, 8, WIDTH), r"are not \[B, S, 1024\]"),
        ((2, 64, WIDTH), (2, 8, 512), r"are not \[B, S, 1024\]"),
    ],
)
def test_fusion_refuses_tokens_that_do_not_belong_together(
    fusion: Fusion, semantic: tuple[int, ...], residual: tuple[int, ...], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        fusion(torch.zeros(semantic), torch.zeros(residual))
