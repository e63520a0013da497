"""Semantic and residual tokens of a sub-event, fused into the condition of its clip."""

from torch import Tensor, nn

from audiostory_core.model.config import FUSION_HEADS, NetworkConfig


class Fusion(nn.Module):
    """Let the semantic tokens of a clip read its residual tokens, as a residual update.

    Semantic tokens (bridging queries) say what the clip contains; residual tokens (consistency
    queries) carry what must agree with the clips around it. Clips of a batch do not see each other.
    Parameters bear the published names: `multihead_attention.*`.

    Args:
        config: gives D, the feature scale, and how often it is applied.

    Source:
        AudioStory, arXiv:2508.20088; `AudioStory_unified` of the release. Its inference divides
        the sum by the feature scale; its training divides both kinds of tokens as well, before
        the attention. `scales_twice` does the latter. Differs: batch first.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.feature_scale = config.feature_scale
        self.scales_twice = config.scales_twice
        self.multihead_attention = nn.MultiheadAttention(
            config.dit.joint_attention_dim, FUSION_HEADS, batch_first=True
        )

    def forward(self, semantic_tokens: Tensor, residual_tokens: Tensor) -> Tensor:
        """Fuse tokens [B, S, D] and [B, R, D] into a condition [B, S, D].

        Raises:
            ValueError: if the tokens are not of as many clips, or not D wide.
        """
        width = self.multihead_attention.embed_dim
        shapes = semantic_tokens.shape, residual_tokens.shape
        if any(len(shape) != 3 or shape[2] != width for shape in shapes):
            raise ValueError(f"tokens {_show(*shapes)} are not [B, S, {width}] and [B, R, {width}]")
        if shapes[0][0] != shapes[1][0]:
            raise ValueError(f"tokens {_show(*shapes)} are not of the same number of clips")

        if self.scales_twice:
            semantic_tokens = semantic_tokens / self.feature_scale
            residual_tokens = residual_tokens / self.feature_scale
        update, _ = self.multihead_attention(
            semantic_tokens, residual_tokens, residual_tokens, need_weights=False
        )
        return (semantic_tokens + update) / self.feature_scale


def _show(*shapes: tuple[int, ...]) -> str:
    return " and ".join(str(list(shape)) for shape in shapes)
