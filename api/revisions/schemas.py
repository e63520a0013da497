"""Changes as they are requested, and takes and revisions as they are shown."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from audiostory_core.story.changes import Change
from audiostory_core.story.plan import LONGEST_INSTRUCTION, SubEvent


class ChangeRequest(BaseModel):
    """A change to a story."""

    model_config = ConfigDict(extra="forbid")

    change: Change
    accept: Annotated[bool, Field(description="Do not wait for your approval of the new mix.")] = (
        False
    )
    base: Annotated[
        int | None,
        Field(strict=True, ge=1, le=2**31, description="The revision you were looking at."),
    ] = None


class RejectRequest(BaseModel):
    """Why the plan is rejected."""

    model_config = ConfigDict(extra="forbid")

    remark: Annotated[str, Field(min_length=1, max_length=LONGEST_INSTRUCTION)]
    base: Annotated[int | None, Field(strict=True, ge=1, le=2**31)] = None


class RenameRequest(BaseModel):
    """A name for a revision; null removes it."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str | None, Field(max_length=100)]


class PreviewLine(BaseModel):
    """What edits would do to one scene."""

    number: int | None  # after the edits; null: deleted
    was: int | None  # before the edits; null: new
    sub_event: SubEvent
    fate: Literal["kept", "made again", "deleted"]
    reason: str | None


class PreviewResponse(BaseModel):
    """What edits would do."""

    summary: str
    duration_s: float
    made_again: int
    scenes: list[PreviewLine]


class TakeView(BaseModel):
    """One clip of a sub-event, with everything it was made from."""

    take: int  # from 1, in the order they were asked for
    stem: str  # composite, dialogue, music or effects
    is_heard: bool  # the mix has this one
    origin: str  # made, re-rolled or asked for
    status: str  # queued, claimed, finished, failed or withdrawn
    caption: str
    duration_s: float
    recipe: dict[str, Any]  # engine and revision, layers, seed, parameters: all the engine read
    clip: str
    measures: dict[str, Any] | None
    warnings: list[str]
    flags: list[str]  # what is wrong with it, or what was asked of it and is not heard
    matched_gain_db: float  # brings it to the loudness of the others, for comparing
    render_s: float | None  # wall time of making it
    error: str | None
    created_at: float


class RevisionView(BaseModel):
    """A version of a story."""

    revision: int
    name: str | None
    summary: str  # what was changed
    parent: int | None
    is_current: bool
    sub_events: int
    duration_s: float
    created_at: float
