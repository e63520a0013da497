"""What a model answers to a remark: the edits that an author could have sent, and nothing else."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from functools import cache
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from audiostory_core.errors import BadInput
from audiostory_core.llm.answers import parse
from audiostory_core.llm.stream import Unusable
from audiostory_core.planners.clauses.remarks.carrying import with_edits
from audiostory_core.stem import Stem
from audiostory_core.story.edits import Edit, Rebalance, Relanguage, Voice, read_edits
from audiostory_core.story.plan import StoryPlan, SubEvent

MAX_EDITS = 64  # in one answer
MAX_ITEMS = 40  # of a list in an edit
LARGEST_NUMBER = 100_000  # of a sub-event or a layer

_AUTHORS_OWN = frozenset({"change", "engine", "seed", "cast"})  # no matter of a remark's sound
_UNUSED = (
    "title", "description", "default", "discriminator", "pattern", "minLength", "maxLength",
    "propertyNames", "maxProperties",
)  # fmt: skip
_BESIDE_SCENES = (Rebalance, Relanguage, Voice)


class AnsweredEdits(BaseModel):
    """Edits as a model wrote them; none: they cannot do what the author wants."""

    NEEDED: ClassVar[str] = "edits"

    edits: list[dict[str, Any]] = Field(max_length=MAX_EDITS)


class _Form(BaseModel):
    edits: list[Edit] = Field(max_length=MAX_EDITS)


@cache
def _edits_schema() -> dict[str, Any]:
    schema = _Form.model_json_schema()
    plain = _plain(schema, schema["$defs"])
    assert isinstance(plain, dict)
    return plain


def edits_schema() -> dict[str, Any]:
    """Return the JSON schema of an answer, made of the types of the edits.

    As strict servers want it: every property is required, and null where nothing changes; texts
    have no lengths, for xgrammar then refuses quotes; lists and numbers have an end.
    """
    return deepcopy(_edits_schema())


def _plain(part: dict[str, Any], types: dict[str, Any]) -> dict[str, Any]:
    """Return a schema without references, and with what strict servers know alone."""
    if "$ref" in part:
        return _plain(types[part["$ref"].rpartition("/")[2]], types)
    kept = {key: value for key, value in part.items() if key not in (*_UNUSED, "$defs", "oneOf")}
    for union in ("oneOf", "anyOf"):
        if union in part:
            kept["anyOf"] = [_plain(each, types) for each in part[union]]
    kind = part.get("type")
    if kind == "array":
        items = part["prefixItems"][0] if "prefixItems" in part else part["items"]
        kept.pop("prefixItems", None)
        kept |= {"items": _plain(items, types)}
        kept["maxItems"] = min(part.get("maxItems", MAX_ITEMS), MAX_EDITS)
    elif kind == "integer":
        kept.setdefault("maximum", LARGEST_NUMBER)
    elif kind == "object":
        kept |= _strict(part, types)
    return kept


def _strict(part: dict[str, Any], types: dict[str, Any]) -> dict[str, Any]:
    properties = {
        name: _plain(value, types)
        for name, value in part.get("properties", {}).items()
        if name not in _AUTHORS_OWN
    }
    if not properties:  # gains by stem
        gain = _plain(part["additionalProperties"], types)
        properties = {stem.value: {"anyOf": [gain, {"type": "null"}]} for stem in Stem}
    return {"properties": properties, "required": list(properties), "additionalProperties": False}


def read_answer(text: str, plan: StoryPlan, at: int | None) -> tuple[Edit, ...]:
    """Return the edits of an answer, after the checks of an author's own.

    Args:
        text: the answer.
        plan: to be edited.
        at: place of the only sub-event that they may be of; None: any.

    Raises:
        Unusable: if one of them cannot be made, or all of them change nothing.
    """
    answered = [_without_nulls(edit) for edit in parse(text, AnsweredEdits, "edits").edits]
    for number, edit in enumerate(answered, 1):
        for name in sorted(_AUTHORS_OWN & edit.keys()):
            raise Unusable(f"is wrong in edits.{number}.{name}: there is no such field", text)
    try:
        edits = read_edits(answered)
        made = with_edits(plan, edits, is_kept=False) if edits else plan
    except BadInput as error:
        raise Unusable(f"is wrong in {error.field}: it {error.problem}", text) from error
    for number in _numbers(edits):
        if at is not None and number != at + 1:
            problem = f"changes sub-event {number}, though the words are about {at + 1} alone"
            raise Unusable(problem, text)
    if edits and made == plan and not any(isinstance(edit, _BESIDE_SCENES) for edit in edits):
        raise Unusable("changes nothing", text)
    return edits


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def _numbers(edits: Sequence[Edit]) -> Iterator[int]:
    for edit in edits:
        number = getattr(edit, "sub_event", None)
        if number is not None:
            yield number


def scenes_as_data(plan: StoryPlan, at: int | None) -> list[dict[str, Any]]:
    """Return the sub-events that a remark is about, with the numbers that edits name them by."""
    places = range(len(plan.sub_events)) if at is None else (at,)
    return [{"sub_event": place + 1} | _as_data(plan.sub_events[place]) for place in places]


def _as_data(event: SubEvent) -> dict[str, Any]:
    layers = [
        {"layer": number} | layer.model_dump(mode="json", exclude_none=True)
        for number, layer in enumerate(event.layers, 1)
    ]
    return {
        "caption": event.caption,
        "duration_s": round(event.duration_s, 3),
        "tone": event.tone,
        "layers": layers,
    }
