"""When lines and sounds that take turns begin, so that clips of different stems agree on it."""

from collections.abc import Sequence
from itertools import accumulate

from audiostory_core.story.lengths import spoken_s
from audiostory_core.story.plan import LEAST_EVENT_S, Layer, SoundKind, SpeechLayer, SubEvent
from audiostory_core.story.shape import LONGEST_S

LEAD_S = 0.5  # before the first turn, where there is time
SOUND_S = 1.5  # that a sound of unknown length gets at least, where there is time
DECIMALS = 2


def starts_of(event: SubEvent) -> tuple[float | None, ...] | None:
    """Return when each layer starts in a scene whose lines take turns with sounds, in seconds.

    An estimate: a line takes as long as it takes to say, and what time is left lies between the
    turns. Where they do not fit, all are squeezed alike. What its author starts at a time takes no
    turn, and lines after such a line wait for it.

    Returns:
        A start for each layer, None for beds and music; None where nothing must agree.
    """
    turns = [layer for layer in event.layers if _takes_turns(layer)]
    lines = sum(isinstance(layer, SpeechLayer) for layer in turns)
    if not 0 < lines < len(turns):
        return None
    in_turn = iter(_schedule([turn for turn in turns if turn.start_s is None], event.duration_s))
    starts: list[float | None] = []
    over_s = 0.0  # when the latest line is that has a start of its author's
    for layer in event.layers:
        if not _takes_turns(layer):
            starts.append(None)
            continue
        start_s = next(in_turn) if layer.start_s is None else layer.start_s
        if isinstance(layer, SpeechLayer) and layer.start_s is None:
            start_s = max(start_s, min(over_s, event.duration_s))
        elif isinstance(layer, SpeechLayer):
            over_s = start_s + spoken_s(layer.words)
        starts.append(round(min(start_s, LONGEST_S), DECIMALS))
    return tuple(starts)


def inherit(
    starts: tuple[float | None, ...] | None, before: SubEvent, after: SubEvent
) -> tuple[float | None, ...] | None:
    """Return the starts of a changed scene: the same where only words or manners are others.

    Args:
        starts: of the scene before the change.
        before: that scene.
        after: the scene as it is now.
    """
    is_alike = before.samples == after.samples and _structure(before) == _structure(after)
    return starts if is_alike else starts_of(after)


def _structure(event: SubEvent) -> tuple[Layer, ...]:
    unsaid = {"words": "-", "manner": None}
    return tuple(
        layer.model_copy(update=unsaid) if isinstance(layer, SpeechLayer) else layer
        for layer in event.layers
    )


def _takes_turns(layer: Layer) -> bool:
    return isinstance(layer, SpeechLayer) or layer.kind is SoundKind.SFX


def _schedule(turns: Sequence[Layer], duration_s: float) -> list[float]:
    """Return when each of the turns starts, one after the other."""
    if not turns:
        return []
    needed_s = [_pause_s(turn) + _length_s(turn) for turn in turns]
    spare_s = duration_s - sum(needed_s)
    squeeze = min(1.0, duration_s / sum(needed_s))
    lead_s = min(LEAD_S, max(spare_s, 0.0) / (len(turns) + 1))
    gap_s = max(spare_s - lead_s, 0.0) / len(turns)
    begins = accumulate((squeeze * length + gap_s for length in needed_s[:-1]), initial=lead_s)
    return [at + squeeze * _pause_s(turn) for at, turn in zip(begins, turns, strict=True)]


def _pause_s(turn: Layer) -> float:
    return (turn.pause_before_s or 0.0) if isinstance(turn, SpeechLayer) else 0.0


def _length_s(turn: Layer) -> float:
    if isinstance(turn, SpeechLayer):
        return spoken_s(turn.words)
    return max(SOUND_S, LEAST_EVENT_S * (turn.count or 0))
