"""All dimensions of the network, and the published 3B model's as their defaults."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from audiostory_core.errors import BadInput
from audiostory_core.story.plan import SAMPLE_RATE

SEMANTIC_TOKENS = 64  # S, of every sub-event
RESIDUAL_TOKENS = 8  # R, of every sub-event
ROPE_AXES = (16, 56, 56)  # of the DiT's rotary positions, all three of which are the latent's index
FUSION_HEADS = 8
LARGEST = 1 << 24  # of any dimension: beyond it a folder is damaged, not large


@dataclass(frozen=True)
class DitConfig:
    """Dimensions of the diffusion transformer."""

    num_layers: int = 6  # double-stream blocks
    num_single_layers: int = 18
    in_channels: int = 64  # Z
    attention_head_dim: int = 128  # the sum of ROPE_AXES
    joint_attention_dim: int = 1024  # D of the condition
    num_attention_heads: int = 8
    audio_seq_len: int = 645  # L, of every clip whatever its duration
    max_duration: float = 30.0  # seconds, where the duration embedding ends


@dataclass(frozen=True)
class VaeConfig:
    """Dimensions of the autoencoder, by the names of diffusers' `AutoencoderOobleck`."""

    encoder_hidden_size: int = 128
    downsampling_ratios: tuple[int, ...] = (2, 4, 4, 8, 8)
    channel_multiples: tuple[int, ...] = (1, 2, 4, 8, 16)
    decoder_channels: int = 128
    decoder_input_channels: int = 64  # Z
    audio_channels: int = 2  # C
    sampling_rate: int = SAMPLE_RATE  # Hz

    @property
    def hop(self) -> int:
        """Samples of one latent frame: 2048 as published."""
        return math.prod(self.downsampling_ratios)

    def as_dict(self) -> dict[str, Any]:
        """Keyword arguments of `AutoencoderOobleck`, which wants lists."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()
        }


@dataclass(frozen=True)
class NetworkConfig:
    """Dimensions of the whole network, down to the waveform.

    The language model and the text encoder are described by the configurations of their own
    libraries; of the first, only its width matters here.
    """

    dit: DitConfig = field(default_factory=DitConfig)
    vae: VaeConfig = field(default_factory=VaeConfig)
    text_encoder: Mapping[str, Any] | None = field(default=None, hash=False)
    """Keyword arguments of `T5Config`; None once the unconditional embedding is all that is kept."""
    feature_scale: float = 10.0  # fused tokens are divided by it
    scales_twice: bool = False  # as the released training code does; its inference code does once
    hidden_size: int = 2048  # H, width of the language model

    @property
    def longest_s(self) -> float:
        """Longest clip in seconds: 29.95 as published."""
        return self.dit.audio_seq_len * self.vae.hop / self.vae.sampling_rate

    def as_dict(self) -> dict[str, Any]:
        """Plain values that survive JSON; `from_dict` reads them."""
        return {
            "dit": dataclasses.asdict(self.dit),
            "vae": self.vae.as_dict(),
            "text_encoder": None if self.text_encoder is None else dict(self.text_encoder),
            "feature_scale": self.feature_scale,
            "scales_twice": self.scales_twice,
            "hidden_size": self.hidden_size,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what `as_dict` gave; a field that is left out keeps the published value.

        Raises:
            BadInput: naming the field that is unknown, of a wrong kind, or does not fit the others.
        """
        table = dict(_mapping("network", values))
        encoder = table.pop("text_encoder", None)
        dit = DitConfig(**_fields(DitConfig, "dit.", table.pop("dit", {})))
        vae = VaeConfig(**_fields(VaeConfig, "vae.", table.pop("vae", {})))
        config = cls(
            dit=dit,
            vae=vae,
            text_encoder=None if encoder is None else dict(_mapping("text_encoder", encoder)),
            **_fields(cls, "", table),
        )
        config.check()
        return config

    def check(self) -> None:
        """Refuse dimensions that no network can have.

        Raises:
            BadInput: naming the field that does not fit the others.
        """
        dit, vae = self.dit, self.vae
        for is_wrong, name, value, problem in (
            (
                dit.attention_head_dim != sum(ROPE_AXES),
                "dit.attention_head_dim",
                dit.attention_head_dim,
                f"is not {sum(ROPE_AXES)}, the sum of the rotary axes",
            ),
            (
                dit.joint_attention_dim % FUSION_HEADS != 0,
                "dit.joint_attention_dim",
                dit.joint_attention_dim,
                f"does not divide into {FUSION_HEADS} heads",
            ),
            (
                dit.in_channels != vae.decoder_input_channels,
                "dit.in_channels",
                dit.in_channels,
                f"differs from the autoencoder's {vae.decoder_input_channels} latent channels",
            ),
            (
                len(vae.channel_multiples) != len(vae.downsampling_ratios),
                "vae.channel_multiples",
                list(vae.channel_multiples),
                f"are not {len(vae.downsampling_ratios)}, one for each ratio",
            ),
            (
                any(ratio % 2 for ratio in vae.downsampling_ratios),
                "vae.downsampling_ratios",
                list(vae.downsampling_ratios),
                "are not all even, so that a latent frame has no whole number of samples",
            ),
            (
                vae.sampling_rate != SAMPLE_RATE,
                "vae.sampling_rate",
                vae.sampling_rate,
                f"is not {SAMPLE_RATE} Hz",
            ),
            (
                vae.audio_channels != 2,
                "vae.audio_channels",
                vae.audio_channels,
                "is not 2: clips are stereo",
            ),
        ):
            if is_wrong:
                raise BadInput(
                    name, value, problem, "Use the configuration of an AudioStory model."
                )


def _mapping(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadInput(name, value, "is not a table of fields", f"Give {name} as an object.")
    return value


def _fields(owner: type, prefix: str, values: Any) -> dict[str, Any]:
    """The values of a table by the kinds of the dataclass' defaults."""
    known = {}
    for entry in dataclasses.fields(owner):
        if entry.default is not dataclasses.MISSING and entry.default is not None:
            known[entry.name] = entry.default
    read = {}
    for name, value in _mapping(prefix.rstrip(".") or "network", values).items():
        if name not in known:
            fields = ", ".join(known)
            raise BadInput(prefix + str(name), value, "is no field", f"Use only: {fields}.")
        read[name] = _like(known[name], prefix + name, value)
    return read


def _like(default: Any, name: str, value: Any) -> Any:
    """A value of the kind of `default`, in range."""
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise BadInput(name, value, "is not true or false", "Give true or false.")
        return value
    if isinstance(default, tuple):
        if not isinstance(value, list | tuple) or not 1 <= len(value) <= 16:
            raise BadInput(name, value, "is not a list of whole numbers", "Give 1 … 16 numbers.")
        return tuple(_like(1, name, item) for item in value)
    kinds = (int, float) if isinstance(default, float) else (int,)
    if isinstance(value, bool) or not isinstance(value, kinds):
        wanted = "number" if isinstance(default, float) else "whole number"
        raise BadInput(name, value, f"is not a {wanted}", f"Give a positive {wanted}.")
    if not 0 < value <= LARGEST:
        raise BadInput(name, value, "is out of range", f"Give a number of 1 … {LARGEST}.")
    return type(default)(value)
