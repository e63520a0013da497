"""When the layers of a scene begin: later, earlier, after a silence; estimated where they take turns."""

from audiostory_core.story.plan import SoundKind, SoundLayer, SubEvent
from audiostory_core.story.shape import LONGEST_S

SHIFT_S = 1.0  # where the words do not say how much


def starts_of_turns(event: SubEvent) -> list[float]:
    """Return about when each layer begins: its own start, 0 for a bed, or an equal share of turns."""
    takes_turn = [
        layer.start_s is None
        and not (isinstance(layer, SoundLayer) and layer.kind is not SoundKind.SFX)
        for layer in event.layers
    ]
    count = sum(takes_turn)
    starts_s: list[float] = []
    turn = 0
    for layer, has_turn in zip(event.layers, takes_turn, strict=True):
        starts_s.append(event.duration_s * turn / count if has_turn else layer.start_s or 0.0)
        turn += has_turn
    return starts_s


def moved(event: SubEvent, place: int, by_s: float) -> SubEvent | None:
    """Return the sub-event with a layer begun so much later; None if it is not heard then.

    Args:
        event: as it is.
        place: of the layer.
        by_s: seconds later; earlier if negative.
    """
    now_s = starts_of_turns(event)[place]
    then_s = round(min(max(now_s + by_s, 0.0), LONGEST_S), 2)
    if then_s == event.layers[place].start_s or then_s > event.duration_s - SHIFT_S / 2:
        return None
    if event.layers[place].start_s is None and by_s < 0 and now_s == 0.0:
        return None
    return _starting(event, {place: then_s})


def after_silence(event: SubEvent, silence_s: float) -> SubEvent | None:
    """Return the sub-event that begins with silence; None if that leaves no time for its sounds."""
    if not event.layers or silence_s > event.duration_s - SHIFT_S / 2:
        return None
    share = (event.duration_s - silence_s) / event.duration_s
    starts_s = {
        at: round(silence_s + start_s * share, 2)
        for at, start_s in enumerate(starts_of_turns(event))
    }
    return _starting(event, starts_s)


def _starting(event: SubEvent, starts_s: dict[int, float]) -> SubEvent:
    layers = [
        layer.model_copy(update={"start_s": starts_s[at]}) if at in starts_s else layer
        for at, layer in enumerate(event.layers)
    ]
    return event.model_copy(update={"layers": tuple(layers)})
