"""Plans as files that a person edits, and their JSON Schema."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from audiostory_core.author_files import check_regular
from audiostory_core.errors import BadInput, nearest
from audiostory_core.json_text import NotJson, parse
from audiostory_core.story.plan import SCHEMA_FIELD, StoryPlan, short_seconds

SCHEMA_FILE = "plan.schema.json"  # beside a plan, `audiostory plan --schema` writes it
_REMEDY = "Write one with `audiostory plan INSTRUCTION -o plan.json` and edit that."
_MOST_SHOWN = 60  # characters of a value


def plan_document(plan: StoryPlan) -> dict[str, Any]:
    """Return a plan as JSON for a person: what `read_plan` reads from it is equal to the sample."""
    document = {SCHEMA_FIELD: SCHEMA_FILE} | plan.model_dump(mode="json")
    for part in (document, *document["sub_events"]):
        duration_s = short_seconds(part["duration_s"])
        part["duration_s"] = int(duration_s) if duration_s.is_integer() else duration_s
    return document


def plan_schema() -> dict[str, Any]:
    """Return the JSON Schema of a plan file."""
    schema = StoryPlan.model_json_schema()
    schema["properties"] = {SCHEMA_FIELD: {"type": "string"}} | schema["properties"]
    schema["required"] = [name for name in schema["required"] if name != "duration_s"]
    return {SCHEMA_FIELD: "https://json-schema.org/draft/2020-12/schema"} | schema


def read_plan(path: Path) -> StoryPlan:
    """Read a plan that `audiostory plan` wrote or a person edited.

    Raises:
        BadInput: if the file cannot be read, is not JSON, is of another version, has unknown or
            missing fields, or its durations disagree with the total.
    """
    try:
        check_regular(path, "plan", _REMEDY)
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput("plan", str(path), error.strerror or "cannot be read", _REMEDY) from error
    except UnicodeDecodeError as error:
        raise BadInput("plan", str(path), "is not UTF-8 text", _REMEDY) from error
    try:
        return StoryPlan.model_validate(parse(text))
    except NotJson as error:
        raise BadInput("plan", str(path), str(error), _REMEDY) from error
    except ValidationError as error:
        raise BadInput("plan", str(path), problem_of(error), _REMEDY) from error


def problem_of(error: ValidationError) -> str:
    """Say where a plan is wrong: the field, its value, and why."""
    path, first = nearest(error.errors(include_url=False))
    where = ".".join(map(str, path)) or "the plan"
    value = first["input"]
    shown = f" {json.dumps(value)[:_MOST_SHOWN]}" if _is_plain(value) and path else ""
    return f"{where}{shown}: {first['msg'].removeprefix('Value error, ')}"


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float | str)
