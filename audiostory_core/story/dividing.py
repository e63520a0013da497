"""Who sees to the shapes of the layers of a clip: its engine, the studio, or nobody.

What an engine does not honor the studio does where it can be done to the whole clip: where all
layers of the clip agree on it. Of what is then left, the author gets a note.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from audiostory_core.engines.protocol import Capabilities
from audiostory_core.stem import Stem
from audiostory_core.story.lengths import spoken_s
from audiostory_core.story.plan import Layer, SoundKind, SpeechLayer, short_seconds
from audiostory_core.story.shape import SHAPES, ClipShape, ShapeName

LEVELS: tuple[ShapeName, ...] = ("gain_db", "pan")
FADES: tuple[ShapeName, ...] = ("fade_in_s", "fade_out_s")
OF_A_CLIP: tuple[ShapeName, ...] = (*LEVELS, "start_s", *FADES)
OF_SOUNDS: tuple[ShapeName, ...] = ("distance", "count", "pace")  # a clip as it is has others


class Division(NamedTuple):
    """The shapes of a clip's layers, by who sees to them."""

    layers: tuple[Layer, ...]  # for the engine: without what the studio does
    shape: ClipShape | None  # what the studio does; None: nothing
    lost: tuple[tuple[ShapeName, ...], ...]  # of each layer: what nobody does


def divide(
    layers: Sequence[Layer],
    stem: Stem,
    capabilities: Capabilities,
    *,
    version: int,
    duration_s: float,
) -> Division:
    """Divide the shapes of what is heard in a clip.

    Args:
        layers: of the clip.
        stem: that the clip is.
        capabilities: of its engine.
        version: of the plan; in one of version 1 a caption adds sounds to the layers.
        duration_s: of the scene, its tail excluded.
    """
    card = capabilities.card
    unhonored = [name for name in SHAPES if name not in (*card.shapes, *card.shapes_in_words)]
    if not any(is_set(layer, name) for layer in layers for name in unhonored):
        return Division(tuple(layers), None, ((),) * len(layers))
    goes_on = stem in card.continuous or (stem is Stem.COMPOSITE and bool(card.continuous))
    is_whole = version > 1 and not goes_on
    if "pause_before_s" in unhonored:
        layers = [_started(layer, is_alone=is_whole and len(layers) == 1) for layer in layers]
    common = _common_of(layers, unhonored, duration_s) if is_whole else {}
    bare = tuple(_without(layer, common) for layer in layers)
    shape = ClipShape(**{name: value for name, value in common.items() if value})
    lost = (tuple(name for name in unhonored if is_set(layer, name)) for layer in bare)
    return Division(bare, shape if shape.model_fields_set else None, tuple(lost))


def _common_of(
    layers: Sequence[Layer], unhonored: Collection[ShapeName], duration_s: float
) -> dict[ShapeName, float]:
    """Return the values that the layers agree on, of what can be done to their clip."""
    common: dict[ShapeName, float | None] = {
        name: _shared(layers, name) for name in LEVELS if name in unhonored
    }
    start_s = _shared(layers, "start_s")
    if start_s is not None:
        if len(layers) == 1 or all(map(_lasts, layers)):
            common |= {name: _shared(layers, name) for name in FADES if name in unhonored}
        if "start_s" in unhonored or common.get("fade_in_s"):  # it fades in from there
            common["start_s"] = _early_enough(start_s, layers, duration_s)
    return {name: value for name, value in common.items() if value is not None}


def _started(layer: Layer, *, is_alone: bool) -> Layer:
    """Return a line without its pause: one with a start has none, one alone starts after it."""
    if not isinstance(layer, SpeechLayer) or layer.pause_before_s is None:
        return layer
    if layer.start_s is not None:
        return layer.model_copy(update={"pause_before_s": None})
    if is_alone:
        return layer.model_copy(update={"pause_before_s": None, "start_s": layer.pause_before_s})
    return layer


def _early_enough(start_s: float, layers: Sequence[Layer], duration_s: float) -> float:
    """Return a start that leaves the time that lines take to say."""
    lines = [layer for layer in layers if isinstance(layer, SpeechLayer)]
    if len(lines) < len(layers):
        return start_s
    said_s = sum(spoken_s(line.words) for line in lines)
    return min(start_s, short_seconds(max(duration_s - said_s, 0.0)))


def _without(layer: Layer, names: Collection[ShapeName]) -> Layer:
    cleared: dict[str, None] = {
        name: None for name in names if getattr(layer, name, None) is not None
    }
    return layer.model_copy(update=cleared) if cleared else layer


def _shared(layers: Sequence[Layer], name: ShapeName) -> float | None:
    values = {float(getattr(layer, name, None) or 0.0) for layer in layers}
    return values.pop() if len(values) == 1 else None


def is_set(layer: Layer, name: ShapeName) -> bool:
    """Tell whether a layer asks for something else than a clip as it is."""
    value = getattr(layer, name, None)
    return value is not None and (name in OF_SOUNDS or value != 0)


def _lasts(layer: Layer) -> bool:
    return not isinstance(layer, SpeechLayer) and layer.kind is not SoundKind.SFX
