"""The rows of a bundle: each as its table has it, and all of them fitting together."""

import hashlib
import json
import math
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, Union, get_args, get_type_hints

from pydantic import (
    AllowInfNan,
    Base64UrlBytes,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    create_model,
)

from api.engines.catalog import engines
from audiostory_core.audio.balance import Balance
from audiostory_core.audio.loudness import SegmentLoudness
from audiostory_core.audio.seams import SeamFigures
from audiostory_core.engines.card import Name, Value
from audiostory_core.errors import BadInput
from audiostory_core.manuscript.detection import check_manuscript
from audiostory_core.quality.measures import Measures
from audiostory_core.stem import Stem
from audiostory_core.story.mix import MixSettings
from audiostory_core.story.plan import (
    LONGEST_STORY_S,
    CastMember,
    SubEvent,
    WrittenTokens,
    seconds_of,
)
from storage.audio_files import NAME
from storage.bundles import LEFT_OUT, OF_WORK, TABLES
from storage.mixes import SUM
from storage.models import Json, RunState, Table, Work, WorkState
from storage.ownership import condition_of
from storage.stories import ID_ALPHABET, ID_LENGTH

STORY_ID = re.compile(f"[{ID_ALPHABET}]{{{ID_LENGTH}}}", re.ASCII)
NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # no database keeps it in a text
KIND = re.compile(r"[a-z]+\.[a-z_]+", re.ASCII)
LONGEST_TAIL_S = 10.0
MAX_PRIORITY = 100
DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
SEED = Annotated[int, Field(ge=0, le=2**63 - 1)]
INTEGER = Annotated[int, Field(ge=-(2**53), le=2**53)]  # a database goes on counting from it
TIME = Annotated[float, Field(ge=0, le=253_402_300_799)]  # since 1970, to the end of the year 9999
NUMBER = Annotated[float, AllowInfNan(False)]
FIELDS: dict[Any, Any] = {
    int: INTEGER,
    float: NUMBER,
    bytes: Base64UrlBytes,
}
RENAMED: dict[str, dict[str, str]] = {  # columns of format 1 and their names since
    "clip": {"figures": "measures", "report": "engine_report", "took_s": "render_s"},
    "mix": {"programme": "mastering"},
}
OF_STEM = ("condition_id", "clip_key", "rerolls", "is_judged", "flags")  # of a scene up to 2
ADDED: dict[str, Json] = {  # by format 3
    "story": {"engines": None},
    "scene": {"starts_s": None, "stem_gain_db": None},
    "take": {"stem": Stem.COMPOSITE.value},
    "mix": {"stems": [Stem.COMPOSITE.value], "balance": None},
}
CAST: TypeAdapter[tuple[CastMember, ...]] = TypeAdapter(tuple[CastMember, ...])
Rows = dict[str, list[Json]]
STARTS: TypeAdapter[list[float | None]] = TypeAdapter(
    list[Annotated[float, Field(ge=0, le=LONGEST_STORY_S)] | None]
)
PARAMETERS: TypeAdapter[dict[str, Value]] = TypeAdapter(
    Annotated[dict[Name, Annotated[Value, AllowInfNan(False)]], Field(max_length=100)]
)


class Problem(Exception):
    """What is wrong with a bundle, a clause without a full stop.

    Args:
        what: the clause.
        remedy: a sentence; None is what helps with any damaged file.
    """

    def __init__(self, what: str, remedy: str | None = None) -> None:
        self.remedy = remedy
        super().__init__(what)


class Line(BaseModel):
    """A line of the rows."""

    model_config = ConfigDict(extra="forbid", strict=True)

    table: str
    row: dict[str, Any]


class PlanParts(BaseModel):
    """What a revision keeps of its plan."""

    model_config = ConfigDict(extra="allow")

    version: int = 1
    mix: MixSettings | None = None
    reasoning: str
    cast: list[CastMember]
    directions: list[str]
    notes: list[str]
    remarks: list[str] = []
    written: WrittenTokens | None = None


class Report(BaseModel):
    """What an engine reported of a clip."""

    model_config = ConfigDict(extra="allow", strict=True)

    matched: list[str]
    unmatched: list[str]
    warnings: list[str]
    is_silence: bool


class MasterGain(BaseModel):
    """What reading and showing a mix needs of its mastering."""

    model_config = ConfigDict(extra="allow", strict=True)

    gain_db: Annotated[float, Field(ge=-200, le=200)]
    limiting: bool
    of_revision: INTEGER
    loudness_lufs: NUMBER | None
    true_peak_dbtp: NUMBER | None
    reduction_db: NUMBER
    reached: bool
    reason: str | None


class Tail(BaseModel):
    """What choosing a take reads of its clip's parameters."""

    model_config = ConfigDict(extra="allow", strict=True)

    tail_samples: Annotated[int, Field(ge=0, le=2**31)]


class Recipe(BaseModel):
    """What showing a take, and making another of it, needs of a clip's request."""

    model_config = ConfigDict(extra="allow", strict=True)

    engine: str
    seed: SEED
    parameters: Tail


MEASURES: TypeAdapter[Measures] = TypeAdapter(Measures)
SEAM: TypeAdapter[SeamFigures] = TypeAdapter(SeamFigures)


def read_rows(
    text: bytes,
    files: Mapping[str, int],
    conditions: Collection[str],
    tensors: Collection[str] = (),
    *,
    version: int,
) -> Rows:
    """Read and check the rows of a bundle.

    Args:
        text: JSON lines.
        files: samples of each file of audio that the bundle has, by content name.
        conditions: ids of the conditions it has.
        tensors: content names of the tensors it has.
        version: format of the bundle.

    Raises:
        Problem: if a row does not fit its table, or names what is not in the bundle.
        ValueError: if a line is not JSON; pydantic's ValidationError is one.
    """
    rows: Rows = {table: [] for table in TABLES}
    lines = text.decode("utf-8").removesuffix("\n").split("\n")  # a text may hold U+2028
    for number, line in enumerate(lines, start=1):
        parsed = Line.model_validate_json(line)
        json.loads(line, parse_constant=_finite, parse_float=_finite)
        if parsed.table not in rows or NUL.search(line):
            raise Problem(f"line {number} of its rows cannot be read")
        for table, values in _current(parsed, version):
            row = MODELS[table].model_validate_json(json.dumps(values))
            rows[table].append(dict(row))
    if len(rows["story"]) != 1:
        raise Problem("it does not hold exactly one story")
    _check_story(rows)
    _check_scenes(rows, conditions)
    _distinct(row["id"] for row in rows["condition"])
    for large in rows["condition"]:
        _need(large["id"] in conditions and large["file"] in tensors, "condition")
    _check_clips(rows, files)
    _check_mixes(rows, files)
    return rows


def _current(line: Line, version: int) -> Iterator[tuple[str, Json]]:
    """Yield a row as this version has it, with its table: what once was one may be two."""
    names = RENAMED.get(line.table, {}) if version == 1 else {}
    values = {names.get(name, name): value for name, value in line.row.items()}
    if version > 2:
        yield line.table, values
        return
    if line.table == "scene":
        moved = {name: values.pop(name) for name in OF_STEM if name in values}
        of_scene = {"scene_id": values.get("id"), "stem": Stem.COMPOSITE.value, "seed": None}
        yield "scene_stem", of_scene | moved
    yield line.table, values | ADDED.get(line.table, {})


def _model_of(table: str) -> type[BaseModel]:
    """Make the model of a table's rows from its columns, less those that a bundle leaves out."""
    left_out = LEFT_OUT.get(table, frozenset())
    own = [column.key for column in TABLES[table].__table__.columns if column.key not in left_out]
    fields = _fields(TABLES[table], own)
    if table == "clip":
        fields |= _fields(Work, OF_WORK)
    strict = ConfigDict(extra="forbid", strict=True)
    return create_model(f"{table}_row", __config__=strict, **fields)


def _fields(table: type[Table], names: Collection[str]) -> dict[str, Any]:
    hints = get_type_hints(table)
    fields: dict[str, Any] = {}
    for name in names:
        hint = get_args(hints[name])[0]
        kinds = get_args(hint) if table.__table__.columns[name].nullable else (hint,)
        plain = tuple(_bounded(name, kind) for kind in kinds)
        fields[name] = (Union[plain], ...)  # noqa: UP007 - of what the table has
    return fields


def _bounded(column: str, kind: Any) -> Any:
    if kind is int and column == "seed":
        return SEED
    if kind is float and column.endswith("_at"):
        return TIME
    return FIELDS.get(kind, kind)


MODELS = {table: _model_of(table) for table in TABLES}


def _check_story(rows: Rows) -> None:
    story = rows["story"][0]
    if not STORY_ID.fullmatch(story["id"]):
        raise Problem("its story has an id that no story has")
    check_manuscript(story["instruction"])
    _need(0 <= story["tail_s"] <= LONGEST_TAIL_S, "tail")
    _need(abs(story["priority"]) <= MAX_PRIORITY, "priority")
    _check_parameters(story)
    _need(all(KIND.fullmatch(event["kind"]) for event in rows["event"]), "kind of an event")
    revisions = _numbered(rows, "revision")
    _need(story["revision_id"] is None or story["revision_id"] in revisions, "revision")
    scenes = _numbered(rows, "scene")
    for revision in rows["revision"]:
        PlanParts.model_validate(revision["plan"])
        _need(set(revision["scenes"]) <= scenes.keys(), "scene")
        lengths = sum(scenes[scene_id]["samples"] for scene_id in revision["scenes"])
        _need(lengths == revision["samples"], "scene of the right length")
    for run in rows["run"]:
        _need(run["state"] in set(RunState), "state of a run")
        _need(run["revision_id"] is None or run["revision_id"] in revisions, "revision")
    for table, column in (("revision", "number"), ("run", "number"), ("event", "number")):
        _distinct(row[column] for row in rows[table])
    _distinct(row["name"] for row in rows["revision"] if row["name"] is not None)
    _need(all(row["number"] < story["next_event"] for row in rows["event"]), "event number")
    _need(all(row["number"] < story["next_revision"] for row in rows["revision"]), "number")


def _check_parameters(story: Json) -> None:
    """Check what a story sets for its engine; that may be known only where it came from."""
    parameters = PARAMETERS.validate_python(story["parameters"], strict=True)
    if story["engine"] in engines():
        try:
            engines().get(story["engine"]).check_parameters(parameters)
        except BadInput as error:
            raise Problem(str(error).removesuffix(".")) from error


def _check_scenes(rows: Rows, conditions: Collection[str]) -> None:
    sub_events, scenes = _numbered(rows, "sub_event"), _numbered(rows, "scene")
    clips = {clip["key"] for clip in rows["clip"]}
    for scene in rows["scene"]:
        _need(scene["sub_event_id"] in sub_events, "sub-event")
        if scene["starts_s"] is not None:
            STARTS.validate_python(scene["starts_s"], strict=True)
        words = {name: scene[name] for name in ("caption", "tone", "layers", "continues")}
        words["stem_gain_db"] = scene["stem_gain_db"] or {}
        SubEvent.model_validate(words | {"duration_s": seconds_of(scene["samples"])})
        CAST.validate_python(scene["cast"] or [])
    for heard in rows["scene_stem"]:
        _need(heard["scene_id"] in scenes, "scene")
        _need(heard["stem"] in set(Stem), "stem")
        _need(heard["condition_id"] is None or heard["condition_id"] in conditions, "condition")
        _need(heard["clip_key"] is None or heard["clip_key"] in clips, "clip")
    _distinct((heard["scene_id"], heard["stem"]) for heard in rows["scene_stem"])
    _need({heard["scene_id"] for heard in rows["scene_stem"]} == set(scenes), "stem of a scene")
    for take in rows["take"]:
        _need(take["stem"] in set(Stem), "stem")
        _need(take["sub_event_id"] in sub_events, "sub-event")
        _need(take["scene_id"] in scenes, "scene")
        _need(take["clip_key"] in clips, "clip")
        _need(take["number"] < sub_events[take["sub_event_id"]]["next_take"], "number of a take")
    _numbered(rows, "take")
    _distinct((take["sub_event_id"], take["number"]) for take in rows["take"])
    _distinct((take["sub_event_id"], take["clip_key"]) for take in rows["take"])


def _check_clips(rows: Rows, files: Mapping[str, int]) -> None:
    _distinct(clip["key"] for clip in rows["clip"])
    for clip in rows["clip"]:
        request = clip["request"]
        if hashlib.sha256(request.encode()).hexdigest() != clip["key"]:
            raise Problem("a clip is not named by its request")
        Recipe.model_validate_json(request)
        named = condition_of(request)
        _need(not named or bool(DIGEST.fullmatch(named)), "condition of a clip")
        _need(clip["state"] in set(WorkState), "state of a clip")
        if clip["engine_report"] is not None:
            Report.model_validate(clip["engine_report"])
        if clip["measures"] is not None:
            MEASURES.validate_json(json.dumps(clip["measures"]), strict=True)
        is_made = clip["state"] == WorkState.FINISHED
        _need(clip["file"] in files if is_made else True, "file of a clip")
        _need(clip["file"] is None or bool(NAME.fullmatch(clip["file"])), "file of a clip")


def _check_mixes(rows: Rows, files: Mapping[str, int]) -> None:
    segments, revisions = _numbered(rows, "segment"), _numbered(rows, "revision")
    _distinct(segment["key"] for segment in rows["segment"])
    for segment in rows["segment"]:
        _need(bool(DIGEST.fullmatch(segment["key"])), "key of a segment")
        _need(segment["offset"] >= 0 and segment["samples"] >= 0, "range of a segment")
        if segment["file"] is not None:
            _need(segment["file"] in files, "file of a segment")
            end = segment["offset"] + segment["samples"]
            _need(end <= files[segment["file"]], "range of a segment")
        if segment["loudness"]:
            SegmentLoudness.from_bytes(segment["samples"], segment["loudness"])
        if segment["seam"] is not None:
            SEAM.validate_json(json.dumps(segment["seam"]), strict=True)
    _distinct(mix["revision_id"] for mix in rows["mix"])
    for mix in rows["mix"]:
        _need(mix["revision_id"] in revisions, "revision")
        _need(set(mix["segments"]) <= segments.keys(), "segment")
        _check_chains(mix, segments)
        _need(mix["samples"] == revisions[mix["revision_id"]]["samples"], "mix length")
        MasterGain.model_validate(mix["mastering"])


def _check_chains(mix: Json, segments: Mapping[int, Json]) -> None:
    """Check that all chains of a mix are cut alike, and are as long as it is."""
    stems, listed = mix["stems"], mix["segments"]
    separate = stems[:1] == [SUM] and len(stems) > 1 and set(stems[1:]) <= set(Stem)
    is_one = mix["balance"] is None
    _need(stems == [Stem.COMPOSITE] if is_one else separate, "stem of a mix")
    _distinct(stems)
    _need(len(listed) > 0 and len(listed) % len(stems) == 0, "segment")
    length = len(listed) // len(stems)
    for at in range(0, len(listed), length):
        samples = [segments[segment_id]["samples"] for segment_id in listed[at : at + length]]
        _need(sum(samples) == mix["samples"], "mix length")
        for first, here in zip(listed[:length], samples, strict=True):
            _need(segments[first]["samples"] == here, "mix length")
            _need(bool(segments[first]["loudness"]), "loudness of a segment")
    if not is_one:
        Balance.from_json(mix["balance"])


def _numbered(rows: Rows, table: str) -> dict[int, Json]:
    """Return the rows of a table by id."""
    _distinct(row["id"] for row in rows[table])
    return {row["id"]: row for row in rows[table]}


def _distinct(values: Any) -> None:
    listed = list(values)
    if len(set(listed)) != len(listed):
        raise Problem("two of its rows claim the same place")


def _need(holds: bool, what: str) -> None:
    if not holds:
        raise Problem(f"its rows do not fit together: a {what} is missing or wrong")


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise Problem(f"its rows hold {number[:20]}, which is no number")
    return value
