"""`audiostory plan`: needs neither a database nor an engine that makes sound."""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from api.engines.catalog import engines
from api.engines.engine_factory import Parts
from api.settings import read_settings
from api.terminal import console
from audiostory_core.errors import BadInput
from audiostory_core.planners.protocol import Brief
from audiostory_core.story.plan import StoryPlan
from audiostory_core.story.plan_files import plan_document, plan_schema


def plan(
    instruction: str,
    duration_s: float | None,
    language: str | None,
    *,
    planner: str,
    engine: str,
    output: Path | None,
    as_json: bool,
    say: Mapping[str, str],
) -> None:
    """Plan an instruction, print the plan, and write it to a file if one is named."""
    planned = make(
        instruction, duration_s, language, planner=planner, engine=engine, say=say, quiet=as_json
    )
    if output is not None:
        document = json.dumps(plan_document(planned), ensure_ascii=False, indent=2)
        write_text(output, document + "\n")
    if as_json:
        console.print_json(plan_document(planned))
    else:
        console.show_plan(planned)
        if output is not None:
            _show_written(output)


def make(
    instruction: str,
    duration_s: float | None,
    language: str | None,
    *,
    planner: str,
    engine: str,
    say: Mapping[str, str],
    quiet: bool,
) -> StoryPlan:
    """Return the plan of an instruction, with readings of its words."""
    settings = read_settings()
    parts = Parts(settings)
    longest_s = _longest_clip_s(parts, engine) - settings.tail_s
    on_sub_event = None if quiet else console.show_draft
    brief = Brief(instruction, duration_s, language, longest_s, on_sub_event=on_sub_event)
    planned = parts.planner(planner).plan(brief)
    return planned.model_copy(update={"say": dict(say)}) if say else planned


def write_schema(output: Path | None) -> None:
    """Print the JSON Schema of a plan file, or write it to a file."""
    if output is None:
        console.print_json(plan_schema())
    else:
        write_text(output, json.dumps(plan_schema(), ensure_ascii=False, indent=2) + "\n")
        _show_written(output)


def _show_written(output: Path) -> None:
    console.out.print(f"written to {output}", markup=False, highlight=False, soft_wrap=True)


def _longest_clip_s(parts: Parts, engine: str) -> float:
    card = engines().get(engine)
    if card.weights is None or card.environment is not None:
        return card.limits.longest_clip_s
    chosen = parts.engine(engine)
    chosen.close()
    return chosen.capabilities.longest_clip_s


def write_text(path: Path, content: str) -> None:
    """Write a text file whole or not at all.

    Raises:
        BadInput: if it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        reason = (error.strerror or str(error)).lower()
        raise BadInput("output", str(path), reason, "Name a file you may write.") from error
