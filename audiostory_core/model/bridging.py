"""From the states of the language model to the tokens that make a condition."""

import torch
from torch import Tensor, nn

from audiostory_core.model.config import NetworkConfig


class Bridge(nn.Module):
    """Two projectors, one for the bridging queries and one for the consistency queries.

    Parameters bear the published names without their prefix `seedx.`: `projector.{0,2}.*` and
    `audio_projector.{0,2}.*`.

    Args:
        config: gives H, the width of the language model, and D, that of the condition.

    Source:
        AudioStory, arXiv:2508.20088; `seedx.projector` and `seedx.audio_projector` of the release.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.projector = _projector(config)
        self.audio_projector = _projector(config)

    @torch.inference_mode()
    def forward(self, semantic_states: Tensor, residual_states: Tensor) -> tuple[Tensor, Tensor]:
        """Project states [B, S, H] and [B, R, H] to tokens [B, S, D] and [B, R, D].

        States are taken as they leave the language model: after its final norm, and where the
        token itself is the input.
        """
        parameter = next(self.parameters())
        semantic_states = semantic_states.to(parameter.device, parameter.dtype)
        residual_states = residual_states.to(parameter.device, parameter.dtype)
        return self.projector(semantic_states), self.audio_projector(residual_states)


def _projector(config: NetworkConfig) -> nn.Sequential:
    width = config.dit.joint_attention_dim
    return nn.Sequential(nn.Linear(config.hidden_size, width), nn.GELU(), nn.Linear(width, width))
