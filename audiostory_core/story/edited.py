"""One edit made: the sub-events of a plan after it."""

from dataclasses import replace
from typing import Any
from unicodedata import east_asian_width

from audiostory_core.errors import BadInput
from audiostory_core.story.edits import (
    AddLayer,
    Delete,
    Edit,
    Insert,
    Merge,
    Move,
    Rebalance,
    Relanguage,
    Relayer,
    RemoveLayer,
    Reshape,
    ReshapeAll,
    Reword,
    Split,
    Swap,
    Voice,
)
from audiostory_core.story.limits import SceneLimits
from audiostory_core.story.pieces import BEFORE_ALL, SHORTEST, Piece, index_of, shown, speakers_of
from audiostory_core.story.plan import (
    SHORTEST_SUB_EVENT_S,
    CastMember,
    Layer,
    SoundKind,
    SoundLayer,
    SpeechLayer,
    SubEvent,
    samples_of,
    seconds_of,
)
from audiostory_core.story.rebalancing import check_balance, rebalanced
from audiostory_core.story.reshaping import relayered, reshape, reshape_all
from audiostory_core.story.spans import layers_of_both, layers_of_parts, respanned

_SENTENCE_ENDS = frozenset(".!?…:;。！？：；")


def edited(pieces: list[Piece], number: int, edit: Edit, limits: SceneLimits) -> list[Piece]:
    """Return the sub-events after one more edit.

    Raises:
        BadInput: naming the field of the edit that cannot be made.
    """
    match edit:
        case Insert():
            return _inserted(pieces, number, edit, limits)
        case Reword() | Reshape() | Relayer() | AddLayer() | RemoveLayer():
            index = index_of(pieces, number, "sub_event", edit.sub_event)
            made = _within(pieces[index], number, edit, limits)
            return [*pieces[:index], made, *pieces[index + 1 :]]
        case Rebalance():
            return _rebalanced(pieces, number, edit)
        case Voice():
            return _voiced(pieces, number, edit)
        case ReshapeAll():
            return _all_shaped(pieces, number, edit)
        case Relanguage():  # see `language_after`
            return pieces
        case _:
            return _ordered(pieces, number, edit)


def _within(
    piece: Piece,
    number: int,
    edit: Reword | Reshape | Relayer | AddLayer | RemoveLayer,
    limits: SceneLimits,
) -> Piece:
    match edit:
        case Reword():
            return _reworded(piece, number, edit, limits)
        case Reshape():
            return replace(piece, event=reshape(piece.event, number, edit), edit=number)
        case _:
            return replace(piece, event=relayered(piece.event, number, edit), edit=number)


def _ordered(
    pieces: list[Piece], number: int, edit: Delete | Move | Swap | Split | Merge
) -> list[Piece]:
    index = index_of(pieces, number, "sub_event", edit.sub_event)
    match edit:
        case Delete():
            return _deleted(pieces, number, index)
        case Move():
            to = index_of(pieces, number, "to", edit.to)
            rest = [*pieces[:index], *pieces[index + 1 :]]
            return [*rest[:to], pieces[index], *rest[to:]]
        case Swap():
            return _swapped(pieces, number, edit)
        case Split():
            pieces = _respanned(pieces, index, 1)
            made = _split(pieces[index], number, edit)
            return [*pieces[:index], *made, *pieces[index + 1 :]]
        case Merge():
            return _merged(pieces, number, edit)


def _deleted(pieces: list[Piece], number: int, index: int) -> list[Piece]:
    if len(pieces) == 1:
        raise BadInput(
            f"edits.{number}.sub_event",
            index + 1,
            "is the only sub-event",
            "Reword it, or insert another one before deleting it.",
        )
    pieces = _respanned(pieces, index, -1)
    return [*pieces[:index], *pieces[index + 1 :]]


def _swapped(pieces: list[Piece], number: int, edit: Swap) -> list[Piece]:
    first = index_of(pieces, number, "sub_event", edit.sub_event)
    second = index_of(pieces, number, "other", edit.other)
    if first == second:
        problem = "is the same sub-event"
        raise BadInput(f"edits.{number}.other", edit.other, problem, "Name two of them.")
    swapped = list(pieces)
    swapped[first], swapped[second] = pieces[second], pieces[first]
    return swapped


def _voiced(pieces: list[Piece], number: int, edit: Voice) -> list[Piece]:
    if edit.sub_event is not None:
        index_of(pieces, number, "sub_event", edit.sub_event)
    places = [
        place
        for place, piece in enumerate(pieces, 1)
        if edit.speaker in speakers_of(piece.event) and edit.sub_event in (None, place)
    ]
    if not places:
        known = dict.fromkeys(name for piece in pieces for name in speakers_of(piece.event))
        remedy = f"Name one of: {', '.join(known)}." if known else "Name a speaker in a line first."
        raise BadInput(f"edits.{number}.speaker", edit.speaker, "says nothing there", remedy)
    member = CastMember(name=edit.speaker, description=edit.description)
    return [
        replace(piece, voices=(*piece.voices, member), edit=number) if place in places else piece
        for place, piece in enumerate(pieces, 1)
    ]


def _all_shaped(pieces: list[Piece], number: int, edit: ReshapeAll) -> list[Piece]:
    made = [
        replace(piece, event=event, edit=number)
        if (event := reshape_all(piece.event, number, edit)) != piece.event
        else piece
        for piece in pieces
    ]
    if made == pieces:
        problem = f"changes no layer of the kind {edit.kind}" if edit.kind else "changes no layer"
        remedy = "Give a kind that the story has, and a field that means something to it."
        raise BadInput(f"edits.{number}", edit.op, problem, remedy)
    return made


def _rebalanced(pieces: list[Piece], number: int, edit: Rebalance) -> list[Piece]:
    check_balance(edit, number)
    if edit.sub_event is None:  # see `remixed`
        return pieces
    index = index_of(pieces, number, "sub_event", edit.sub_event)
    piece = pieces[index]
    made = replace(piece, event=rebalanced(piece.event, edit), edit=number)
    return [*pieces[:index], made, *pieces[index + 1 :]]


def _inserted(pieces: list[Piece], number: int, edit: Insert, limits: SceneLimits) -> list[Piece]:
    if edit.at > len(pieces) + 1:
        raise BadInput(
            f"edits.{number}.at",
            edit.at,
            f"is beyond the end of the {len(pieces)} sub-events that the plan has at this edit",
            f"Give a number from 1 to {len(pieces) + 1}.",
        )
    event = SubEvent(
        caption=edit.caption,
        duration_s=_snapped(edit.duration_s, number, limits.samples(edit.engine)),
        tone=edit.tone,
        layers=edit.layers,
    )
    scene = BEFORE_ALL - number
    new = Piece(event, None, None, scene, scene, edit=number, is_set=True, engine=edit.engine)
    if edit.at <= len(pieces):
        pieces = _respanned(pieces, edit.at - 1, 1)
    return [*pieces[: edit.at - 1], new, *pieces[edit.at - 1 :]]


def _respanned(pieces: list[Piece], at: int, more: int) -> list[Piece]:
    """Let layers that reach from before place `at` over it end with the scene they end with."""
    events = respanned([piece.event for piece in pieces], at, more)
    return [replace(piece, event=event) for piece, event in zip(pieces, events, strict=True)]


def _snapped(duration_s: float, number: int, longest: int) -> float:
    samples = samples_of(duration_s)
    if samples > longest:
        raise BadInput(
            f"edits.{number}.duration_s",
            duration_s,
            f"is longer than the {shown(longest)} s that can be made at once",
            f"Give {SHORTEST_SUB_EVENT_S:g} to {shown(longest)} s, or make several sub-events.",
        )
    return seconds_of(samples)


def _reworded(piece: Piece, number: int, edit: Reword, limits: SceneLimits) -> Piece:
    if edit.change is not None and (edit.caption is not None or edit.layers is not None):
        field = "caption" if edit.caption is not None else "layers"
        raise BadInput(
            f"edits.{number}.change",
            edit.change,
            f"is given together with {field}",
            f"Give either a change in plain words or the {field} itself.",
        )
    event = piece.event
    engine = piece.engine if edit.engine is None else edit.engine
    update: dict[str, Any] = {}
    if edit.caption is not None and edit.caption != event.caption:
        lines = tuple(layer for layer in event.layers if isinstance(layer, SpeechLayer))
        update = {"caption": edit.caption, "layers": lines}
    if edit.layers is not None:
        update["layers"] = edit.layers
    if edit.tone is not None:
        update["tone"] = edit.tone
    if edit.duration_s is not None:
        longest = limits.samples(engine, piece.inherits)
        update["duration_s"] = _snapped(edit.duration_s, number, longest)
    return replace(
        piece,
        event=event.model_copy(update=update),
        edit=number,
        is_set=piece.is_set or edit.duration_s is not None,
        change=_both(piece.change, edit.change),
        seed=piece.seed if edit.seed is None else edit.seed,
        engine=engine,
        cast=piece.cast if edit.cast is None else edit.cast,
    )


def _both(first: str | None, second: str | None) -> str | None:
    changes = [words for words in (first, second) if words is not None]
    return "; ".join(dict.fromkeys(changes)) or None


def _split(piece: Piece, number: int, edit: Split) -> list[Piece]:
    event = piece.event
    at, whole = samples_of(edit.at_s), event.samples
    if not SHORTEST <= at <= whole - SHORTEST:
        can = whole >= 2 * SHORTEST
        raise BadInput(
            f"edits.{number}.at_s",
            edit.at_s,
            f"leaves a part of the {shown(whole)} s shorter than {SHORTEST_SUB_EVENT_S:g} s",
            f"Give {SHORTEST_SUB_EVENT_S:g} to {shown(whole - SHORTEST)} s."
            if can
            else f"Make it last {2 * SHORTEST_SUB_EVENT_S:g} s or more before splitting it.",
        )
    captions = edit.captions or (event.caption, event.caption)
    if edit.captions is None:
        first_layers, second_layers = layers_of_parts(event.layers, edit.at_s)
    else:
        first_layers = tuple(layer for layer in event.layers if isinstance(layer, SpeechLayer))
        second_layers = ()
    first = event.model_copy(
        update={"caption": captions[0], "duration_s": seconds_of(at), "layers": first_layers}
    )
    second = event.model_copy(
        update={
            "caption": captions[1],
            "duration_s": seconds_of(whole - at),
            "layers": second_layers,
            "continues": True,
        }
    )
    touched = replace(piece, edit=number, is_set=True)
    return [
        replace(touched, event=first),
        replace(touched, event=second, origin=None, opens=piece.closes, seed=None),
    ]


def _merged(pieces: list[Piece], number: int, edit: Merge) -> list[Piece]:
    index = index_of(pieces, number, "sub_event", edit.sub_event)
    if index == len(pieces) - 1:
        raise BadInput(
            f"edits.{number}.sub_event",
            edit.sub_event,
            "is the last sub-event, so that there is none after it to merge with",
            f"Give a number from 1 to {len(pieces) - 1}."
            if index
            else "Insert another one before merging.",
        )
    pieces = _respanned(pieces, index + 1, -1)
    first, second = pieces[index], pieces[index + 1]
    event = first.event.model_copy(
        update={
            "caption": _joined(first.event.caption, second.event.caption),
            "duration_s": seconds_of(first.event.samples + second.event.samples),
            "tone": second.event.tone if first.event.tone == "neutral" else first.event.tone,
            "layers": _layers_of_both(first.event, second.event),
        }
    )
    merged = replace(
        first,
        event=event,
        closes=second.closes,
        edit=number,
        is_set=first.is_set or second.is_set,
        change=_both(first.change, second.change),
        seed=second.seed if first.seed is None else first.seed,
        engine=second.engine if first.engine is None else first.engine,
        cast=second.cast if first.cast is None else first.cast,
        voices=(*first.voices, *second.voices),
    )
    return [*pieces[:index], merged, *pieces[index + 2 :]]


def _joined(first: str, second: str) -> str:
    if first == second:
        return first
    first = first.rstrip()
    is_wide = east_asian_width(first[-1]) in "WF"
    stop = "" if first[-1] in _SENTENCE_ENDS else "。" if is_wide else "."
    return f"{first}{stop}{'' if is_wide else ' '}{second.lstrip()}"


def _layers_of_both(first: SubEvent, second: SubEvent) -> tuple[Layer, ...]:
    opening, ending = first.layers, second.layers
    if bool(opening) != bool(ending) and first.caption != second.caption:
        opening = opening or (SoundLayer(kind=SoundKind.SFX, text=first.caption),)
        ending = ending or (SoundLayer(kind=SoundKind.SFX, text=second.caption),)
    return layers_of_both(opening, ending, first.duration_s)
