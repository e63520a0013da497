"""What an author asks of a story once it is planned, as data.

A change is validated where it is requested, stored with the story's run, and made by the plan
step, which alone may ask a planner what plain words mean.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from audiostory_core.errors import BadInput
from audiostory_core.stem import Stem
from audiostory_core.story.editing import Total
from audiostory_core.story.edits import (
    AddLayer,
    Delete,
    Edit,
    Insert,
    Merge,
    Move,
    Number,
    Rebalance,
    Relanguage,
    Relayer,
    RemoveLayer,
    Reshape,
    ReshapeAll,
    Reword,
    Split,
    Swap,
    Text,
    Voice,
)
from audiostory_core.story.plan import Frozen, SpeechLayer
from audiostory_core.story.shape_words import figures_of

MAX_EDITS = 1000
MAX_TAKES = 16
LAST_TAKE = 1_000_000  # beyond the takes of any scene, within the integers of any database


class Edits(Frozen):
    """Change the plan, or single scenes of it."""

    kind: Literal["edits"] = "edits"
    edits: Annotated[tuple[Edit, ...], Field(min_length=1, max_length=MAX_EDITS)]
    total: Total = Total.MOVE
    follow: bool = False  # condition again, and so make again, what follows the first change


class Remark(Frozen):
    """Reject the plan: the planner plans again and is told why."""

    kind: Literal["remark"] = "remark"
    remark: Text


class MoreTakes(Frozen):
    """Make a sub-event's clip again with other seeds, without changing what is heard."""

    kind: Literal["takes"] = "takes"
    sub_event: Number
    count: Annotated[int, Field(strict=True, ge=1, le=MAX_TAKES)] = 1
    stem: Stem | None = None  # None: the scene's only one


class ChooseTake(Frozen):
    """Hear a sub-event as one of its takes, worded and timed as that was."""

    kind: Literal["choose"] = "choose"
    sub_event: Number
    take: Annotated[int, Field(strict=True, ge=1, le=LAST_TAKE)]


Change = Annotated[Edits | Remark | MoreTakes | ChooseTake, Field(discriminator="kind")]
CHANGE: TypeAdapter[Edits | Remark | MoreTakes | ChooseTake] = TypeAdapter(Change)


def read_stem(name: str | None) -> Stem | None:
    """Return the stem of a name, None of none.

    Raises:
        BadInput: if there is no such stem.
    """
    try:
        return None if name is None else Stem(name)
    except ValueError:
        remedy = f"Give one of: {', '.join(Stem)}."
        raise BadInput("stem", name, "is no stem", remedy) from None


def stem_of_order(sub_event: int, stem: Stem | None, stems: Sequence[str]) -> Stem:
    """Return which stem of a scene further takes are wanted of.

    Raises:
        BadInput: if the scene has not the stem, or has several and none is named.
    """
    names = ", ".join(sorted(stems))
    if stem is None and len(stems) > 1:
        problem = f"is needed: scene {sub_event} is heard as {names}"
        raise BadInput("stem", None, problem, "Say which of them.")
    if stem is not None and stem not in stems:
        problem = f"is none of scene {sub_event}, which is heard as {names}"
        raise BadInput("stem", stem.value, problem, f"Give one of: {names}.")
    return stem or Stem(stems[0])


def summary_of(change: Edits | Remark | MoreTakes | ChooseTake) -> str:
    """Say in a line what a change does."""
    match change:
        case Edits():
            parts = [_summary_of_edit(edit) for edit in change.edits[:5]]
            rest = len(change.edits) - len(parts)
            return "; ".join([*parts, *([f"{rest} more"] if rest else [])])
        case Remark():
            return f"as remarked: “{_short(change.remark)}”"
        case MoreTakes():
            return f"scene {change.sub_event}: {change.count} more takes"
        case ChooseTake():
            return f"scene {change.sub_event}: take {change.take}"


def _summary_of_edit(edit: Edit) -> str:
    match edit:
        case Reword():
            fields = set(edit.model_dump(exclude_none=True)) - {"op", "sub_event"}
            what = edit.change or edit.caption or ", ".join(sorted(fields)).replace("_s", "")
            return f"scene {edit.sub_event}: {_short(what)}"
        case Reshape():
            return f"scene {edit.sub_event}, layer {edit.layer}: {_short(_figures(edit))}"
        case ReshapeAll():
            return f"all {edit.kind or 'layers'}: {_short(_figures(edit))}"
        case Relayer():
            values = edit.model_dump(exclude_none=True, exclude={"op", "sub_event", "layer"})
            words = [f"{name} {value}" for name, value in values.items() if name != "clear"]
            words += [f"no {name}" for name in edit.clear]
            return f"scene {edit.sub_event}, layer {edit.layer}: {_short(', '.join(words))}"
        case AddLayer():
            layer = edit.layer
            what = layer.words if isinstance(layer, SpeechLayer) else layer.text
            return f"scene {edit.sub_event}: {_short(what)} added"
        case RemoveLayer():
            return f"scene {edit.sub_event}: layer {edit.layer} removed"
        case Voice():
            where = "" if edit.sub_event is None else f"scene {edit.sub_event}: "
            return f"{where}voice of {_short(edit.speaker)}: {_short(edit.description)}"
        case _:
            return _summary_of_order(edit)


def _summary_of_order(
    edit: Insert | Delete | Move | Swap | Split | Merge | Rebalance | Relanguage,
) -> str:
    match edit:
        case Rebalance():
            where = "mix" if edit.sub_event is None else f"scene {edit.sub_event}"
            return f"{where}: {_short(', '.join(_balance(edit)))}"
        case Insert():
            return f"scene {edit.at} inserted: {_short(edit.caption)}"
        case Move():
            return f"scene {edit.sub_event} moved to {edit.to}"
        case Swap():
            return f"scenes {edit.sub_event} and {edit.other} swapped"
        case Merge():
            return f"scenes {edit.sub_event} and {edit.sub_event + 1} merged"
        case Split():
            return f"scene {edit.sub_event} split at {edit.at_s:g} s"
        case Delete():
            return f"scene {edit.sub_event} deleted"
        case Relanguage():
            return f"language {edit.language}"


def _figures(edit: Reshape | ReshapeAll) -> str:
    return ", ".join([*figures_of(edit).values(), *(f"no {name}" for name in edit.clear)])


def _balance(edit: Rebalance) -> Iterator[str]:
    yield from (f"{stem} {gain_db:+g} dB" for stem, gain_db in edit.gain_db.items())
    if edit.depth_db is not None:
        yield f"ducking {edit.depth_db:g} dB"
    if edit.attack_s is not None:
        yield f"attack {edit.attack_s:g} s"
    if edit.release_s is not None:
        yield f"release {edit.release_s:g} s"


def _short(text: str, most: int = 60) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= most else f"{one_line[: most - 1]}…"
