"""The tables.

A story has immutable revisions; a revision lists scene versions in order; a scene version is a
wording of a sub-event, and is heard as a clip for each of its stems, or as one that is composite.
Every clip ever wanted for a sub-event is one of its takes. Clips, conditions and segments are content-addressed and shared by
all stories. Every time is in seconds since 1970 on the database's own clock.
"""

from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from storage.text import StoredText

Json = dict[str, Any]


class now_s(FunctionElement[float]):  # noqa: N801 - reads as the SQL function it is
    """The database's clock in seconds since 1970, the same for every process that uses it."""

    type = Double()
    inherit_cache = True


@compiles(now_s, "sqlite")
def _now_sqlite(element: now_s, compiler: SQLCompiler, **options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now_s, "postgresql")
def _now_postgresql(element: now_s, compiler: SQLCompiler, **options: Any) -> str:
    return "extract(epoch from clock_timestamp())"


class RunState(StrEnum):
    """Where one execution of the graph stands."""

    QUEUED = "queued"  # wants a worker
    RUNNING = "running"  # a worker holds its lease
    PARKED = "parked"  # waits for clips or for the author; no worker, no connection
    FINISHED = "finished"
    FAILED = "failed"  # stopped with an error; `resume` queues it again
    CANCELLED = "cancelled"  # stopped by the author; `resume` queues it again


ACTIVE = (RunState.QUEUED, RunState.RUNNING, RunState.PARKED)


class WorkKind(StrEnum):
    """What there is to do."""

    CLIP = "clip"  # its key is the clip's, and its request is kept with the clip
    CONDITION = "condition"  # of some scenes of a revision; its key is the sha256 of its request
    EXPORT = "export"  # of a mix or one of its stems; its key is the sha256 of its request


class WorkState(StrEnum):
    """Where a piece of work stands in the queue."""

    QUEUED = "queued"
    CLAIMED = "claimed"  # a worker holds its lease
    FINISHED = "finished"  # its file is complete; work on conditions is gone then
    FAILED = "failed"  # every attempt failed; the error is kept
    WITHDRAWN = "withdrawn"  # nobody waits for it any more; queued again when somebody does


AT_REST = (WorkState.WITHDRAWN, WorkState.FAILED, WorkState.FINISHED)


class Wait(StrEnum):
    """What a parked run waits for; the last three are its author's to settle."""

    ENGINE = "engine"  # no worker has ever offered the one it needs
    CONDITIONS = "conditions"
    CLIPS = "clips"
    PLAN_REVIEW = "plan review"
    MIX_REVIEW = "mix review"
    CLIP_REVIEW = "clip review"  # a clip failed in all its attempts; resumed, never approved


FOR_WORK: dict[str | None, WorkKind] = {
    Wait.CONDITIONS: WorkKind.CONDITION,
    Wait.CLIPS: WorkKind.CLIP,
}
FOR_WORKERS = (Wait.ENGINE, *FOR_WORK)  # what its author need not settle


class TakeOrigin(StrEnum):
    """Why a take was made."""

    MADE = "made"  # for a wording
    REROLLED = "re-rolled"  # by the check
    REQUESTED = "asked for"  # by the author


class DeliveryState(StrEnum):
    """Where an event stands on its way to a webhook."""

    DUE = "due"
    DELIVERED = "delivered"
    GIVEN_UP = "given up"


# Spelled out where work is looked for: a bound value keeps SQLite from using the partial index.
IS_OPEN_WORK = text("work.state IN ('queued', 'claimed')")
IS_OPEN = text("state IN ('queued', 'claimed')")  # the same, as an index has it


class Table(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        Json: JSON,
        list[int]: JSON,
        list[str]: JSON,
        list[Json]: JSON,
        list[float | None]: JSON,
        str: StoredText(),
        float: Double(),
        int: BigInteger().with_variant(Integer, "sqlite"),  # SQLite numbers only INTEGER keys
    }


class Store(Table):
    """The identity of this store, repeated in its audio folder so that the two cannot be mixed."""

    __tablename__ = "store"

    id: Mapped[int] = mapped_column(primary_key=True)
    store_id: Mapped[str]


class ApiKey(Table):
    """Leave to use the API; the secret itself is not kept."""

    __tablename__ = "api_key"

    id: Mapped[str] = mapped_column(primary_key=True)  # the part of a key that may be shown
    name: Mapped[str]  # whose it is, in the operator's words
    digest: Mapped[str] = mapped_column(unique=True)  # sha256 of the whole key
    scopes: Mapped[list[str]]  # of "read", "write", "admin"
    created_at: Mapped[float] = mapped_column(server_default=now_s())
    revoked_at: Mapped[float | None]


class Audit(Table):
    """Which key changed what: one row for every request that may change something."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(primary_key=True)
    key_id: Mapped[str | None]  # None: the command line, or a server without keys
    action: Mapped[str]  # "POST /v1/stories", "keys revoke"
    target: Mapped[str | None]  # the story, key or webhook it was about
    status: Mapped[int]  # as HTTP says it
    at: Mapped[float] = mapped_column(server_default=now_s(), index=True)


class Story(Table):
    """The author's instruction and settings, and the current revision."""

    __tablename__ = "story"

    id: Mapped[str] = mapped_column(primary_key=True)
    owner_key: Mapped[str | None] = mapped_column(ForeignKey("api_key.id"), index=True)
    instruction: Mapped[str]
    duration_s: Mapped[float | None]  # as requested; None: the planner's choice
    language: Mapped[str | None]
    seed: Mapped[int]
    engine: Mapped[str]
    engines: Mapped[Json | None]  # by stem; None: scenes are composite, and made by `engine`
    planner: Mapped[str]
    parameters: Mapped[Json] = mapped_column(
        server_default=text("'{}'")
    )  # of the engine, as requested
    tail_s: Mapped[float]
    review: Mapped[bool]
    priority: Mapped[int]  # the higher, the sooner; fair between stories of equal priority
    given_plan: Mapped[Json | None]  # a plan the author brought along
    revision_id: Mapped[int | None]  # the current one; no foreign key, for it would be a circle
    redo: Mapped[list[int]]  # revisions that were undone, the last one last
    branched_from: Mapped[int | None]  # the revision of another story that this one began as
    next_revision: Mapped[int]  # number of the next revision
    next_ordinal: Mapped[int]  # of the next sub-event, for its seed; see nodes.rows.derive_seed
    next_event: Mapped[int]  # number of the next event row; counts commits, not inserts
    idempotency_key: Mapped[str | None] = mapped_column(unique=True)
    request_digest: Mapped[str | None]  # sha256 of the request that took the idempotency key
    created_at: Mapped[float] = mapped_column(server_default=now_s())


class Revision(Table):
    """One immutable version of a story: which scene versions, in which order."""

    __tablename__ = "revision"
    __table_args__ = (
        UniqueConstraint("story_id", "number"),
        UniqueConstraint("story_id", "name", name="uq_revision_name"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    story_id: Mapped[str] = mapped_column(ForeignKey("story.id"))
    number: Mapped[int]  # counts the revisions of this story from 1
    name: Mapped[str | None]  # the author's own; the one thing of a revision that may change
    summary: Mapped[str]  # what was changed, in a line
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("revision.id"))
    language: Mapped[str]
    samples: Mapped[int]  # of the whole track at 44.1 kHz
    plan: Mapped[Json]  # reasoning, cast, directions, notes: the plan less its sub-events
    scenes: Mapped[list[int]]  # scene_version ids in order; one row a revision, whatever N
    created_at: Mapped[float] = mapped_column(server_default=now_s())


class SubEvent(Table):
    """What stays the same when a scene is reworded, moved or heard as another take."""

    __tablename__ = "sub_event"

    id: Mapped[int] = mapped_column(primary_key=True)
    next_take: Mapped[int]  # number of the next take


class SceneVersion(Table):
    """One wording of a sub-event and the clip it is heard as."""

    __tablename__ = "scene_version"

    id: Mapped[int] = mapped_column(primary_key=True)
    story_id: Mapped[str] = mapped_column(ForeignKey("story.id"), index=True)
    sub_event_id: Mapped[int] = mapped_column(ForeignKey("sub_event.id"))
    caption: Mapped[str]
    tone: Mapped[str]
    samples: Mapped[int]  # of the scene, its tail excluded
    continues: Mapped[bool]
    layers: Mapped[list[Json]]
    seed: Mapped[int]
    engine: Mapped[str | None]  # instead of the story's
    cast: Mapped[list[Json] | None]  # members that are other people in this scene
    starts_s: Mapped[list[float | None] | None]  # of its layers, where stems keep in step
    stem_gain_db: Mapped[Json | None]  # in the mix, of stems with a gain of their own here


class SceneStem(Table):
    """What is heard of a stem in a scene version: one clip."""

    __tablename__ = "scene_stem"

    scene_id: Mapped[int] = mapped_column(ForeignKey("scene_version.id"), primary_key=True)
    stem: Mapped[str] = mapped_column(primary_key=True)  # an engines.card.Stem
    seed: Mapped[int | None]  # of the take that was chosen; None: the scene's
    condition_id: Mapped[str | None] = mapped_column(ForeignKey("condition.id"))
    clip_key: Mapped[str | None] = mapped_column(index=True)  # set once with the queued clip
    rerolls: Mapped[int]  # other seeds that the check has drawn
    is_judged: Mapped[bool]  # its clip was checked, or chosen by the author
    flags: Mapped[list[str]]  # what the check wants the author to hear


class Take(Table):
    """A clip that was wanted for a sub-event, and the wording it was made from."""

    __tablename__ = "take"
    __table_args__ = (
        UniqueConstraint("sub_event_id", "number"),
        UniqueConstraint("sub_event_id", "clip_key", name="uq_take_clip"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    sub_event_id: Mapped[int] = mapped_column(ForeignKey("sub_event.id"))
    number: Mapped[int]  # counts the takes of this sub-event from 1, whatever their stem
    stem: Mapped[str] = mapped_column(server_default="composite")
    scene_id: Mapped[int] = mapped_column(ForeignKey("scene_version.id"), index=True)
    clip_key: Mapped[str] = mapped_column(ForeignKey("clip.key"), index=True)
    origin: Mapped[str]  # a TakeOrigin
    created_at: Mapped[float] = mapped_column(server_default=now_s())


class Condition(Table):
    """What a clip must know of the story around it, in its engine's own format."""

    __tablename__ = "condition"

    id: Mapped[str] = mapped_column(primary_key=True)  # sha256 of data
    data: Mapped[bytes] = mapped_column(LargeBinary)
    file: Mapped[str | None] = mapped_column(index=True)  # content name of tensors data names


class Clip(Table):
    """A sound that is to be made or was made, shared by all stories with exactly this request."""

    __tablename__ = "clip"

    key: Mapped[str] = mapped_column(primary_key=True)  # sha256 of request
    engine: Mapped[str]
    request: Mapped[str]  # canonical JSON of everything the engine reads
    render_s: Mapped[float | None]  # wall time of the attempt that made it, of its batch's share
    finished_at: Mapped[float | None]
    file: Mapped[str | None]  # content name in the audio folder; None: it is not made
    measures: Mapped[Json | None]  # measured in the clip job
    engine_report: Mapped[Json | None]  # matched, unmatched and warnings of the engine


class Work(Table):
    """Something that a worker must do; of a clip or an export as long as there is that."""

    __tablename__ = "work"
    __table_args__ = (
        Index(
            "ix_work_claimable",
            "kind",
            "needs",
            text("priority DESC"),
            "start_tag",
            "queued_at",
            sqlite_where=IS_OPEN,
            postgresql_where=IS_OPEN,
        ),
    )

    key: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)  # a WorkKind
    needs: Mapped[str]  # what a worker must have: an engine, by name; the writer of a format
    request: Mapped[str | None]  # canonical JSON; None: see WorkKind
    state: Mapped[str]  # a WorkState
    owner: Mapped[str | None]
    attempt: Mapped[int]
    expires_at: Mapped[float | None]
    priority: Mapped[int]  # the highest of the stories that want it
    start_tag: Mapped[int]  # its place among stories that share fairly, see wants.want_all
    queued_at: Mapped[float] = mapped_column(server_default=now_s())
    progress: Mapped[float | None]  # share of the attempt that is done, while it is claimed
    error: Mapped[str | None]
    is_bad_input: Mapped[bool] = mapped_column(server_default=false())  # the author can mend it


class WorkWant(Table):
    """A run that waits for work; gone once the work is finished."""

    __tablename__ = "work_want"
    __table_args__ = (ForeignKeyConstraint(["work_key", "work_kind"], ["work.key", "work.kind"]),)

    work_key: Mapped[str] = mapped_column(primary_key=True)
    work_kind: Mapped[str] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), primary_key=True, index=True)


class Export(Table):
    """A file of a mix, or of one of its stems, that was requested for a story."""

    __tablename__ = "export"

    story_id: Mapped[str] = mapped_column(ForeignKey("story.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True, index=True)  # of its work, for all stories
    revision: Mapped[int]  # number of the one whose mix it is
    format: Mapped[str]
    stem: Mapped[str | None]  # None: the mix
    requested_at: Mapped[float] = mapped_column(server_default=now_s())
    file: Mapped[str | None]  # content name in the audio folder; None: it is not made
    bytes: Mapped[int | None]  # size of the file
    finished_at: Mapped[float | None]
    used_at: Mapped[float] = mapped_column(server_default=now_s())  # roughly


class EngineOffer(Table):
    """What the workers that can run an engine say of it, for those that cannot."""

    __tablename__ = "engine_offer"

    name: Mapped[str] = mapped_column(primary_key=True)
    revision: Mapped[str]  # of the worker that was started last
    card: Mapped[Json]
    seen_at: Mapped[float] = mapped_column(server_default=now_s())


class Run(Table):
    """One execution of the graph over a story; at most one active per story."""

    __tablename__ = "run"
    __table_args__ = (
        Index(
            "ix_run_active",
            "story_id",
            unique=True,
            sqlite_where=text("state IN ('queued', 'running', 'parked')"),
            postgresql_where=text("state IN ('queued', 'running', 'parked')"),
        ),
        UniqueConstraint("story_id", "number"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    story_id: Mapped[str] = mapped_column(ForeignKey("story.id"))
    number: Mapped[int]  # counts the runs of this story from 1
    revision_id: Mapped[int | None] = mapped_column(ForeignKey("revision.id"))
    state: Mapped[str] = mapped_column(index=True)
    waits_for: Mapped[str | None]  # a Wait: why it is parked
    review: Mapped[bool]  # stops for the author after the plan and after the mix
    pending_changes: Mapped[list[Json]]  # changes still to be made, in order
    approved: Mapped[list[str]]  # reviews passed by the author, or by `create` for them
    owner: Mapped[str | None]
    attempt: Mapped[int]  # times a worker took it since it last parked or moved on
    priority: Mapped[int]  # the story's
    start_tag: Mapped[int]  # of the work it queued last
    queued_at: Mapped[float] = mapped_column(server_default=now_s())
    expires_at: Mapped[float | None]
    error: Mapped[str | None]
    is_bad_input: Mapped[bool] = mapped_column(server_default=false())  # the author can mend it
    created_at: Mapped[float] = mapped_column(server_default=now_s())
    finished_at: Mapped[float | None]


class SegmentRow(Table):
    """A piece of a stem's chain, a scene's body or the seam of two scenes, or of their sum."""

    __tablename__ = "segment"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)  # sha256 of what it is made from
    file: Mapped[str | None]  # a body is a slice of its clip's, a seam has its own; None: no sound
    offset: Mapped[int]  # first sample within the file
    samples: Mapped[int]
    loudness: Mapped[bytes] = mapped_column(
        LargeBinary
    )  # SegmentLoudness.as_bytes; empty where only the sum that it is heard in has figures
    seam: Mapped[Json | None]  # measures of a seam; None for a body


class Mix(Table):
    """The whole track of a revision: segments in order and one master gain."""

    __tablename__ = "mix"

    revision_id: Mapped[int] = mapped_column(ForeignKey("revision.id"), primary_key=True)
    stems: Mapped[list[str]] = mapped_column(
        server_default=text("'[\"composite\"]'")
    )  # the chains, all cut at the same places; where there are several, "sum" is the first
    segments: Mapped[list[int]]  # ids in the order they are heard, chain after chain
    balance: Mapped[Json | None]  # audio.balance.Balance of the stems; None: there is one chain
    samples: Mapped[int]
    mastering: Mapped[Json]  # gain, limiter, what was reached, and of which revision they are
    is_accepted: Mapped[bool]  # by the author; until then it has the gain of the mix it revises
    created_at: Mapped[float] = mapped_column(server_default=now_s())


class Event(Table):
    """A change of state, numbered per story without gap in the order of commit."""

    __tablename__ = "event"

    story_id: Mapped[str] = mapped_column(ForeignKey("story.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    data: Mapped[Json]
    created_at: Mapped[float] = mapped_column(server_default=now_s())


class Webhook(Table):
    """An address that hears of events."""

    __tablename__ = "webhook"

    id: Mapped[str] = mapped_column(primary_key=True)
    owner_key: Mapped[str | None] = mapped_column(ForeignKey("api_key.id"))
    story_id: Mapped[str | None] = mapped_column(ForeignKey("story.id"))  # None: all of its owner
    url: Mapped[str]
    secret: Mapped[str]  # its bodies are signed with it
    kinds: Mapped[list[str]]  # of events; empty: all
    created_at: Mapped[float] = mapped_column(server_default=now_s())
    disabled_at: Mapped[float | None]


class Delivery(Table):
    """An event on its way to a webhook; written in the transaction that wrote the event."""

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("webhook_id", "story_id", "event_number"),
        Index(
            "ix_delivery_due",
            "next_at",
            sqlite_where=text("state = 'due'"),
            postgresql_where=text("state = 'due'"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhook.id", ondelete="CASCADE"))
    story_id: Mapped[str]
    event_number: Mapped[int]
    state: Mapped[str]  # a DeliveryState
    attempt: Mapped[int]
    next_at: Mapped[float]  # not before; also the lease of its sender
    status: Mapped[int | None]  # of the last answer
    error: Mapped[str | None]
    delivered_at: Mapped[float | None]
