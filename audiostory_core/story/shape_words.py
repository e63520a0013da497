"""The shape of a layer in words: as figures for its author, as a description for a network."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from audiostory_core.story.plan import Layer, SoundLayer, SpeechLayer

_FIGURES: Mapping[str, Callable[[Any], str]] = {
    "gain_db": lambda gain_db: f"{gain_db:+g} dB",
    "pan": lambda pan: (
        f"{abs(pan):.0%} {'left' if pan < 0 else 'right'}" if pan else "in the middle"
    ),
    "distance": lambda distance: f"distance {distance:g}",
    "start_s": lambda start_s: f"from {start_s:g} s" if start_s else "from the start",
    "fade_in_s": lambda fade_s: f"fades in over {fade_s:g} s",
    "fade_out_s": lambda fade_s: f"fades out over {fade_s:g} s",
    "pause_before_s": lambda pause_s: f"after a pause of {pause_s:g} s",
    "count": lambda count: "once" if count == 1 else f"{count} times",
    "pace": lambda pace: f"{pace} pace",
    "scenes": lambda scenes: f"in {scenes} scene{'s' if scenes > 1 else ''}",
}
_LOUDNESS = ((-12.0, "very quiet"), (-2.0, "quiet"))  # up to so many dB
_LOUD = ((9.0, "very loud"), (2.0, "loud"))  # from so many dB on
_FAR = ((0.7, "far away"), (0.35, "at some distance"), (0.0, "near"))
_SIDE = 0.25  # of a position that is not the middle


def figures_of(shape: object) -> dict[str, str]:
    """Return the fields that are set of a shape, each in a few words: "-6 dB".

    Args:
        shape: whatever has some of the fields, such as a layer, or an edit of one.
    """
    values = {name: getattr(shape, name, None) for name in _FIGURES}
    return {name: _FIGURES[name](value) for name, value in values.items() if value is not None}


def worded(caption: str, layers: Sequence[Layer]) -> str:
    """Return a caption that says what the shapes of its layers say, for engines that read text.

    In English, which the networks were trained on. A caption without shapes is returned as it is.
    """
    described = [(layer, list(_described(layer))) for layer in layers]
    clauses = [f"{_named(layer)}: {', '.join(words)}" for layer, words in described if words]
    return f"{caption} ({'; '.join(clauses)})" if clauses else caption


def _named(layer: Layer) -> str:
    return f"“{layer.words}”" if isinstance(layer, SpeechLayer) else layer.text


def _described(layer: Layer) -> list[str]:
    words = [_loudness(layer.gain_db), _side(layer.pan)]
    if isinstance(layer, SpeechLayer):
        words += [_exact(layer, name) for name in ("pause_before_s", "start_s")]
    else:
        words.append(_nearness(layer))
        words += [_exact(layer, name) for name in ("count", "start_s", "fade_in_s", "fade_out_s")]
        words.append(layer.pace)
    return [word for word in words if word]


def _exact(layer: Layer, field: str) -> str | None:
    value = getattr(layer, field)
    return None if value is None else _FIGURES[field](value)


def _loudness(gain_db: float | None) -> str | None:
    if gain_db is None:
        return None
    quiet = (word for most_db, word in _LOUDNESS if gain_db <= most_db)
    loud = (word for least_db, word in _LOUD if gain_db >= least_db)
    return next(quiet, None) or next(loud, None)


def _side(pan: float | None) -> str | None:
    if pan is None or abs(pan) < _SIDE:
        return None
    return "on the left" if pan < 0 else "on the right"


def _nearness(layer: SoundLayer) -> str | None:
    distance = layer.distance
    return next((word for least, word in _FAR if distance is not None and distance >= least), None)
