"""What an author may change of a plan, as data.

Numbers of sub-events count from 1 and refer to the plan as it stands after the edits before.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from audiostory_core.errors import BadInput
from audiostory_core.story.mix import DuckAttack, DuckDepth, DuckRelease, StemGains
from audiostory_core.story.plan import (
    LONGEST_INSTRUCTION,
    LONGEST_STORY_S,
    SHORTEST_SUB_EVENT_S,
    CastMember,
    Frozen,
    Layer,
    Layers,
    SoundKind,
)
from audiostory_core.story.shape import (
    Count,
    Distance,
    FadeIn,
    FadeOut,
    GainDb,
    PaceOrNone,
    Pan,
    Pause,
    Span,
    Start,
)

LARGEST_SEED = 2**63 - 1

Text = Annotated[
    str, Field(max_length=LONGEST_INSTRUCTION, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")
]  # neither blank nor with NUL, which Postgres cannot store
Number = Annotated[
    int, Field(strict=True, ge=1)
]  # of a sub-event in the plan as edited so far, from 1
Duration = Annotated[
    float,
    Field(strict=True, ge=SHORTEST_SUB_EVENT_S, le=LONGEST_STORY_S, allow_inf_nan=False),
]


class Reword(Frozen):
    """Change a sub-event; what is None stays.

    A new caption without layers speaks for itself: sounds told as layers are dropped, spoken
    lines stay. `change` is resolved by the planner after all edits of the list.
    """

    op: Literal["reword"] = "reword"
    sub_event: Number
    caption: Text | None = None
    tone: Text | None = None
    layers: Layers | None = None
    duration_s: Duration | None = None
    seed: Annotated[int, Field(strict=True, ge=0, le=LARGEST_SEED)] | None = None
    engine: Text | None = None
    cast: tuple[CastMember, ...] | None = None
    change: Text | None = None  # plain words, e.g. "make the siren more distant"


ShapeField = Literal[
    "gain_db", "pan", "distance", "start_s", "fade_in_s", "fade_out_s", "count", "pace", "scenes",
    "pause_before_s",
]  # fmt: skip


class Reshape(Frozen):
    """Change the shape of one layer; what is None stays, what `clear` names is no longer set."""

    op: Literal["shape"] = "shape"
    sub_event: Number
    layer: Number  # of the sub-event's own, from 1
    gain_db: GainDb = None
    pan: Pan = None
    distance: Distance = None
    start_s: Start = None
    fade_in_s: FadeIn = None
    fade_out_s: FadeOut = None
    count: Count = None
    pace: PaceOrNone = None
    scenes: Span = None
    pause_before_s: Pause = None
    clear: tuple[ShapeField, ...] = ()


class Insert(Frozen):
    """Put in a new sub-event, which becomes number `at`."""

    op: Literal["insert"] = "insert"
    at: Number  # up to one more than there are
    caption: Text
    duration_s: Duration
    tone: Text = "neutral"
    layers: Layers = ()
    engine: Text | None = None


class Delete(Frozen):
    """Take a sub-event out."""

    op: Literal["delete"] = "delete"
    sub_event: Number


class Move(Frozen):
    """Take a sub-event out and put it back as number `to`."""

    op: Literal["move"] = "move"
    sub_event: Number
    to: Number


class Split(Frozen):
    """Make two sub-events of one; the second carries on the first.

    Without captions both keep the caption, beds and music, and what happens or is said stays
    with the first. With captions those speak for themselves; spoken lines stay with the first.
    """

    op: Literal["split"] = "split"
    sub_event: Number
    at_s: Annotated[  # of its own
        float, Field(strict=True, gt=0, le=LONGEST_STORY_S, allow_inf_nan=False)
    ]
    captions: tuple[Text, Text] | None = None


class Merge(Frozen):
    """Make one sub-event of this and the one after it.

    Captions are joined, durations added, layers put one after the other, equal beds and music
    once. A sub-event without layers beside one that has some is told by its caption as a layer.
    """

    op: Literal["merge"] = "merge"
    sub_event: Number


class Swap(Frozen):
    """Let two sub-events change places."""

    op: Literal["swap"] = "swap"
    sub_event: Number
    other: Number


LayerField = Literal["speaker", "manner"]


class Relayer(Frozen):
    """Change what one layer is; what is None stays, what `clear` names is no longer set.

    A sound has a kind and a text, a spoken line has words, a speaker and a manner.
    """

    op: Literal["layer"] = "layer"
    sub_event: Number
    layer: Number  # of the sub-event's own, from 1
    kind: SoundKind | None = None
    text: Text | None = None
    words: Text | None = None
    speaker: Text | None = None
    manner: Text | None = None
    clear: tuple[LayerField, ...] = ()


class AddLayer(Frozen):
    """Let a sub-event have one layer more, which becomes number `at`; None: the last."""

    op: Literal["add_layer"] = "add_layer"
    sub_event: Number
    layer: Layer
    at: Number | None = None  # up to one more than there are


class RemoveLayer(Frozen):
    """Take a layer out of a sub-event that has others."""

    op: Literal["remove_layer"] = "remove_layer"
    sub_event: Number
    layer: Number


class Voice(Frozen):
    """Describe the voice of a speaker, in one sub-event or wherever they speak."""

    op: Literal["voice"] = "voice"
    speaker: Text
    description: Text  # such as: a tired old woman
    sub_event: Number | None = None


class Relanguage(Frozen):
    """Let the whole story be in another language; its words are not translated."""

    op: Literal["language"] = "language"
    language: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,4}$")]  # BCP 47


class ReshapeAll(Frozen):
    """Shape all layers of the story, or all of one kind, as far as a field means something to them."""

    op: Literal["shape_all"] = "shape_all"
    kind: SoundKind | Literal["speech"] | None = None
    gain_db: GainDb = None
    pan: Pan = None
    distance: Distance = None
    fade_in_s: FadeIn = None
    fade_out_s: FadeOut = None
    pace: PaceOrNone = None
    pause_before_s: Pause = None
    clear: tuple[ShapeField, ...] = ()


class Rebalance(Frozen):
    """Change how loud stems are, and how they make room for speech; makes no clip.

    What is not given stays. Without a `sub_event` it is of the whole story, ducking always is.
    """

    op: Literal["balance"] = "balance"
    sub_event: Number | None = None
    gain_db: Annotated[StemGains, Field(default_factory=dict)]
    depth_db: DuckDepth | None = None
    attack_s: DuckAttack | None = None
    release_s: DuckRelease | None = None


Edit = Annotated[
    Reword
    | Reshape
    | Insert
    | Delete
    | Move
    | Split
    | Merge
    | Rebalance
    | Swap
    | Relayer
    | AddLayer
    | RemoveLayer
    | Voice
    | Relanguage
    | ReshapeAll,
    Field(discriminator="op"),
]
_EDITS: TypeAdapter[tuple[Edit, ...]] = TypeAdapter(tuple[Edit, ...])


def read_edits(edits: Sequence[Mapping[str, Any]]) -> tuple[Edit, ...]:
    """Return edits given as JSON objects.

    Raises:
        BadInput: naming the field of the first edit that is none, e.g. `edits.2.sub_event`.
    """
    try:
        return _EDITS.validate_python(edits)
    except ValidationError as error:
        errors = error.errors()
        # a layer that is neither kind is reported as both: report what keeps it from the nearer
        branches = Counter(detail["loc"][:5] for detail in errors)
        first = min(errors, key=lambda detail: branches[detail["loc"][:5]])
        where = [
            str(part + 1 if isinstance(part, int) else part)
            for place, part in enumerate(first["loc"])
            if place not in {1, 4} or isinstance(part, int)  # tags of the unions
        ]
        is_blank = first["type"] == "string_pattern_mismatch"
        message = "it is blank or has a NUL character" if is_blank else first["msg"]
        raise BadInput(
            ".".join(("edits", *where)),
            first["input"],
            f"cannot be used ({message})",
            "Correct it and send the edits again; none of them was made.",
        ) from error
