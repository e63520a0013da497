"""Layers that are heard in several scenes, and what becomes of a layer whose scene is split."""

from collections.abc import Sequence

from audiostory_core.story.plan import (
    Layer,
    SoundKind,
    SoundLayer,
    SpeechLayer,
    StoryPlan,
    SubEvent,
    short_seconds,
)
from audiostory_core.story.shape import LONGEST_S


def spread(plan: StoryPlan) -> StoryPlan:
    """Return the plan in which every scene has all layers that are heard in it.

    A layer that began in an earlier scene comes first and is there from the start of the scene; it
    fades in where it begins and out where it ends. One that spans more scenes than there are ends
    with the story.

    Returns:
        The plan itself, if no layer spans scenes.
    """
    events = plan.sub_events
    heard = heard_layers(events)
    if all(layers is event.layers for layers, event in zip(heard, events, strict=True)):
        return plan
    whole = tuple(
        event if layers is event.layers else event.model_copy(update={"layers": layers})
        for layers, event in zip(heard, events, strict=True)
    )
    return plan.model_copy(update={"sub_events": whole})


def heard_layers(events: Sequence[SubEvent]) -> list[tuple[Layer, ...]]:
    """Return what is heard in each of the scenes; see `spread`."""
    heard = []
    running: list[tuple[SoundLayer, int]] = []  # and the place of the last scene of each
    last_place = len(events) - 1
    for place, event in enumerate(events):
        running = [(layer, last) for layer, last in running if last >= place]
        begun = [
            (layer, min(place + layer.scenes - 1, last_place))
            for layer in event.layers
            if isinstance(layer, SoundLayer) and layer.scenes is not None
        ]
        if running or begun:
            going_on = [_part(layer, begins=False, ends=last == place) for layer, last in running]
            ends = {id(layer): last == place for layer, last in begun}
            own = [
                _part(layer, begins=True, ends=ends[id(layer)])
                if isinstance(layer, SoundLayer) and id(layer) in ends
                else layer
                for layer in event.layers
            ]
            heard.append((*going_on, *own))
        else:
            heard.append(event.layers)
        running += begun
    return heard


def respanned(events: Sequence[SubEvent], at: int, more: int) -> list[SubEvent]:
    """Return the scenes before one comes in (`more` 1), or goes (-1), at a place.

    A layer that reaches over the place still ends with the scene that it ended with.
    """
    return [
        event.model_copy(
            update={"layers": tuple(_longer(each, at - place, more) for each in event.layers)}
        )
        if place < at and any(span_of(layer) > at - place for layer in event.layers)
        else event
        for place, event in enumerate(events)
    ]


def layers_of_parts(
    layers: Sequence[Layer], at_s: float
) -> tuple[tuple[Layer, ...], tuple[Layer, ...]]:
    """Return the layers of both parts of a scene that is split so many seconds from its start.

    Beds and music are in both; what happens or is said stays in the first, unless it starts at a
    time that lies in the second.
    """
    first: list[Layer] = []
    second: list[Layer] = []
    for layer in layers:
        if (layer.start_s or 0.0) >= at_s:
            second.append(_later(layer, -at_s))
        elif isinstance(layer, SpeechLayer) or not (_lasts(layer) or span_of(layer) > 1):
            first.append(layer)
        elif span_of(layer) > 1:  # it reaches over the second part by itself
            first.append(_longer(layer, 0, 1))
        else:
            first.append(layer.model_copy(update={"fade_out_s": None}))
            second.append(layer.model_copy(update={"start_s": None, "fade_in_s": None}))
    return tuple(first), tuple(second)


def layers_in_parts(layers: Sequence[Layer], count: int) -> list[tuple[Layer, ...]]:
    """Return the layers of the parts of a scene that is split only for its length.

    Words are spoken once, and what is counted happens once; the rest goes on in every part.
    """
    if count == 1:
        return [tuple(layers)]
    first = [
        _longer(layer, 0, count - 1)
        if span_of(layer) > 1
        else layer.model_copy(update={"fade_out_s": None})
        if isinstance(layer, SoundLayer) and layer.count is None
        else layer
        for layer in layers
    ]
    going_on = [
        layer.model_copy(update={"start_s": None, "fade_in_s": None})
        for layer in layers
        if isinstance(layer, SoundLayer) and layer.count is None and span_of(layer) == 1
    ]
    middle = tuple(layer.model_copy(update={"fade_out_s": None}) for layer in going_on)
    return [tuple(first), *[middle] * (count - 2), tuple(going_on)]


def layers_of_both(
    opening: Sequence[Layer], ending: Sequence[Layer], after_s: float
) -> tuple[Layer, ...]:
    """Return the layers of two scenes merged, the second so many seconds after the first.

    Of beds and music that go on from the first to the second there is one.
    """
    joined = list(opening)
    for layer in ending:
        at = next((at for at, each in enumerate(joined) if _goes_on(each, layer)), None)
        if at is None:
            joined.append(_later(layer, after_s))
        elif isinstance(layer, SoundLayer):
            joined[at] = joined[at].model_copy(update={"fade_out_s": layer.fade_out_s})
    return tuple(joined)


def _goes_on(before: Layer, after: Layer) -> bool:
    """Tell whether two layers are one that was split, or the same twice."""
    if not (isinstance(before, SoundLayer) and isinstance(after, SoundLayer) and _lasts(before)):
        return False
    if before == after:
        return True
    ends, begins = ("fade_out_s",), ("start_s", "fade_in_s")
    is_cut = all(getattr(before, name) is None for name in ends) and all(
        getattr(after, name) is None for name in begins
    )
    cleared = dict.fromkeys((*ends, *begins))
    return is_cut and before.model_copy(update=cleared) == after.model_copy(update=cleared)


def _lasts(layer: Layer) -> bool:
    return isinstance(layer, SoundLayer) and layer.kind is not SoundKind.SFX


def _later(layer: Layer, by_s: float) -> Layer:
    """Return a layer that starts so much later, if it starts at a time."""
    if layer.start_s is None:
        return layer
    start_s = min(max(short_seconds(layer.start_s + by_s), 0.0), LONGEST_S)
    return layer.model_copy(update={"start_s": start_s})


def span_of(layer: Layer) -> int:
    """Return how many scenes a layer is heard in, if there are as many."""
    return (layer.scenes or 1) if isinstance(layer, SoundLayer) else 1


def _longer(layer: Layer, reach: int, more: int) -> Layer:
    """Return a layer that spans more than `reach` scenes with so many more of them."""
    if span_of(layer) <= reach:
        return layer
    scenes = span_of(layer) + more
    return layer.model_copy(update={"scenes": scenes if scenes > 1 else None})


def _part(layer: SoundLayer, *, begins: bool, ends: bool) -> SoundLayer:
    """Return a layer as one of the scenes it spans has it."""
    changes: dict[str, object] = {"scenes": None}
    if not begins:
        changes |= {"start_s": 0.0, "fade_in_s": None}
    if not ends:
        changes["fade_out_s"] = None
    return layer.model_copy(update=changes)
