"""What is to be heard in a sub-event, read from its layers or, where it has none, its caption."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from audiostory_core.engines.foley.scene.space import RoomName
from audiostory_core.engines.foley.sound import Kind, Mention, Role, Shape, Trim
from audiostory_core.engines.foley.words.reading import Reading
from audiostory_core.story.plan import Layer, SoundKind, SoundLayer, SpeechLayer
from audiostory_core.story.shape import Pace

ROOM_TONE = "room_tone"  # the kind under every scene
PACES = {  # as factors of a kind's own habit
    Pace.VERY_SLOW: 0.4,
    Pace.SLOW: 0.6,
    Pace.NORMAL: 1.0,
    Pace.FAST: 1.6,
    Pace.VERY_FAST: 2.2,
}
_VOICES = frozenset({"talking", "shouting", "whispering", "announcement"})

# Between two mentions of one text: these words let them sound together …
_TOGETHER = re.compile(
    r"\b(with|while|as|amid|amidst|under|over|beneath|mientras(?! tanto)|con|bajo|entre|pendant|tandis|"
    r"alors|avec|sous|während|mit|unter|zu)\b|伴随|伴着|同时|一边|之中|ながら|とともに|の中"
)
_AND = re.compile(r"\b(and|y|e|et|und)\b|和|与|と")
# … unless one of these puts them one after the other.
_IN_TURN = re.compile(
    r"[,;.:!?\n，。；：！？、]|\b(then|after|before|finally|until|luego|después|entonces|puis|"
    r"ensuite|après|dann|danach|nach)\b|然后|接着|之后|最后|そして|それから|その後"
)
_JOINS_BEFORE = re.compile(
    r"\s*(with|while|con|mientras(?! tanto)|avec|pendant que|mit|während)\b|伴随|伴着"
)
_ONLY = re.compile(
    r"\b(only|nothing but|solo|sólo|solamente|seulement|nur|bloß)\b|只有|只剩|仅|だけ|のみ"
)


class Reader(Protocol):
    """Something that finds sounds in words."""

    def read(self, text: str, language: str) -> Reading:
        """Return the sounds, places and silences that a text names."""
        ...


@dataclass(frozen=True)
class Cue:
    """A sound that takes a turn in the scene."""

    mention: Mention
    kind: Kind
    is_joined: bool = False  # sounds together with the cue before it

    @property
    def start_s(self) -> float | None:
        """When it starts, if it takes no turn."""
        return self.mention.trim.start_s


@dataclass(frozen=True)
class Pause:
    """A silence that takes a turn."""

    text: str


Turn = Cue | Pause | SpeechLayer


@dataclass(frozen=True)
class Script:
    """Everything a scene asks for."""

    beds: tuple[Mention, ...] = ()
    turns: tuple[Turn, ...] = ()  # in order
    music: tuple[Turn, ...] = ()  # in order, beside the turns
    carried: Shape = field(default_factory=Shape)  # of what the scene before was about
    places: frozenset[str] = field(default_factory=frozenset)  # beds that a place only implies
    room: RoomName | None = None
    silences: tuple[str, ...] = ()  # words for silence
    joins_before: bool = False  # "with sirens blaring": beside what the scene before was about
    is_bare: bool = False  # "only the sea": what sounded before is gone
    left_over: tuple[str, ...] = ()  # layers, or the caption, in which nothing was found
    denied: frozenset[str] = field(default_factory=frozenset)  # kinds that are said to be absent
    absences: tuple[str, ...] = ()  # words that say so
    is_scenery: bool = False  # something says where, when or in what mood it is

    @property
    def is_empty(self) -> bool:
        """Whether nothing of what was requested can be made."""
        return self._is_bare_of_sounds and not self.is_still

    @property
    def is_still(self) -> bool:
        """Whether it asks for no sound, but says what is absent, or where and when it is."""
        says_so = bool(self.absences) or self.is_scenery
        return self._is_bare_of_sounds and says_so and not self.left_over

    @property
    def _is_bare_of_sounds(self) -> bool:
        heard = (self.beds, self.turns, self.music, self.carried.motion, self.silences)
        return not any(heard)

    @property
    def is_silence(self) -> bool:
        """Whether silence is requested, and nothing but what a place implies."""
        named = [bed for bed in self.beds if bed.kind not in self.places]
        is_still = all(isinstance(turn, Pause) for turn in (*self.turns, *self.music))
        return bool(self.silences) and is_still and not named

    @property
    def is_retelling(self) -> bool:
        """Whether it only says what becomes of the sounds of the scene before."""
        return self.carried.motion is not None and not self.cues

    def without(self, denied: Collection[str], banned: Collection[str]) -> "Script":
        """Return the script without sounds that are denied elsewhere in the story.

        Args:
            denied: kinds that a place does not add.
            banned: kinds that are not made, whoever names them.
        """
        absent = {kind for kind in self.places if kind in denied} | {*banned}
        if not absent:
            return self

        def keep(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
            return tuple(
                turn
                for turn in turns
                if not isinstance(turn, Cue) or turn.mention.kind not in absent
            )

        beds = tuple(bed for bed in self.beds if bed.kind not in absent)
        kept = replace(self, beds=beds, turns=keep(self.turns), music=keep(self.music))
        kept = replace(kept, places=self.places - absent)
        if (kept.beds, kept.turns, kept.music) == (self.beds, self.turns, self.music):
            return self
        return replace(kept, absences=kept.absences or tuple(sorted(absent)))

    @property
    def cues(self) -> tuple[Cue, ...]:
        """The sounds that happen, in order, music last."""
        return tuple(turn for turn in (*self.turns, *self.music) if isinstance(turn, Cue))


def write_script(
    caption: str,
    layers: Sequence[Layer],
    language: str,
    reader: Reader,
    kinds: Mapping[str, Kind],
    version: int = 1,
) -> Script:
    """Read what a sub-event asks for.

    Beside layers the caption says in which room they are heard and what sounds together; in a plan
    of version 1 it adds the beds of its place, and its sounds where the layers give none. Words
    that are spoken give neither, and who speaks them is no sound besides.
    """
    unspoken = _without_lines(caption, layers)
    reading = reader.read(unspoken, language)
    layers_only = version > 1 and bool(layers)
    if layers_only:
        reading = replace(reading, ambience=())
    parts: list[_Part | SpeechLayer] = []
    end = 0
    for layer in layers:
        if isinstance(layer, SpeechLayer):
            parts.append(layer)
            continue
        start = caption.find(layer.text, end)
        before = caption[end:start] if start > end > 0 else ""
        end = start + len(layer.text) if start >= 0 else end
        read = _shaped(reader.read(layer.text, language), layer, kinds)
        parts.append(_Part(layer.text, read, layer.kind, before))
    if not layers_only and not any(isinstance(part, _Part) and part.names_sound for part in parts):
        speaks = any(isinstance(part, SpeechLayer) for part in parts)
        whole = _Part(unspoken, _without_voices(reading) if speaks else reading)
        if whole.says_something or not parts:
            parts = [whole, *(part for part in parts if isinstance(part, SpeechLayer))]
    return _assemble(caption, parts, reading, kinds)


def _shaped(reading: Reading, layer: SoundLayer, kinds: Mapping[str, Kind]) -> Reading:
    """Return what a layer's text names, with the layer's own shape.

    The beds of a place that it names besides keep theirs.
    """
    if layer.model_fields_set <= {"kind", "text"}:
        return reading
    trim = Trim(
        gain_db=layer.gain_db or 0.0,
        pan=layer.pan,
        start_s=layer.start_s,
        fade_in_s=layer.fade_in_s or 0.0,
        fade_out_s=layer.fade_out_s or 0.0,
        is_placed=layer.distance is not None,
    )
    fields: dict[str, Any] = {"distance": layer.distance, "position": layer.pan}
    fields["pace"] = None if layer.pace is None else PACES[layer.pace]
    changes = {name: value for name, value in fields.items() if value is not None}

    def shape(mention: Mention, count: int | None = None) -> Mention:
        own = changes if count is None else changes | {"count": count}
        return replace(mention, shape=replace(mention.shape, **own), trim=trim)

    happens = (at for at, m in enumerate(reading.mentions) if kinds[m.kind].role is Role.ONESHOT)
    counted = next(happens, 0)  # of a layer that names several sounds, what happens is counted
    return replace(
        reading,
        mentions=tuple(
            shape(mention, layer.count if at == counted else None)
            for at, mention in enumerate(reading.mentions)
        ),
        ambience=reading.ambience
        if reading.mentions
        else tuple(shape(bed) for bed in reading.ambience),
    )


def _without_lines(caption: str, layers: Sequence[Layer]) -> str:
    for layer in layers:
        if isinstance(layer, SpeechLayer):
            words = layer.words.rstrip(" .。")
            cues = (f"{layer.speaker} ({layer.manner}) ", f"{layer.speaker} ")
            spoken = next((cue + words for cue in cues if cue + words in caption), words)
            caption = caption.replace(spoken, "", 1)
    return caption


def _without_voices(reading: Reading) -> Reading:
    mentions = tuple(mention for mention in reading.mentions if mention.kind not in _VOICES)
    return replace(reading, mentions=mentions)


@dataclass(frozen=True)
class _Part:
    text: str
    reading: Reading
    kind: SoundKind = SoundKind.SFX
    before: str = ""  # what the caption says between the layer before and this one

    @property
    def names_sound(self) -> bool:
        reading = self.reading
        heard = (reading.mentions, reading.ambience, reading.silences, reading.carried.motion)
        return any(heard)

    @property
    def says_something(self) -> bool:
        is_absence = bool(self.reading.absences) and not self.reading.unmatched
        return self.names_sound or is_absence or self.reading.is_scenery


def _assemble(
    caption: str, parts: Sequence[_Part | SpeechLayer], whole: Reading, kinds: Mapping[str, Kind]
) -> Script:
    beds: dict[str, Mention] = {}
    turns: list[Turn] = []
    music: list[Turn] = []
    for part in parts:
        if isinstance(part, SpeechLayer):
            turns.append(part)
            continue
        track = music if part.kind is SoundKind.MUSIC else turns
        track += _turns(part, track[-1] if track else None, kinds)
        for mention in part.reading.mentions:
            if kinds[mention.kind].role is Role.BED:
                beds.setdefault(mention.kind, mention)
    texts = [part for part in parts if isinstance(part, _Part)]
    readings = [whole, *(part.reading for part in texts)]
    denied = {mention.kind for reading in readings for mention in reading.denied}
    places = {
        bed.kind: bed
        for reading in readings
        for bed in reading.ambience
        if bed.kind not in {*beds, *denied} and kinds[bed.kind].role in (Role.BED, Role.SUSTAINED)
    }
    return Script(
        beds=(*beds.values(), *places.values()),
        turns=tuple(turns),
        music=tuple(music),
        carried=next(
            (part.reading.carried for part in texts if part.reading.carried.motion), Shape()
        ),
        places=frozenset(places),
        room=next((reading.room for reading in readings if reading.room), None),
        silences=tuple(mention.text for part in texts for mention in part.reading.silences),
        joins_before=bool(_JOINS_BEFORE.match(caption.casefold())),
        is_bare=any(_ONLY.search(part.text.casefold()) for part in texts),
        left_over=tuple(part.text for part in texts if not part.says_something),
        denied=frozenset(denied),
        absences=tuple(dict.fromkeys(words for r in readings for words in r.absences)),
        is_scenery=any(part.reading.is_scenery for part in texts),
    )


def _turns(part: _Part, last: Turn | None, kinds: Mapping[str, Kind]) -> list[Cue | Pause]:
    # Of an ambience, silence is a property; elsewhere it takes its turn.
    silences = () if part.kind is SoundKind.AMBIENCE else part.reading.silences
    mentions = [*part.reading.mentions, *silences]
    turns: list[Cue | Pause] = []
    end = 0
    for mention in sorted(mentions, key=lambda mention: mention.start):
        kind = kinds.get(mention.kind)
        if kind is None:
            turns.append(Pause(mention.text))
        elif kind.role is not Role.BED:
            between = part.text[end : mention.start]
            if not turns:
                between = part.before + between if part.before else ""
            before = turns[-1] if turns else last
            is_joined = (
                isinstance(before, Cue)
                and before.start_s is None
                and mention.trim.start_s is None
                and _together(between, before.kind, kind)
            )
            turns.append(Cue(mention, kind, is_joined))
        end = mention.end
    return turns


def _together(between: str, before: Kind, after: Kind) -> bool:
    between = between.casefold()
    lasting = [kind.role is not Role.ONESHOT for kind in (before, after)]
    if not any(lasting) or _IN_TURN.search(between):
        return False
    return bool(_TOGETHER.search(between)) or (all(lasting) and bool(_AND.search(between)))
