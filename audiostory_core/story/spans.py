"""Layers that are heard in several scenes, and what becomes of a layer whose scene is split."""

from collections.abc import Iterator, Sequence

from audiostory_core.story.plan import Layer, SoundLayer, StoryPlan, SubEvent


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


def parts(layer: SoundLayer) -> tuple[SoundLayer, SoundLayer]:
    """Return a layer as it is heard in the two parts of a split scene."""
    return _part(layer, begins=True, ends=False), _part(layer, begins=False, ends=True)


def notes_on_spans(events: Sequence[SubEvent]) -> Iterator[str]:
    """Yield a note for each layer that spans more scenes than there are."""
    for number, event in enumerate(events, 1):
        left = len(events) - number + 1
        for layer in event.layers:
            if isinstance(layer, SoundLayer) and (layer.scenes or 1) > left:
                yield (
                    f"Scene {number}: “{layer.text}” is to be heard in {layer.scenes} scenes, but "
                    f"{left} {'is' if left == 1 else 'are'} left; it ends with the story."
                )


def _part(layer: SoundLayer, *, begins: bool, ends: bool) -> SoundLayer:
    """Return a layer as one of the scenes it spans has it."""
    changes: dict[str, object] = {"scenes": None}
    if not begins:
        changes |= {"start_s": 0.0, "fade_in_s": None}
    if not ends:
        changes["fade_out_s"] = None
    return layer.model_copy(update=changes)
