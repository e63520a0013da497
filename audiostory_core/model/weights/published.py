"""The checkpoint as AudioStory's authors published it, read strictly.

Its layout, by the names of their release:

    audiostory_3b/pytorch_model.bin      one flat dict of all tensors but the autoencoder's
    audiostory_3b/config.yaml            not published; a few values are read when it is there
    Flux_detokenizer/config.json         dimensions of the DiT
    Flux_detokenizer/model.safetensors   the autoencoder, whatever the folder is called
    Qwen2.5-3B-Instruct/                 tokenizer and config.json; its weights are not read
    flan-t5-large/                       config.json; its weights only where the dict lacks them

`pytorch_model.bin` may lie in the folder itself as well. The folders of Qwen2 and T5 are known by
the `model_type` of their config.json, and may be given apart. The published autoencoder has no
configuration; a checkpoint of other dimensions gives them under `vae` in Flux_detokenizer's
config.json, by the names of diffusers' `AutoencoderOobleck`.

A missing, unexpected or misshapen tensor is an error that names it.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from audiostory_core.errors import BadInput
from audiostory_core.json_text import NotJson, parse
from audiostory_core.model.bridging import Bridge
from audiostory_core.model.config import (
    RESIDUAL_TOKENS,
    SEMANTIC_TOKENS,
    DitConfig,
    NetworkConfig,
)
from audiostory_core.model.dit import Dit
from audiostory_core.model.fusion import Fusion
from audiostory_core.model.vae import make_vae
from audiostory_core.model.vocabulary import Vocabulary
from audiostory_core.model.weights.tensor_files import Stored, read_pickled, read_safetensors
from audiostory_core.model.weights.validation import (
    REMEDY,
    TIED_TEXT,
    Check,
    Named,
    make_text_encoder,
)

WEIGHTS = "pytorch_model.bin"
SETTINGS = "config.yaml"
DETOKENIZER = "Flux_detokenizer"
CONFIG = "config.json"
VAE_WEIGHTS = "model.safetensors"
LARGEST_CONFIG = 4 << 20  # bytes: a config beyond it is none

LLM_ADAPTED = "seedx.llm.base_model.model."  # peft's wrapping, with LoRA beside the weights
LLM_PLAIN = "seedx.llm."  # merged
PREFIXES = (  # of the flat dict: part, published, here; the first match counts
    ("llm", LLM_ADAPTED, ""),
    ("llm", LLM_PLAIN, ""),
    ("bridge", "seedx.projector.", "projector."),
    ("bridge", "seedx.audio_projector.", "audio_projector."),
    # Kept for continuing given audio, which the release's inference cannot do; nothing checks them.
    ("continuation", "seedx.whisper_resampler_llava.", "whisper_resampler_llava."),
    ("continuation", "seedx.input_resampler.", "input_resampler."),
    ("continuation", "seedx.output_resampler.", "output_resampler."),
    ("fusion", "multihead_attention.", "multihead_attention."),
    ("text_encoder", "tangoflux.text_encoder.", ""),
    ("dit", "tangoflux.transformer.", "transformer."),
    ("dit", "tangoflux.fc.", "fc."),
    ("dit", "tangoflux.duration_emebdder.", "duration_embedder."),  # their spelling
)

FLAN_T5_LARGE = {  # what the release loads when nothing else is said
    "vocab_size": 32128,
    "d_model": 1024,
    "d_kv": 64,
    "d_ff": 2816,
    "num_layers": 24,
    "num_heads": 16,
    "feed_forward_proj": "gated-gelu",
}


@dataclass(frozen=True)
class Sources:
    """Where the parts of a published checkpoint lie.

    Args:
        folder: as the author gave it, for errors.
        weights: the flat dict.
        settings: config.yaml, or None.
        detokenizer: folder of the DiT's dimensions and the autoencoder.
        llm: folder of Qwen2's tokenizer and config.json.
        text_encoder: T5's folder, or None.
    """

    folder: Path
    weights: Path
    settings: Path | None
    detokenizer: Path
    llm: Path
    text_encoder: Path | None

    @property
    def files(self) -> list[Path]:
        """All files that are read, or may be."""
        paths = [self.weights, self.detokenizer / CONFIG, self.detokenizer / VAE_WEIGHTS]
        if self.settings is not None:
            paths.append(self.settings)
        for folder in (self.llm, self.text_encoder):
            if folder is not None:
                paths += [path for path in folder.iterdir() if path.is_file()]
        return sorted(path for path in paths if path.is_file())


@dataclass(frozen=True)
class Checkpoint:
    """A published checkpoint: every tensor by part and by our name, none of them copied.

    Args:
        config: dimensions; the text encoder's are in it.
        llm_config: what Qwen2's config.json says, with the vocabulary as it is here.
        vocabulary: the tokenizer with AudioStory's tokens.
        llm: tensors of `Qwen2ForCausalLM`, LoRA beside them where they are not merged yet.
        continuation: the resamplers, by their published names without `seedx.`; may be empty.
    """

    config: NetworkConfig
    llm_config: Mapping[str, Any]
    vocabulary: Vocabulary
    llm: Mapping[str, Stored]
    bridge: Mapping[str, Stored]
    fusion: Mapping[str, Stored]
    dit: Mapping[str, Stored]
    vae: Mapping[str, Stored]
    text_encoder: Mapping[str, Stored]
    continuation: Mapping[str, Stored]


@dataclass(frozen=True)
class Settings:
    """The few values of config.yaml that bear on inference, at their published defaults."""

    feature_scale: float = 10.0
    lora_scale: float = 1.0  # alpha / r


def find_sources(
    folder: Path, *, llm: Path | None = None, text_encoder: Path | None = None
) -> Sources:
    """Find the parts of a published checkpoint.

    Args:
        folder: holds them, each in a folder of its own or not.
        llm: Qwen2's folder, if it lies elsewhere.
        text_encoder: T5's folder, if it lies elsewhere.

    Raises:
        BadInput: naming the part that is not there.
    """
    if not folder.is_dir():
        raise _bad(folder, "is no folder")
    own = [folder, *_folders(folder)]
    kinds = {path: _model_type(path) for path in own}
    holders = [path for path in own if (path / WEIGHTS).is_file() and kinds[path] is None]
    if len(holders) != 1:
        what = "is no checkpoint: it holds no" if not holders else "holds more than one"
        raise _bad(folder, f"{what} {WEIGHTS}")
    holder = holders[0]
    for part, name in ((llm, "llm"), (text_encoder, "text_encoder")):
        if part is not None and not part.is_dir():
            raise BadInput(name, str(part), "is no folder", "Give an existing folder.")
    near = [*own, *_folders(holder)]
    detokenizer = next((path for path in near if path.name == DETOKENIZER), None)
    if detokenizer is None:
        raise _bad(folder, f"holds no folder {DETOKENIZER}")
    llm = llm or next((path for path in near if _model_type(path) == "qwen2"), None)
    if llm is None:
        problem = "holds no folder of Qwen2.5-3B-Instruct (its tokenizer and config.json)"
        raise BadInput("weights", str(folder), problem, "Put it there, or name it with --llm.")
    text_encoder = text_encoder or next((p for p in near if _model_type(p) == "t5"), None)
    settings = holder / SETTINGS
    return Sources(
        folder=folder,
        weights=holder / WEIGHTS,
        settings=settings if settings.is_file() else None,
        detokenizer=detokenizer,
        llm=llm,
        text_encoder=text_encoder,
    )


def read_checkpoint(sources: Sources) -> Checkpoint:
    """Map a published checkpoint and compare all its tensors with the network.

    Raises:
        BadInput: with field `weights`, naming the tensor or the file that is wrong.
    """
    settings = _read_settings(sources)
    flat = read_pickled(sources.weights)
    vocabulary = Vocabulary.load(sources.llm)
    llm_config = _read_json(sources.folder, sources.llm / CONFIG)
    config = _read_config(sources, settings, llm_config)
    _check_depths(sources, config, llm_config, len(flat))

    parts = _split(sources, flat)
    if not parts["text_encoder"]:
        parts["text_encoder"] = _own_text_encoder(sources)
    check = Check(sources.folder)
    names = _Names(any(key.startswith(LLM_ADAPTED) for key in flat))
    keywords = dict(config.text_encoder or {})
    llm_config = {**llm_config, "vocab_size": len(vocabulary)}
    vae = _named(read_safetensors(sources.detokenizer / VAE_WEIGHTS))
    return Checkpoint(
        config=config,
        llm_config=llm_config,
        vocabulary=vocabulary,
        llm=check.llm(parts["llm"], llm_config, settings.lora_scale, names.of("llm")),
        bridge=check.part(parts["bridge"], lambda: Bridge(config), names.of("bridge")),
        fusion=check.part(parts["fusion"], lambda: Fusion(config), names.of("fusion")),
        dit=check.part(parts["dit"], lambda: Dit(config.dit), names.of("dit")),
        vae=check.part(vae, lambda: make_vae(config.vae), names.of("vae")),
        text_encoder=check.part(
            parts["text_encoder"],
            lambda: make_text_encoder(keywords),
            names.of("text_encoder"),
            optional=frozenset({TIED_TEXT}),
        ),
        continuation=check.kept(parts["continuation"]),
    )


@dataclass(frozen=True)
class _Names:
    """From our names back to the published ones, for errors."""

    is_adapted: bool

    def of(self, part: str) -> Callable[[str], str]:
        pairs = [(local, published) for which, published, local in PREFIXES if which == part]
        if part == "llm":
            pairs = [("", LLM_ADAPTED if self.is_adapted else LLM_PLAIN)]

        def publish(name: str) -> str:
            for local, published in pairs:
                if name.startswith(local):
                    return published + name.removeprefix(local)
            return name

        return publish


def _split(sources: Sources, flat: Mapping[str, Tensor]) -> dict[str, Named]:
    """Sort the flat dict into parts, by the network's names."""
    parts: dict[str, Named] = {part: {} for part, _, _ in PREFIXES}
    is_adapted = any(key.startswith(LLM_ADAPTED) for key in flat)
    for key, tensor in flat.items():
        for part, published, local in PREFIXES:
            if key.startswith(published) and not (is_adapted and published == LLM_PLAIN):
                parts[part][local + key.removeprefix(published)] = (key, tensor)
                break
        else:
            raise _bad(sources.folder, f"holds {key}, which the network does not know")
    return parts


def _named(tensors: Mapping[str, Tensor]) -> Named:
    return {name: (name, tensor) for name, tensor in tensors.items()}


def _own_text_encoder(sources: Sources) -> Named:
    folder = sources.text_encoder
    if folder is None:
        raise _bad(sources.folder, "lacks tangoflux.text_encoder.*, and no T5 folder is there")
    if (folder / VAE_WEIGHTS).is_file():
        tensors = read_safetensors(folder / VAE_WEIGHTS)
    else:
        tensors = read_pickled(folder / WEIGHTS)
    encoder = {
        name: tensor
        for name, tensor in tensors.items()
        if name.startswith("encoder.") or name == "shared.weight"
    }
    return _named(encoder)


def _read_config(
    sources: Sources, settings: Settings, llm_config: Mapping[str, Any]
) -> NetworkConfig:
    config = _read_json(sources.folder, sources.detokenizer / CONFIG)
    known = {field.name for field in fields(DitConfig)}
    encoder: Mapping[str, Any] = FLAN_T5_LARGE
    if sources.text_encoder is not None:
        encoder = _read_json(sources.folder, sources.text_encoder / CONFIG)
    try:
        return NetworkConfig.from_dict(
            {
                "dit": {name: value for name, value in config.items() if name in known},
                "vae": config.get("vae", {}),
                "text_encoder": encoder,
                "feature_scale": settings.feature_scale,
                "hidden_size": llm_config.get("hidden_size"),
            }
        )
    except BadInput as error:
        problem = f"describes no network: {error.field} {error.value!r} {error.problem}"
        raise BadInput("weights", str(sources.folder), problem, error.remedy) from error


def _check_depths(
    sources: Sources, config: NetworkConfig, llm_config: Mapping[str, Any], tensors: int
) -> None:
    """Refuse more layers than there are tensors, before building them."""
    encoder = config.text_encoder or {}
    for name, depth in (
        ("num_hidden_layers", llm_config.get("num_hidden_layers")),
        ("num_layers", config.dit.num_layers),
        ("num_single_layers", config.dit.num_single_layers),
        ("num_layers", encoder.get("num_layers")),
    ):
        if not isinstance(depth, int) or not 0 < depth <= tensors:
            problem = f"describes no network that can be ({name} is {depth!r})"
            raise _bad(sources.folder, problem)


def _read_settings(sources: Sources) -> Settings:
    """Read the few values of config.yaml; its `_target_` and all else stay text."""
    if sources.settings is None:
        return Settings()
    try:
        read = yaml.safe_load(_read_text(sources.folder, sources.settings))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = f"has a {SETTINGS} that is no YAML ({' '.join(str(error).split())[:160]})"
        raise _bad(sources.folder, problem) from error
    for *path, expected in (
        ("train_dataset", "datapipes", 0, "num_t5_out_tokens", SEMANTIC_TOKENS),
        ("train_dataset", "datapipes", 0, "num_aud_out_tokens", RESIDUAL_TOKENS),
    ):
        value = _at(read, path)
        if value not in (None, expected):
            raise _bad(sources.folder, f"says {path[-1]}: {value!r}, and only {expected} is known")
    scale = _number(sources, read, ("agent_model", "t5_feature_scale"))
    alpha = _number(sources, read, ("llm_model", "peft_config", "lora_alpha"))
    rank = _number(sources, read, ("llm_model", "peft_config", "r"))
    return Settings(
        feature_scale=Settings.feature_scale if scale is None else scale,
        lora_scale=Settings.lora_scale if alpha is None or rank is None else alpha / rank,
    )


def _number(sources: Sources, read: object, path: tuple[str, ...]) -> float | None:
    value = _at(read, path)
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value <= sys.float_info.max:
        raise _bad(sources.folder, f"says {'.'.join(path)}: {value!r}, which is no positive number")
    return float(value)


def _at(read: object, path: Any) -> Any:
    """The value at a path of keys and indices, or None."""
    for key in path:
        if isinstance(read, dict):
            read = read.get(key)
        elif isinstance(read, list) and isinstance(key, int) and key < len(read):
            read = read[key]
        else:
            return None
    return read


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError as error:
        raise _bad(folder, f"cannot be read ({error.strerror})") from error


def _model_type(folder: Path) -> str | None:
    """What a folder of transformers says that it holds; None if it says nothing."""
    path = folder / CONFIG
    if not path.is_file():
        return None
    kind = _read_json(folder, path).get("model_type")
    return kind if isinstance(kind, str) else None


def _read_json(folder: Path, path: Path) -> dict[str, Any]:
    try:
        read = parse(_read_text(folder, path))
    except NotJson as error:
        raise _bad(folder, f"has a {path.name} in {path.parent.name} that is no JSON") from error
    if not isinstance(read, dict):
        raise _bad(folder, f"has a {path.name} in {path.parent.name} that is no JSON object")
    return read


def _read_text(folder: Path, path: Path) -> str:
    name = f"{path.parent.name}/{path.name}"
    try:
        if path.stat().st_size > LARGEST_CONFIG:
            raise _bad(folder, f"has a {name} that is too large for a configuration")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise _bad(folder, f"holds no {name}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise _bad(folder, f"has a {name} that cannot be read ({error})") from error


def _bad(folder: Path, problem: str) -> BadInput:
    return BadInput("weights", str(folder), problem, REMEDY)
