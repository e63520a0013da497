"""Edits that make one sub-event of another: what a change in plain words comes to, exactly."""

from collections.abc import Iterator

from audiostory_core.story.edits import Edit, Relayer, Reshape, Reword
from audiostory_core.story.plan import Layer, SubEvent

_OF_A_LAYER = ("kind", "text", "words", "speaker", "manner")


def edits_between(before: SubEvent, after: SubEvent, number: int) -> list[Edit]:
    """Return edits that turn a sub-event into another, single fields where that is all.

    Args:
        before: the sub-event.
        after: what is to come of it.
        number: of the sub-event in its plan, from 1.
    """
    update = {
        name: getattr(after, name)
        for name in ("caption", "tone", "duration_s")
        if getattr(after, name) != getattr(before, name)
    }
    kinds = [[layer.kind for layer in event.layers] for event in (before, after)]
    is_same_layers = kinds[0] == kinds[1] and "caption" not in update
    if not is_same_layers and (after.layers != before.layers or "caption" in update):
        update["layers"] = after.layers
    edits: list[Edit] = [Reword(sub_event=number, **update)] if update else []
    if is_same_layers:
        for place, (old, new) in enumerate(zip(before.layers, after.layers, strict=True), 1):
            edits += _of_layer(old, new, number, place)
    return edits


def _of_layer(before: Layer, after: Layer, number: int, place: int) -> Iterator[Edit]:
    changes = {
        name: getattr(after, name)
        for name in type(after).model_fields
        if getattr(after, name) != getattr(before, name)
    }
    for form, names in ((Relayer, _OF_A_LAYER), (Reshape, tuple(Reshape.model_fields))):
        own = {name: value for name, value in changes.items() if name in names}
        values = {name: value for name, value in own.items() if value is not None}
        clear = tuple(name for name, value in own.items() if value is None)
        if own:
            yield form(sub_event=number, layer=place, clear=clear, **values)
