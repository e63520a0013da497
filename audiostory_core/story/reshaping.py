"""Layers of a sub-event are changed, shaped, added and removed."""

from pydantic import ValidationError

from audiostory_core.errors import BadInput
from audiostory_core.story.edits import AddLayer, Relayer, RemoveLayer, Reshape, ReshapeAll
from audiostory_core.story.plan import MOST_LAYERS, Layer, SpeechLayer, SubEvent

_PLACE = {"op", "sub_event", "layer", "clear"}  # fields of the edit that are none of the shape


def reshape(event: SubEvent, number: int, edit: Reshape) -> SubEvent:
    """Return the sub-event with a layer shaped as an edit says.

    Args:
        event: as it is.
        number: of the edit, for errors.
        edit: what is to be set and cleared.

    Raises:
        BadInput: if there is no such layer, or a field means nothing to it or beside another one.
    """
    return _with_layer(event, edit.layer, _changed(_layer_at(event, number, edit), number, edit))


def reshape_all(event: SubEvent, number: int, edit: ReshapeAll) -> SubEvent:
    """Return the sub-event with every layer shaped to which the edit means something.

    Raises:
        BadInput: if a field does not go with what a layer has.
    """
    named = set(edit.clear) | edit.model_dump(exclude=_PLACE, exclude_none=True).keys()
    layers = tuple(
        _changed(layer, number, edit)
        if edit.kind in (None, layer.kind) and named and named <= type(layer).model_fields.keys()
        else layer
        for layer in event.layers
    )
    return event.model_copy(update={"layers": layers})


def relayered(event: SubEvent, number: int, edit: Relayer | AddLayer | RemoveLayer) -> SubEvent:
    """Return the sub-event with a layer changed, added or removed; its caption stays.

    Args:
        event: as it is.
        number: of the edit, for errors.
        edit: what is to be done.

    Raises:
        BadInput: if there is no such layer, a field means nothing to it, or none would be left.
    """
    match edit:
        case Relayer():
            layer = _changed(_layer_at(event, number, edit), number, edit)
            return _with_layer(event, edit.layer, layer)
        case AddLayer():
            return _added(event, number, edit)
        case RemoveLayer():
            _layer_at(event, number, edit)
            if len(event.layers) == 1:
                problem = "is the only one, which would leave nothing to hear"
                remedy = "Delete the scene, or add another layer first."
                raise BadInput(f"edits.{number}.layer", edit.layer, problem, remedy)
            kept = (*event.layers[: edit.layer - 1], *event.layers[edit.layer :])
            return event.model_copy(update={"layers": kept})


def _added(event: SubEvent, number: int, edit: AddLayer) -> SubEvent:
    most = min(len(event.layers) + 1, MOST_LAYERS)
    at = len(event.layers) + 1 if edit.at is None else edit.at
    if at > most:
        raise BadInput(
            f"edits.{number}.at",
            at,
            f"is beyond the end of the {len(event.layers)} layers of sub-event {edit.sub_event}",
            f"Give a number from 1 to {most}.",
        )
    layers = (*event.layers[: at - 1], edit.layer, *event.layers[at - 1 :])
    return event.model_copy(update={"layers": layers})


def _layer_at(event: SubEvent, number: int, edit: Reshape | Relayer | RemoveLayer) -> Layer:
    count = len(event.layers)
    if edit.layer <= count:
        return event.layers[edit.layer - 1]
    raise BadInput(
        f"edits.{number}.layer",
        edit.layer,
        f"does not exist; sub-event {edit.sub_event} has {count}",
        f"Give a number from 1 to {count}." if count else "Set its `layers` first.",
    )


def _with_layer(event: SubEvent, number: int, layer: Layer) -> SubEvent:
    layers = (*event.layers[: number - 1], layer, *event.layers[number:])
    return event.model_copy(update={"layers": layers})


def _changed(layer: Layer, number: int, edit: Reshape | ReshapeAll | Relayer) -> Layer:
    place = _PLACE if not isinstance(edit, ReshapeAll) else _PLACE | {"kind"}
    changes = dict.fromkeys(edit.clear) | edit.model_dump(exclude=place, exclude_none=True)
    known = [name for name in type(edit).model_fields if name in type(layer).model_fields]
    if isinstance(layer, SpeechLayer):
        known = [name for name in known if name != "kind"]
    remedy = f"Give {', '.join(known)}, or name one of them in clear."
    if not changes:
        raise BadInput(f"edits.{number}", edit.op, "changes nothing", remedy)
    for name, value in changes.items():
        if name not in known:
            owner = "a spoken line" if isinstance(layer, SpeechLayer) else "a sound"
            raise BadInput(f"edits.{number}.{name}", value, f"means nothing to {owner}", remedy)
    try:
        return type(layer).model_validate(layer.model_dump() | changes)
    except ValidationError as error:  # each fits, but not beside the other
        problem = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise BadInput(f"edits.{number}", edit.op, f"cannot be made: {problem}", remedy) from error
