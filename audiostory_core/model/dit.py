"""The diffusion transformer: which way the latents of a clip have to go."""

import torch
from diffusers import FluxTransformer2DModel
from diffusers.pipelines.stable_audio.modeling_stable_audio import StableAudioNumberConditioner
from torch import Tensor, nn

from audiostory_core.model.config import ROPE_AXES, DitConfig


class Dit(nn.Module):
    """Velocity of the latents, given the condition and the duration of each clip.

    Every clip has all L latent frames whatever its duration, which is one more text token; so
    clips of different durations share a batch as they are.

    Parameters bear the published names without their prefix `tangoflux.`, but for a misspelling:
    `tangoflux.transformer.*` is `transformer.*` (diffusers' own names), `tangoflux.fc.0.*` is
    `fc.0.*`, and `tangoflux.duration_emebdder.*` is `duration_embedder.*`.
    `tangoflux.text_encoder.*` is no part of it.

    Args:
        config: its dimensions.

    Source:
        AudioStory, arXiv:2508.20088; `tangoflux` of the release, of which this is the path of
        `inference_flow_full_tokens`. Differs: any batch, not one clip.
    """

    def __init__(self, config: DitConfig) -> None:
        super().__init__()
        width = config.joint_attention_dim
        self.transformer = FluxTransformer2DModel(
            in_channels=config.in_channels,
            num_layers=config.num_layers,
            num_single_layers=config.num_single_layers,
            attention_head_dim=config.attention_head_dim,
            num_attention_heads=config.num_attention_heads,
            joint_attention_dim=width,
            pooled_projection_dim=width,
            guidance_embeds=False,
            axes_dims_rope=ROPE_AXES,
        )
        self.fc = nn.Sequential(nn.Linear(width, width), nn.ReLU())
        self.duration_embedder = StableAudioNumberConditioner(
            width, min_value=0, max_value=config.max_duration
        )

    def forward(self, latents: Tensor, condition: Tensor, duration_s: Tensor, t: Tensor) -> Tensor:
        """Velocity [B, L, Z] at time `t`, [1] in [0, 1], where 1 is noise.

        Args:
            latents: [B, L, Z].
            condition: [B, S, D].
            duration_s: [B], clamped to 0 … `max_duration` seconds; in fp32 whatever the rest is.
            t: [1], in fp32.
        """
        seconds = self.duration_embedder(duration_s)  # [B, 1, D]
        text = torch.cat([condition, seconds], dim=1)  # [B, S + 1, D]
        axes = len(ROPE_AXES)
        frames = torch.arange(latents.shape[1], device=latents.device, dtype=torch.float32)
        return self.transformer(
            hidden_states=latents,
            encoder_hidden_states=text,
            pooled_projections=self.fc(condition.mean(dim=1)),
            timestep=t,
            img_ids=frames[:, None].expand(-1, axes),
            txt_ids=frames.new_zeros(text.shape[1], axes),
            return_dict=False,
        )[0]
