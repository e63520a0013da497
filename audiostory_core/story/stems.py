"""Which stems a scene is heard as, and what of the scene each of them reads."""

from collections.abc import Mapping, Sequence
from itertools import chain, repeat
from typing import NamedTuple

from audiostory_core.engines.protocol import Capabilities
from audiostory_core.stem import SEPARATE_STEMS, SeparateStem, Stem
from audiostory_core.story.plan import VERSION, Layer, SoundKind, SpeechLayer, SubEvent


class StemView(NamedTuple):
    """What a request of one stem says."""

    caption: str  # "" where the scene asks nothing of the stem
    layers: tuple[Layer, ...]


def stem_of(layer: Layer) -> SeparateStem:
    """Return the stem that a layer is heard in."""
    if isinstance(layer, SpeechLayer):
        return Stem.DIALOGUE
    return Stem.MUSIC if layer.kind is SoundKind.MUSIC else Stem.EFFECTS


def stems_of(
    event: SubEvent, version: int, engines: Mapping[Stem, Capabilities]
) -> tuple[Stem, ...]:
    """Return the stems that a scene needs a clip of, in the order of `SEPARATE_STEMS`.

    A scene without layers, or of a plan of version 1, is not taken apart: it is one composite clip,
    or one of effects, as the engine of effects makes it.

    Args:
        event: the scene, with all layers that are heard in it.
        version: of its plan.
        engines: that make its clips, by stem; none of them: the scene is composite. A stem without
            an engine is returned if a layer needs it.
    """
    if not engines:
        return (Stem.COMPOSITE,)
    if version == 1 or not event.layers:
        effects = engines.get(Stem.EFFECTS)
        is_whole = effects is not None and effects.composite
        return (Stem.COMPOSITE if is_whole else Stem.EFFECTS,)
    needed = {stem_of(layer) for layer in event.layers}
    needed |= {
        stem for stem in SEPARATE_STEMS if stem in engines and stem in engines[stem].continuous
    }
    return tuple(stem for stem in SEPARATE_STEMS if stem in needed)


def stem_view(
    event: SubEvent,
    stem: Stem,
    starts: Sequence[float | None] | None = None,
    version: int = VERSION,
) -> StemView:
    """Return what a request of a stem says of a scene.

    Its caption is the scene's where that names nothing else, and the words of the layers elsewhere:
    so it does not change with another stem.

    Args:
        event: the scene, with all layers that are heard in it.
        stem: of the request; a composite one is the scene as it is.
        starts: of the scene's last layers, see `starts_of`; those that come before are of earlier
            scenes.
        version: of its plan; the caption of one of version 1 adds sounds.
    """
    if stem is Stem.COMPOSITE or not event.layers:
        return StemView(event.caption, event.layers)
    others = len(event.layers) - len(starts or ())
    timed = zip(event.layers, chain(repeat(None, others), starts or ()), strict=True)
    layers = tuple(_started(layer, start_s) for layer, start_s in timed if stem_of(layer) == stem)
    if version == 1 or len(layers) == len(event.layers):
        return StemView(event.caption, layers)
    return StemView(", ".join(map(_words_of, layers)), layers)


def _started(layer: Layer, start_s: float | None) -> Layer:
    if start_s is None or layer.start_s is not None:
        return layer
    return layer.model_copy(update={"start_s": start_s})


def _words_of(layer: Layer) -> str:
    return layer.words if isinstance(layer, SpeechLayer) else layer.text
