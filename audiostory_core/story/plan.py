"""Plan and sub-event types and their rules.

Every duration of a plan is a whole number of samples at `SAMPLE_RATE`, so that durations add up
to the total exactly; `samples_of` and `seconds_of` are the only two conversions.
"""

import math
from collections.abc import Sequence
from enum import StrEnum
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from audiostory_core.errors import BadInput, first_problem
from audiostory_core.json_text import NotJson, parse

SAMPLE_RATE = 44_100  # Hz, of every clip, seam and mix
CHANNELS = 2
SHORTEST_STORY_S = 1.0
LONGEST_STORY_S = 24 * 3600.0
SHORTEST_SUB_EVENT_S = 0.5
LONGEST_INSTRUCTION = 200_000  # characters
DECIMALS = 5  # of a second, that tell every sample from its neighbors
SLACK_S = 0.01  # how far hand-written durations may disagree with the total before it is an error


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


Words = Annotated[str, Field(min_length=1, pattern=r"^[^\x00]+$")]  # Postgres cannot store NUL
Prose = Annotated[str, Field(pattern=r"^[^\x00]*$")]  # may be empty


class SoundLayer(Frozen):
    """A sound, told in words."""

    kind: SoundKind
    text: Words


class SpeechLayer(Frozen):
    """Words to be spoken, exactly as written."""

    kind: Literal["speech"] = "speech"
    words: Words
    speaker: Words | None = None  # a name of the cast; None is the narrator or an unnamed voice
    manner: Words | None = None  # as written, e.g. "whispering", "tired"


Layer = SoundLayer | SpeechLayer


class CastMember(Frozen):
    """A named voice of the story."""

    name: Words
    description: Prose = ""  # the words around the first mention, e.g. "a tired woman"


class SubEvent(Frozen):
    """One timed unit of the plan; the studio shows it as a scene."""

    caption: Words
    duration_s: Annotated[
        float,
        Field(ge=SHORTEST_SUB_EVENT_S - SLACK_S, le=LONGEST_STORY_S + SLACK_S, allow_inf_nan=False),
    ]
    tone: Words = "neutral"
    layers: tuple[Layer, ...] = ()
    continues: bool = False  # carries on the sub-event before it, split only for its length

    @property
    def samples(self) -> int:
        """Length of the scene in samples, without any tail."""
        return samples_of(self.duration_s)


TokenIds = Annotated[str, Field(pattern=r"^(\d{1,9}( \d{1,9})*)?$")]  # with spaces between


class WrittenTokens(Frozen):
    """The very token ids of a plan that a language model wrote.

    A caption that is still as the model wrote it is read by these ids again; one that the author
    edited is not among them, and is tokenized.
    """

    vocabulary: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]  # names the weights that wrote
    reasoning: TokenIds = ""
    captions: dict[Words, TokenIds] = {}


class StoryPlan(Frozen):
    """An instruction turned into ordered sub-events whose durations add up exactly.

    Durations that disagree with `duration_s` by no more than `SLACK_S` a sub-event are moved to
    whole samples on reading; more is an error.
    """

    instruction: Annotated[Words, Field(max_length=LONGEST_INSTRUCTION)]
    language: Words  # BCP 47 primary subtag: en, es, fr, de, zh, ja, … or und
    duration_s: Annotated[
        float, Field(ge=SHORTEST_STORY_S, le=LONGEST_STORY_S, allow_inf_nan=False)
    ]
    reasoning: Prose = ""
    sub_events: Annotated[tuple[SubEvent, ...], Field(min_length=1)]
    cast: tuple[CastMember, ...] = ()
    directions: tuple[
        Prose, ...
    ] = ()  # words of the instruction addressed to the planner, verbatim
    notes: tuple[Prose, ...] = ()  # what the author should know: scaled times, merged clauses, …
    written: WrittenTokens | None = None  # by the language model that conditions the clips, too

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


def check_instruction(instruction: str) -> str:
    """Return the instruction if it can be planned.

    Raises:
        BadInput: if it is empty, only white space, or longer than `LONGEST_INSTRUCTION`.
    """
    if not instruction.strip():
        raise BadInput("instruction", instruction, "is empty", "Say what should be heard.")
    if len(instruction) > LONGEST_INSTRUCTION:
        raise BadInput(
            "instruction",
            instruction,
            f"has {len(instruction):,} characters; the most is {LONGEST_INSTRUCTION:,}",
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


def plan_document(plan: StoryPlan) -> dict[str, Any]:
    """Return a plan as JSON for a person: what `read_plan` reads from it is equal to the sample."""
    document = plan.model_dump(mode="json")
    for part in (document, *document["sub_events"]):
        part["duration_s"] = short_seconds(part["duration_s"])
    return document


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


def read_plan(path: Path) -> StoryPlan:
    """Read a plan that `audiostory plan` wrote or a person edited.

    Without a `duration_s` of its own, its sub-events are added up.

    Raises:
        BadInput: if the file cannot be read, is not JSON, has unknown or missing fields, or its
            durations disagree with the total.
    """
    remedy = "Write one with `audiostory plan INSTRUCTION -o plan.json` and edit that."
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput("plan", str(path), error.strerror or "cannot be read", remedy) from error
    except UnicodeDecodeError as error:
        raise BadInput("plan", str(path), "is not UTF-8 text", remedy) from error
    try:
        return StoryPlan.model_validate(_with_total(parse(text)))
    except NotJson as error:
        raise BadInput("plan", str(path), str(error), remedy) from error
    except ValidationError as error:
        where, _, problem = first_problem(error)
        raise BadInput("plan", str(path), f"{where or 'the plan'}: {problem}", remedy) from error


def _with_total(document: Any) -> Any:
    try:
        durations = [float(event["duration_s"]) for event in document["sub_events"]]
        if "duration_s" not in document:
            return document | {"duration_s": seconds_of(sum(map(samples_of, durations)))}
    except (KeyError, TypeError, ValueError, OverflowError):
        pass  # whatever else is wrong is told when the document is validated
    return document
