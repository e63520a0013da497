"""What a model answers, cleaned and repaired as far as it can be.

Types here take what weak models make of a schema: a number in words, a layer that is a string, a
field left out. Texts are cut to what a scene can use; whatever is lost becomes a note.
"""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import AliasChoices, BaseModel, BeforeValidator, Field

from audiostory_core.planners.timing import DraftScene
from audiostory_core.story.plan import (
    CastMember,
    Layer,
    SoundKind,
    SoundLayer,
    SpeechLayer,
    SubEvent,
)
from audiostory_core.story.shape import RANGES, Pace

LONGEST_CAPTION = 600  # characters
LONGEST_TEXT = 400  # of a layer
LONGEST_WORD = 80  # of a name, a tone, a manner
LONGEST_REASONING = 4000
MAX_LAYERS = 12  # of a scene
MAX_CAST = 40
MAX_SCENES = 2000  # of an answer; more is no plan

_NOT_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]+")
_SIGNED = re.compile(r"-?\d{1,9}(?:[.,]\d{1,9})?")
_NUMBER = re.compile(r"\d{1,9}(?:[.,]\d{1,9})?")
_KINDS = frozenset(SoundKind)
_NOBODY = frozenset({"none", "null", "n/a", "narrator"})


def clean(text: str) -> str:
    """Return a text in one line, without control characters and halves of characters."""
    return " ".join(_NOT_TEXT.sub(" ", text).split())


def _text(value: object) -> object:
    if value is None:
        return ""
    return clean(value) if isinstance(value, str) else value


def _seconds(value: object) -> object:
    """Read a length of time; what can be none counts as missing."""
    if isinstance(value, str):
        match = _NUMBER.search(value)
        value = float(match[0].replace(",", ".")) if match else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None


def _list(value: object) -> object:
    return [] if value is None else value


def _layer(value: object) -> object:
    return {"kind": SoundKind.SFX.value, "text": value} if isinstance(value, str) else value


def _shape(value: object) -> object:
    return value if isinstance(value, dict) else {}


def _member(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


def _number(value: object) -> object:
    """Read a number; what can be none counts as missing."""
    if isinstance(value, str):
        match = _SIGNED.search(value)
        value = float(match[0].replace(",", ".")) if match else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


Text = Annotated[str, BeforeValidator(_text)]
Number = Annotated[float | None, BeforeValidator(_number)]


class AnsweredShape(BaseModel):
    """The shape of a layer as a model wrote it."""

    gain_db: Number = None
    pan: Number = None
    distance: Number = None
    start_s: Number = None
    fade_in_s: Number = None
    fade_out_s: Number = None
    count: Number = None
    pace: Text = ""
    pause_before_s: Number = None


SHAPE = tuple(AnsweredShape.model_fields)  # fields of a layer's shape that a model may write


class AnsweredLayer(BaseModel):
    """A layer as a model wrote it."""

    kind: Text = ""
    text: Annotated[Text, Field(validation_alias=AliasChoices("text", "words"))] = ""
    speaker: Text = ""
    manner: Text = ""
    shape: Annotated[AnsweredShape, BeforeValidator(_shape)] = AnsweredShape()


class AnsweredScene(BaseModel):
    """A sub-event as a model wrote it."""

    NEEDED: ClassVar[str] = "caption"  # marks such an object

    caption: Text = ""
    duration_s: Annotated[float | None, BeforeValidator(_seconds)] = None
    tone: Text = ""
    layers: Annotated[
        list[Annotated[AnsweredLayer, BeforeValidator(_layer)]], BeforeValidator(_list)
    ] = []

    def overlong(self, where: str = "") -> str | None:
        """Say which text is longer than a scene can use; None if none is."""
        texts = [("caption", self.caption, LONGEST_CAPTION), ("tone", self.tone, LONGEST_WORD)]
        for at, layer in enumerate(self.layers):
            texts += [
                (f"layers.{at}.text", layer.text, LONGEST_TEXT),
                (f"layers.{at}.speaker", layer.speaker, LONGEST_WORD),
                (f"layers.{at}.manner", layer.manner, LONGEST_WORD),
            ]
        return _overlong((where + name, text, most) for name, text, most in texts)

    def draft(self, number: int = 1) -> tuple[DraftScene | None, list[str]]:
        """Return the scene and what was lost of it; None if it has no content."""
        notes: list[str] = []
        layers = _layers(self.layers, number, notes)
        caption = self.caption or ", ".join(_words(layers))
        if not caption:
            return None, [f"scene {number} of the model told nothing and was left out"]
        if len(caption) > LONGEST_CAPTION:
            notes.append(f"the caption of scene {number} was cut")
        tone = _cut(self.tone, LONGEST_WORD).lower() or "neutral"
        return DraftScene(_cut(caption, LONGEST_CAPTION), self.duration_s, tone, layers), notes


class AnsweredMember(BaseModel):
    """A voice as a model wrote it."""

    name: Text = ""
    description: Text = ""


class AnsweredPlan(BaseModel):
    """A plan as a model wrote it."""

    NEEDED: ClassVar[str] = "sub_events"

    language: Text = ""
    reasoning: Text = ""
    cast: Annotated[
        list[Annotated[AnsweredMember, BeforeValidator(_member)]], BeforeValidator(_list)
    ] = []
    sub_events: Annotated[list[AnsweredScene], Field(min_length=1, max_length=MAX_SCENES)]

    def overlong(self) -> str | None:
        """Say which text is longer than a plan can use; None if none is."""
        scenes = (scene.overlong(f"sub_events.{at}.") for at, scene in enumerate(self.sub_events))
        cast = (
            (f"cast.{at}.{name}", getattr(member, name), most)
            for at, member in enumerate(self.cast)
            for name, most in (("name", LONGEST_WORD), ("description", LONGEST_TEXT))
        )
        return next(filter(None, scenes), None) or _overlong(cast)

    def draft(self) -> tuple[list[DraftScene], list[str]]:
        """Return the scenes and what was lost of them, for the author."""
        scenes, notes = [], []
        for number, scene in enumerate(self.sub_events, 1):
            draft, lost = scene.draft(number)
            notes += lost
            scenes += [draft] if draft else []
        return scenes, notes

    def voices(self, sub_events: Iterable[SubEvent]) -> tuple[CastMember, ...]:
        """Return the cast, with all who speak in the scenes."""
        members = [
            CastMember(name=name, description=_cut(member.description, LONGEST_TEXT))
            for member in self.cast[:MAX_CAST]
            if (name := _cut(member.name, LONGEST_WORD))
        ]
        speakers = [
            CastMember(name=layer.speaker)
            for event in sub_events
            for layer in event.layers
            if isinstance(layer, SpeechLayer) and layer.speaker
        ]
        known: dict[str, CastMember] = {}
        for member in (*members, *speakers):
            known.setdefault(member.name, member)
        return tuple(known.values())


def layers_as_data(layers: Sequence[Layer]) -> list[dict[str, Any]]:
    """Return layers in the form that a model has to write."""
    return [
        (
            {"kind": "speech", "text": layer.words, "speaker": layer.speaker or "", "manner": layer.manner or ""}
            if isinstance(layer, SpeechLayer)
            else {"kind": layer.kind.value, "text": layer.text, "speaker": "", "manner": ""}
        )
        | {"shape": _shape_as_data(layer)}
        for layer in layers
    ]  # fmt: skip


def _shape_as_data(layer: Layer) -> dict[str, Any] | None:
    shape = layer.model_dump(mode="json", include=set(SHAPE), exclude_none=True)
    return dict.fromkeys(SHAPE) | shape if shape else None


def with_spans(layers: Sequence[Layer], before: Sequence[Layer]) -> tuple[Layer, ...]:
    """Return the layers of a revised scene, each in as many scenes as the same was before.

    A model sees one scene, and is not asked for how long a layer goes on after it.
    """
    spans = {each.text: each.scenes for each in before if isinstance(each, SoundLayer)}
    return tuple(
        layer.model_copy(update={"scenes": spans.get(layer.text)})
        if isinstance(layer, SoundLayer) and layer.count is None
        else layer
        for layer in layers
    )


def _layers(answered: Sequence[AnsweredLayer], number: int, notes: list[str]) -> tuple[Layer, ...]:
    layers: list[Layer] = []
    for layer in answered:
        kind, text = layer.kind.lower(), _cut(layer.text, LONGEST_TEXT)
        if not text:
            continue
        if len(layers) == MAX_LAYERS:
            notes.append(f"scene {number} has more than {MAX_LAYERS} layers; the rest is left out")
            break
        if kind == "speech":
            speaker = "" if layer.speaker.lower() in _NOBODY else _cut(layer.speaker, LONGEST_WORD)
            manner = "" if layer.manner.lower() in _NOBODY else _cut(layer.manner, LONGEST_WORD)
            line = SpeechLayer(words=text, speaker=speaker or None, manner=manner or None)
            layers.append(_shaped(line, layer.shape, number, notes))
        elif kind in _KINDS:
            sound = SoundLayer(kind=SoundKind(kind), text=text)
            layers.append(_shaped(sound, layer.shape, number, notes))
        else:
            shown = _cut(layer.kind, LONGEST_WORD)
            notes.append(f"scene {number}: a layer of unknown kind “{shown}” was left out: {text}")
    return tuple(layers)


def _shaped(layer: Layer, answered: AnsweredShape, number: int, notes: list[str]) -> Layer:
    """Return a layer with the shape that a model wrote; what is out of range is moved into it."""
    changes: dict[str, Any] = {}
    for name in SHAPE:
        value = getattr(answered, name)
        if name not in type(layer).model_fields or value in (None, ""):
            continue
        if name == "pace":
            fitted: Any = Pace(value.lower()) if value.lower() in set(Pace) else None
        else:
            least, most = RANGES[name]
            fitted = min(max(value, least), most)
            fitted = round(fitted) if name == "count" else fitted
        if fitted is None or (name != "pace" and abs(fitted - value) >= 1e-9):
            written = value if name == "pace" else f"{value:g}"
            fate = "left out" if fitted is None else f"made {fitted:g}"
            notes.append(f"scene {number}: {name} {_cut(written, LONGEST_WORD)} was {fate}")
        if fitted is not None:
            changes[name] = fitted
    return layer.model_copy(update=changes)


def _overlong(texts: Iterable[tuple[str, str, int]]) -> str | None:
    return next(
        (
            f"has {len(text):,} characters in {where}; the most is {most}"
            for where, text, most in texts
            if len(text) > most
        ),
        None,
    )


def _words(layers: Iterable[Layer]) -> list[str]:
    return [
        f"“{layer.words}”" if isinstance(layer, SpeechLayer) else layer.text for layer in layers
    ]


def _cut(text: str, most: int) -> str:
    """Return a text no longer than `most`, ended between two words where there are any."""
    if len(text) <= most:
        return text
    whole, _, _ = text[:most].rpartition(" ")
    return f"{whole or text[: most - 1]}…"[:most]
