"""A layer's shape turned as an author's plain words ask: a step quieter, farther, faster, more."""

from collections.abc import Mapping
from typing import Any

from audiostory_core.engines.foley.sound import Shape
from audiostory_core.planners.clauses.wording import DIALS
from audiostory_core.story.plan import SoundLayer
from audiostory_core.story.shape import LOUDEST_DB, MOST_EVENTS, QUIETEST_DB, Pace

STEP_DB, STEP_DISTANCE = 6.0, 0.7  # of a dial turned once
DEGREES = {"slightly": 0.5, "much": 2.0}  # of a step
_PACES = tuple(Pace)  # the slower first
_FASTER, _SLOWER = 1.2, 0.8  # factors of a sound's habit that the text names

Changes = Mapping[str, Any]  # fields of a layer's shape


def turned(layer: SoundLayer, heard: Shape, dial: str, step: float) -> Changes | None:
    """Return what a dial changes of a layer's shape; None if it is at its end or no such dial.

    Args:
        layer: as it is.
        heard: the shape that its text has.
        dial: a key of `DIALS`.
        step: by how much, 1 for a plain request.
    """
    match dial:
        case "quieter" | "louder":
            return _louder(layer, STEP_DB * step * (1 if dial == "louder" else -1))
        case "farther":
            return _farther(layer, heard, STEP_DISTANCE * step)
        case "closer":  # what is as near as can be comes closer by being louder
            nearer = _farther(layer, heard, -STEP_DISTANCE * step)
            return nearer or _louder(layer, STEP_DB * step)
        case "faster" | "slower":
            return _faster(layer, heard, round(step + 0.1) * (1 if dial == "faster" else -1))
        case "more" | "fewer" if layer.count is not None:
            return _counted(layer.count, dial)
    return None


def named(target: Shape) -> Changes | None:
    """Return the shape that words name outright; None if it is more than a layer can hold."""
    plain = Shape()
    fields = {
        name: getattr(target, name)
        for name in Shape.__dataclass_fields__
        if getattr(target, name) != getattr(plain, name)
    }
    if not fields or not fields.keys() <= {"count", "pace", "distance", "position"}:
        return None
    changes: dict[str, Any] = {
        name: fields[name] for name in ("count", "distance") if name in fields
    }
    if "position" in fields:
        changes["pan"] = fields["position"]
    if "pace" in fields:
        changes["pace"] = _pace_of(target)
    return changes


def _louder(layer: SoundLayer, by_db: float) -> Changes | None:
    now_db = layer.gain_db or 0.0
    gain_db = min(max(now_db + by_db, QUIETEST_DB), LOUDEST_DB)
    return None if gain_db == now_db else {"gain_db": gain_db}


def _farther(layer: SoundLayer, heard: Shape, by: float) -> Changes | None:
    now = heard.distance if layer.distance is None else layer.distance
    distance = round(min(max(now + by, 0.0), 1.0), 2)
    return None if distance == now else {"distance": distance}


def _faster(layer: SoundLayer, heard: Shape, steps: int) -> Changes | None:
    now = _PACES.index(layer.pace or _pace_of(heard))
    then = min(max(now + steps, 0), len(_PACES) - 1)
    return None if then == now else {"pace": _PACES[then]}


def _pace_of(heard: Shape) -> Pace:
    if heard.pace > _FASTER:
        return Pace.FAST
    return Pace.SLOW if heard.pace < _SLOWER else Pace.NORMAL


def _counted(now: int, dial: str) -> Changes | None:
    values = (int(step.value) for step in DIALS[dial])
    further = (value for value in values if (value > now if dial == "more" else value < now))
    count = next(further, None)
    return None if count is None else {"count": min(count, MOST_EVENTS)}
