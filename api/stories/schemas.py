"""A story as it is requested and shown, for CLI and HTTP alike."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from api.engines.catalog import DEFAULT
from api.engines.parameters import describe_engine, describe_parameters, lift_parameters
from api.engines.planners import PLANNERS
from audiostory_core.engines.card import Value
from audiostory_core.errors import bad_input_from
from audiostory_core.manuscript.elements import Format
from audiostory_core.stem import SeparateStem
from audiostory_core.story.plan import (
    LONGEST_STORY_S,
    SHORTEST_STORY_S,
    Layer,
    StoryPlan,
)


class StoryCreate(BaseModel):
    """A story to create."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=describe_parameters)

    instruction: Annotated[str, Field(description="What should be heard, in any language.")] = ""
    format: Annotated[
        Format | None,
        Field(description="What the instruction is, such as fountain (default: by its content)."),
    ] = None
    duration_s: Annotated[
        float | None,
        Field(
            strict=True,
            description="Seconds (default: read from the text).",
            json_schema_extra={"minimum": SHORTEST_STORY_S, "maximum": LONGEST_STORY_S},
        ),
    ] = None
    language: Annotated[
        str | None,
        Field(description="Such as en or zh (default: read from the text).", max_length=35),
    ] = None
    seed: Annotated[
        int | None,
        Field(strict=True, ge=0, lt=2**63, description="The same seed makes the same story."),
    ] = None
    engine: Annotated[str, Field(json_schema_extra=describe_engine)] = DEFAULT
    engines: Annotated[
        dict[SeparateStem, Annotated[str, Field(json_schema_extra=describe_engine)]] | None,
        Field(
            description="What makes each stem: engines by dialogue, music and effects; one that is "
            "not named is made by `engine`. Left out, every scene is one composite clip.",
        ),
    ] = None
    planner: Annotated[str, Field(json_schema_extra={"enum": list(PLANNERS)})] = "clauses"
    parameters: Annotated[
        dict[str, Value],
        Field(max_length=100, description="Of the engine; see GET /v1/engines."),
    ] = {}
    review: Annotated[
        bool, Field(description="Wait for your approval after the plan and after the mix.")
    ] = False
    priority: Annotated[
        int,
        Field(
            strict=True, ge=-100, le=100, description="Clips of a higher priority are made sooner."
        ),
    ] = 0
    plan: Annotated[
        StoryPlan | None, Field(description="Your own plan, instead of the planner's.")
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _lift(cls, values: object) -> object:
        return lift_parameters(values, cls.model_fields)


class StoryStatus(StrEnum):
    """Where a story stands."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting for a worker"  # told by the command line: begun or not, nobody is at work
    IN_REVIEW = "in review"  # waits for its author
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


class StoryView(BaseModel):
    """A story at a glance."""

    id: str
    status: StoryStatus
    instruction: str
    language: str | None
    duration_s: float | None  # None until planned, if the author left it open
    seed: int
    engine: str
    engines: dict[str, str] | None  # by stem; None: scenes are composite
    planner: str
    created_at: float  # seconds since 1970
    sub_events: int | None
    revision: int | None  # number of the current one
    waits_for: str | None  # "clips" and such, or what its author is to decide
    error: str | None  # why it failed
    refusal: str | None  # why the change asked for last was not made, until another is asked for


class StemView(BaseModel):
    """What is heard of a stem of a sub-event: one clip."""

    stem: str  # composite, dialogue, music or effects
    seed: int
    rerolls: int
    status: str  # planned, queued, claimed, finished, failed or withdrawn
    clip: str | None  # its key
    matched: list[str]
    unmatched: list[str]
    warnings: list[str]
    flags: list[str]
    measures: dict[str, Any] | None
    error: str | None


class SceneView(BaseModel):
    """A sub-event, where it lies in the story, and the clips it is heard as.

    What is said of the clip is said of the only one; of several, it is what they say together.
    """

    index: int  # from 1
    scene: int  # stays the same when it is reworded, moved or heard as another take
    caption: str
    start_s: float
    duration_s: float
    tone: str
    layers: list[Layer]
    continues: bool
    seed: int
    engine: str | None  # instead of the story's
    rerolls: int
    status: str  # planned, queued, claimed, finished, failed or withdrawn
    clip: str | None  # its key; None where there are several
    matched: list[str]
    unmatched: list[str]
    warnings: list[str]
    flags: list[str]
    measures: dict[str, Any] | None  # None where there are several
    error: str | None
    stems: list[StemView]


class StoryDetail(StoryView):
    """A story with its plan's remarks and its mix's measures."""

    reasoning: str
    directions: list[str]
    notes: list[str]
    revision_name: str | None
    is_accepted: bool | None  # the mix; until then it has the gain of the mix it revises
    mastering: dict[str, Any] | None  # gain, loudness and peak of the mix
    degradations: list[str]  # what was asked for and could not be made


class StoryPage(BaseModel):
    """Stories, newest first."""

    stories: list[StoryView]
    total: int


def parse_story(**values: object) -> StoryCreate:
    """Return a request made of values that nobody has checked yet.

    Raises:
        BadInput: naming the first that cannot be used.
    """
    try:
        return StoryCreate.model_validate(values)
    except ValidationError as error:
        raise bad_input_from(error, "Correct it, or leave it out.") from None
