"""One layer of a sub-event gets another shape."""

from pydantic import ValidationError

from audiostory_core.errors import BadInput
from audiostory_core.story.edits import Reshape
from audiostory_core.story.plan import Layer, SpeechLayer, SubEvent

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
    layers = event.layers
    if edit.layer > len(layers):
        raise BadInput(
            f"edits.{number}.layer",
            edit.layer,
            f"does not exist; sub-event {edit.sub_event} has {len(layers)}",
            f"Give a number from 1 to {len(layers)}." if layers else "Set its `layers` first.",
        )
    made = _shaped(layers[edit.layer - 1], number, edit)
    others = layers[: edit.layer - 1], layers[edit.layer :]
    return event.model_copy(update={"layers": (*others[0], made, *others[1])})


def _shaped(layer: Layer, number: int, edit: Reshape) -> Layer:
    changes = dict.fromkeys(edit.clear) | edit.model_dump(exclude=_PLACE, exclude_none=True)
    known = [name for name in Reshape.model_fields if name in type(layer).model_fields]
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
