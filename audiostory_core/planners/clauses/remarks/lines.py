"""Spoken lines of a scene, told otherwise: how, by which voice, how loud, when."""

from collections.abc import Callable, Sequence

from audiostory_core.errors import BadInput
from audiostory_core.planners.clauses.remarks.frames import wants_lines
from audiostory_core.planners.clauses.remarks.vocabulary import Tagged
from audiostory_core.planners.clauses.turning import STEP_DB
from audiostory_core.story.plan import SpeechLayer, SubEvent
from audiostory_core.story.shape import LOUDEST_DB, QUIETEST_DB

Refusal = Callable[[str], BadInput]
_LOUDER = {"louder": 1.0, "quieter": -1.0}
_PACES = ("slower", "faster")
ONE_LINE = frozenset(
    ("line", "sentence", "línea", "frase", "réplique", "phrase", "ligne", "zeile", "satz", "这句话",
     "那句话", "这句", "那句", "一言")
)  # fmt: skip


def lines_of(event: SubEvent) -> list[int]:
    """Return the places of the spoken lines."""
    return [at for at, layer in enumerate(event.layers) if isinstance(layer, SpeechLayer)]


def line_at(event: SubEvent, place: int) -> SpeechLayer:
    """Return a spoken line by its place."""
    layer = event.layers[place]
    assert isinstance(layer, SpeechLayer)
    return layer


def meant_lines(event: SubEvent, tagged: Tagged, refusal: Refusal) -> list[int]:
    """Return the places of the lines that a remark is about.

    Raises:
        BadInput: if there are none, or any of several may be meant.
    """
    places = lines_of(event)
    if not places:
        raise refusal("is about a spoken line, and nobody speaks in the scene")
    names = set(tagged.values("speaker"))
    if names:
        places = [at for at in places if line_at(event, at).speaker in names]
        if not places:
            raise refusal(f"names {', '.join(sorted(names))}, who says nothing in the scene")
    speakers = {line_at(event, at).speaker for at in places}
    is_single = bool(set(tagged.values("line")) & ONE_LINE)
    is_open = len(speakers) > 1 and not names and wants_lines(tagged)
    if len(places) > 1 and (is_single or is_open):
        quoted = ", ".join(f"“{line_at(event, at).words}”" for at in places)
        raise refusal(f"could mean any of {quoted}; say who speaks, or change the layer itself")
    return places


def with_line(event: SubEvent, place: int, **changes: object) -> SubEvent:
    """Return the sub-event with fields of a line changed."""
    line = line_at(event, place).model_copy(update=changes)
    layers = (*event.layers[:place], line, *event.layers[place + 1 :])
    return event.model_copy(update={"layers": layers})


def turned_line(
    event: SubEvent, place: int, dial: str, step: float, manners: dict[str, str]
) -> SubEvent | None:
    """Return the sub-event with a line a step louder, quieter, slower or faster.

    Args:
        event: as it is.
        place: of the line.
        dial: what to turn.
        step: how far, 1 for a plain request.
        manners: what the manners "slow" and "fast" are called in the story's language.

    Returns:
        None if the line has no such dial, or is at its end.
    """
    line = line_at(event, place)
    if dial in _LOUDER:
        now_db = line.gain_db or 0.0
        gain_db = min(max(now_db + _LOUDER[dial] * step * STEP_DB, QUIETEST_DB), LOUDEST_DB)
        return None if gain_db == now_db else with_line(event, place, gain_db=gain_db)
    if dial not in _PACES:
        return None
    wanted, other = ("slow", "fast") if dial == "slower" else ("fast", "slow")
    parts = [part for part in (line.manner or "").split(", ") if part]
    if manners[wanted] in parts:
        return None
    if manners[other] in parts:  # from one end of the scale to its middle
        parts.remove(manners[other])
    else:
        parts.append(manners[wanted])
    return with_line(event, place, manner=", ".join(parts) or None)


def with_manner(
    event: SubEvent, places: Sequence[int], names: Sequence[str], refusal: Refusal
) -> SubEvent:
    """Return the sub-event with lines said in a manner.

    Raises:
        BadInput: if all of them are said so already.
    """
    manner = ", ".join(dict.fromkeys(names))
    if all(line_at(event, at).manner == manner for at in places):
        raise refusal(f"asks for what is there: the line is said “{manner}” already")
    for place in places:
        event = with_line(event, place, manner=manner)
    return event
