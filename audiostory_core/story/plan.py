"""Plan and sub-event types and their rules.

Every duration of a plan is a whole number of samples at `SAMPLE_RATE`, so that durations add up
to the total exactly; `samples_of` and `seconds_of` are the only two conversions.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from itertools import accumulate
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from audiostory_core.errors import BadInput
from audiostory_core.story.lengths import natural_s, spoken_s, words_in
from audiostory_core.story.mix import MixSettings, StemGains
from audiostory_core.story.shape import (
    Count,
    Distance,
    FadeIn,
    FadeOut,
    GainDb,
    LineStart,
    PaceOrNone,
    Pan,
    Pause,
    Span,
    Start,
)
from audiostory_core.text.spoken.lexicon import check_readings

SAMPLE_RATE = 44_100  # Hz, of every clip, seam and mix
CHANNELS = 2
SHORTEST_STORY_S = 1.0
LONGEST_STORY_S = 24 * 3600.0
SHORTEST_SUB_EVENT_S = 0.5
LONGEST_INSTRUCTION = 200_000  # characters
LONGEST_MANUSCRIPT = 2_000_000  # characters, of a script or a book that says what it is
LONGEST_SCENE_TEXT = 2 * LONGEST_INSTRUCTION  # characters: what is heard, as caption and as layers
MOST_LAYERS = 1000  # of a scene
DECIMALS = 5  # of a second, that tell every sample from its neighbors
SLACK_S = 0.01  # how far hand-written durations may disagree with the total before it is an error
SCHEMA_FIELD = "$schema"  # of a plan file, for editors; read over
VERSION = 2  # of the plans that planners make
VERSIONS = (1, VERSION)  # that are read; a plan that names none is of version 1
LEAST_EVENT_S = 0.5  # that a counted sound needs where its scene is as long as what fits


def samples_of(duration_s: float) -> int:
    """Return the nearest whole number of samples."""
    return round(duration_s * SAMPLE_RATE)


def seconds_of(samples: int) -> float:
    """Return the duration whose `samples_of` is exactly `samples`."""
    return samples / SAMPLE_RATE


def short_seconds(duration_s: float) -> float:
    """Return the duration of the same samples with the fewest decimals."""
    samples = samples_of(duration_s)
    shorter = (round(seconds_of(samples), decimals) for decimals in range(DECIMALS + 1))
    return next(short_s for short_s in shorter if samples_of(short_s) == samples)


class Frozen(BaseModel):
    """An immutable value that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SoundKind(StrEnum):
    """What part a sound plays in its scene."""

    AMBIENCE = "ambience"  # a bed that lasts the whole scene
    SFX = "sfx"  # something that happens, in the order of the layers
    MUSIC = "music"


def _says(description: str) -> Any:
    return Field(description=description)


Words = Annotated[
    str, Field(min_length=1, max_length=LONGEST_INSTRUCTION, pattern=r"^[^\x00]+$")
]  # Postgres cannot store NUL
Prose = Annotated[str, Field(pattern=r"^[^\x00]*$")]  # may be empty


class SoundLayer(Frozen):
    """A sound, named in words, and its shape: what is known of it as data.

    What the shape says holds, whatever the text says of the same thing.
    """

    kind: SoundKind
    text: Annotated[Words, _says("What is heard, such as: three knocks on a door.")]
    gain_db: GainDb = None
    pan: Pan = None
    distance: Distance = None
    start_s: Start = None
    fade_in_s: FadeIn = None
    fade_out_s: FadeOut = None
    count: Count = None
    pace: PaceOrNone = None
    scenes: Span = None

    @model_validator(mode="after")
    def _count_in_one_scene(self) -> Self:
        if self.count is not None and (self.scenes or 1) > 1:
            raise ValueError(
                f"count is {self.count}, but the layer is heard in {self.scenes} scenes; "
                "leave one of them out"
            )
        return self


class SpeechLayer(Frozen):
    """Words to be spoken, exactly as written."""

    kind: Literal["speech"] = "speech"
    words: Words
    speaker: Annotated[
        Words | None, _says("A name of the cast; null is the narrator or an unnamed voice.")
    ] = None
    manner: Annotated[Words | None, _says("As written, such as: whispering, tired.")] = None
    pause_before_s: Pause = None
    gain_db: GainDb = None
    pan: Pan = None
    start_s: LineStart = None


def _sort_of(layer: object) -> str | None:
    """Tell sounds and lines apart, so that an error speaks of the fields that a layer has."""
    if isinstance(layer, Mapping):
        kind = layer.get("kind", "speech" if "words" in layer else None)
    else:
        kind = getattr(layer, "kind", None)
    if kind == "speech":
        return "speech"
    return "sound" if kind in list(SoundKind) else None


Layer = Annotated[
    Annotated[SoundLayer, Tag("sound")] | Annotated[SpeechLayer, Tag("speech")],
    Discriminator(
        _sort_of,
        custom_error_type="kind",
        custom_error_message="its kind should be one of: ambience, sfx, music, speech",
    ),
]
Layers = Annotated[tuple[Layer, ...], Field(max_length=MOST_LAYERS)]


class CastMember(Frozen):
    """A named voice of the story."""

    name: Words
    description: Annotated[Prose, _says("Of the voice, such as: a tired woman.")] = ""


_SECONDS_OR_NULL = {
    "anyOf": [
        {"type": "number", "minimum": SHORTEST_SUB_EVENT_S, "maximum": LONGEST_STORY_S},
        {"type": "null"},
    ],
    "title": "Duration in seconds",
    "description": "null is as long as what is heard needs.",
}


class SubEvent(Frozen):
    """One timed unit of the plan; the studio shows it as a scene.

    A `duration_s` of None is read as what fits, see `fitting_s`.
    """

    caption: Annotated[Words, _says("What is heard; beside layers it adds no sound.")]
    duration_s: Annotated[
        float,
        Field(ge=SHORTEST_SUB_EVENT_S - SLACK_S, le=LONGEST_STORY_S + SLACK_S, allow_inf_nan=False),
        WithJsonSchema(_SECONDS_OR_NULL, mode="validation"),
    ]
    tone: Annotated[Words, _says("Mood, such as: calm, tense.")] = "neutral"
    layers: Annotated[Layers, _says("The parts of the scene, in order.")] = ()
    continues: Annotated[
        bool, _says("Carries on the sub-event before it, split only for its length.")
    ] = False
    stem_gain_db: Annotated[StemGains, Field(exclude_if=lambda gains: not gains)] = {}

    @model_validator(mode="wrap")
    @classmethod
    def _time(cls, values: Any, validate: Callable[[Any], Self]) -> Self:
        if not isinstance(values, Mapping) or values.get("duration_s", 0) is not None:
            return validate(values)
        event = validate({**values, "duration_s": SHORTEST_SUB_EVENT_S})
        object.__setattr__(event, "duration_s", fitting_s(event))  # frozen to everyone else
        return event

    @model_validator(mode="after")
    def _bound_text(self) -> Self:
        texts = (
            layer.words if isinstance(layer, SpeechLayer) else layer.text for layer in self.layers
        )
        characters = len(self.caption) + sum(map(len, texts))
        if characters > LONGEST_SCENE_TEXT:
            raise ValueError(
                f"a scene of {characters:,} characters; the most is {LONGEST_SCENE_TEXT:,}"
            )
        return self

    @property
    def samples(self) -> int:
        """Length of the scene in samples, without any tail."""
        return samples_of(self.duration_s)


def fitting_s(event: SubEvent) -> float:
    """Return how long a scene lasts whose author leaves it open, in half seconds.

    As long as its lines take to say and its events to happen, by the rules that plan an
    instruction without times; no sound starts or fades beyond it.
    """
    lines = [layer for layer in event.layers if isinstance(layer, SpeechLayer)]
    sounds = [layer for layer in event.layers if isinstance(layer, SoundLayer)]
    spoken = math.fsum(spoken_s(line.words) + (line.pause_before_s or 0.0) for line in lines)
    lasting = any(sound.kind is not SoundKind.SFX for sound in sounds)
    counted_s = LEAST_EVENT_S * sum(sound.count or 0 for sound in sounds)
    shaped_s = max(
        (
            (sound.start_s or 0.0) + (sound.fade_in_s or 0.0) + (sound.fade_out_s or 0.0)
            for sound in sounds
        ),
        default=0.0,
    )
    said_s = max(((line.start_s or 0.0) + spoken_s(line.words) for line in lines), default=0.0)
    natural = natural_s(words_in(event.caption), lasting=lasting, spoken=spoken)
    needed_s = max(natural, spoken + counted_s, shaped_s + 1.0, said_s)
    return min(math.ceil(2 * needed_s) / 2, LONGEST_STORY_S)


_SUB_EVENTS: TypeAdapter[tuple[SubEvent, ...]] = TypeAdapter(tuple[SubEvent, ...])


TokenIds = Annotated[str, Field(pattern=r"^(\d{1,9}( \d{1,9})*)?$")]  # with spaces between


class WrittenTokens(Frozen):
    """The very token ids of a plan that a language model wrote.

    A caption that is still as the model wrote it is read by these ids again; one that the author
    edited is not among them, and is tokenized.
    """

    vocabulary: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]  # names the weights that wrote
    reasoning: TokenIds = ""
    captions: dict[Words, TokenIds] = {}


_TOTAL_OR_NULL = {
    "anyOf": [
        {"type": "number", "minimum": SHORTEST_STORY_S, "maximum": LONGEST_STORY_S},
        {"type": "null"},
    ],
    "title": "Total in seconds",
    "description": "null, or left out, is the sum of the scenes.",
}


class StoryPlan(Frozen):
    """An instruction turned into ordered sub-events whose durations add up exactly.

    Durations that disagree with `duration_s` by no more than `SLACK_S` a sub-event are moved to
    whole samples on reading; more is an error. Without a `duration_s` they are added up.

    In a plan of version 2 the layers of a sub-event, where it has any, are the whole truth; in one
    of version 1 its caption may add the sounds of the place that it names.
    """

    version: Annotated[
        int,
        Field(
            exclude_if=lambda version: version == 1,
            title="Version",
            description="2; 1, or none, is a plan whose captions add sounds to layers.",
            json_schema_extra={"enum": list(VERSIONS)},
        ),
    ] = 1
    instruction: Annotated[
        str, Field(min_length=1, max_length=LONGEST_MANUSCRIPT, pattern=r"^[^\x00]+$")
    ]
    language: Annotated[Words, _says("BCP 47 primary subtag: en, es, fr, de, zh, ja, … or und.")]
    duration_s: Annotated[
        float,
        Field(ge=SHORTEST_STORY_S, le=LONGEST_STORY_S, allow_inf_nan=False),
        WithJsonSchema(_TOTAL_OR_NULL, mode="validation"),
    ]
    reasoning: Annotated[Prose, _says("How the planner came to the plan.")] = ""
    sub_events: Annotated[tuple[SubEvent, ...], Field(min_length=1)]
    cast: tuple[CastMember, ...] = ()
    directions: Annotated[
        tuple[Prose, ...], _says("Words of the instruction addressed to the planner, verbatim.")
    ] = ()
    notes: Annotated[
        tuple[Prose, ...], _says("What you should know: scaled times, merged clauses, …")
    ] = ()
    written: Annotated[
        WrittenTokens | None, _says("By the language model that conditions the clips, too.")
    ] = None
    say: Annotated[
        dict[str, str],
        Field(
            description="How words are spoken, such as shi-VAWN or, in IPA, /ʃɪˈvɔːn/, by the words.",
            exclude_if=lambda say: not say,
            json_schema_extra={"examples": [{"Siobhan": "shi-VAWN"}]},
        ),
    ] = {}
    mix: Annotated[
        MixSettings | None,
        Field(
            description="How the stems are mixed, where there are several.",
            exclude_if=lambda mix: mix is None,
        ),
    ] = None

    @field_validator("version", mode="before")
    @classmethod
    def _check_version(cls, version: object) -> object:
        if type(version) is not int or version not in VERSIONS:
            raise ValueError(
                f"this build reads plans of the versions {' and '.join(map(str, VERSIONS))}"
            )
        return version

    @field_validator("say")
    @classmethod
    def _check_readings(cls, say: dict[str, str]) -> dict[str, str]:
        return dict(check_readings(say))

    @model_validator(mode="before")
    @classmethod
    def _add_up(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        content = {name: value for name, value in values.items() if name != SCHEMA_FIELD}
        if content.get("duration_s") is not None or "sub_events" not in content:
            return content
        try:
            sub_events = _SUB_EVENTS.validate_python(content["sub_events"])
        except ValidationError:  # and the same happens again, below, under its own name
            return content | {"duration_s": LONGEST_STORY_S}
        samples = sum(event.samples for event in sub_events)
        return content | {"sub_events": sub_events, "duration_s": seconds_of(samples)}

    @model_validator(mode="after")
    def _snap_to_samples(self) -> Self:
        total = samples_of(self.duration_s)
        counts = [event.samples for event in self.sub_events]
        if sum(counts) == total:
            return self
        lengths_s = [event.duration_s for event in self.sub_events]
        if abs(math.fsum(lengths_s) - self.duration_s) > SLACK_S * len(lengths_s):
            raise ValueError(
                f"sub_events durations add up to {math.fsum(lengths_s):g} s, "
                f"but duration_s is {self.duration_s:g} s; leave it out to have them added up"
            )
        counts = whole_samples(lengths_s, total)
        snapped = tuple(
            event.model_copy(update={"duration_s": seconds_of(count)})
            for event, count in zip(self.sub_events, counts, strict=True)
        )
        object.__setattr__(self, "sub_events", snapped)  # frozen to everyone else
        return self

    @property
    def samples(self) -> int:
        """Length of the story in samples."""
        return samples_of(self.duration_s)

    @property
    def starts_s(self) -> tuple[float, ...]:
        """When each sub-event starts, in seconds from the beginning."""
        ends = accumulate(event.samples for event in self.sub_events)
        return tuple(seconds_of(at) for at in (0, *ends))[:-1]


def whole_samples(weights: Sequence[float], total: int) -> list[int]:
    """Split `total` samples in proportion to `weights`, exactly, by rounding cumulative sums."""
    whole = math.fsum(weights)
    ends = [round(total * (at / whole)) for at in accumulate(weights)]
    ends[-1] = total
    return [end - start for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def check_instruction(instruction: str, longest: int = LONGEST_INSTRUCTION) -> str:
    """Return the instruction if it can be planned.

    Args:
        instruction: as the author wrote it.
        longest: the most characters of it.

    Raises:
        BadInput: if it is empty, only white space, or too long.
    """
    if not instruction.strip():
        raise BadInput("instruction", instruction, "is empty", "Say what should be heard.")
    if len(instruction) > longest:
        raise BadInput(
            "instruction",
            instruction,
            f"has {len(instruction):,} characters; the most is {longest:,}",
            "Make several stories of it.",
        )
    if "\x00" in instruction:
        raise BadInput("instruction", instruction, "has a NUL character", "Take it out.")
    try:
        instruction.encode("utf-8")
    except UnicodeEncodeError:
        raise BadInput(
            "instruction", instruction, "is not valid Unicode text", "Save it as UTF-8."
        ) from None
    return instruction


def check_duration(duration_s: float) -> float:
    """Return the duration moved to whole samples.

    Raises:
        BadInput: if it is not a number from `SHORTEST_STORY_S` to `LONGEST_STORY_S`.
    """
    if math.isnan(duration_s) or not SHORTEST_STORY_S <= duration_s <= LONGEST_STORY_S:
        raise BadInput(
            "duration",
            duration_s,
            "is not between 1 second and 24 hours",
            f"Give seconds from {SHORTEST_STORY_S:g} to {LONGEST_STORY_S:g}.",
        )
    return seconds_of(samples_of(duration_s))


def check_count(sub_events: Sequence[SubEvent], most: int) -> None:
    """Refuse a plan of more scenes than one may have.

    Raises:
        BadInput: if it has more than `most`.
    """
    if len(sub_events) > most:
        raise BadInput(
            "plan.sub_events",
            f"{len(sub_events):,} scenes",
            f"are more than the {most:,} that a plan may have",
            "Make several stories of it, or set AUDIOSTORY_MAX_SCENES.",
        )
