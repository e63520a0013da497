"""Storing a new story, once what it asks for is known to be usable here."""

import hashlib
import secrets
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from api.engines.catalog import check_engine, engines
from api.engines.planners import PLANNERS, check_name, check_planner
from api.settings import Settings
from api.stories.schemas import StoryCreate
from audiostory_core.engines.card import check_language
from audiostory_core.errors import BadInput
from audiostory_core.manuscript.detection import check_manuscript, detect, with_format
from audiostory_core.manuscript.elements import Format
from audiostory_core.stem import SEPARATE_STEMS
from audiostory_core.story.changes import Edits
from audiostory_core.story.edits import Edit
from audiostory_core.story.plan import StoryPlan, check_count, check_duration
from storage import stories
from storage.database import Database
from storage.errors import Clash
from storage.models import Story


def check_usable(wanted: StoryCreate, settings: Settings) -> None:
    """Refuse what this installation does not do.

    Raises:
        BadInput: if the engine or the planner is not known, or lacks weights, an environment or a
            server; if the engine does not take the language or the parameters, or the plan has
            more scenes than one may have here.
    """
    if wanted.plan is not None:
        check_count(wanted.plan.sub_events, settings.max_scenes)
    card = check_engine("engine", wanted.engine, settings)
    check_language(wanted.language, card.name, card.languages)
    card.check_parameters(wanted.parameters)
    check_planner("planner", wanted.planner, settings.weights, settings.chat_url)
    for stem, name in (stems_of_story(wanted) or {}).items():
        check_engine(f"engines.{stem}", name, settings)


def stems_of_story(wanted: StoryCreate) -> dict[str, str] | None:
    """Return which engine makes each stem; None: scenes are composite.

    Raises:
        BadInput: if one is not known, or does not make its stem or speak the language.
    """
    if wanted.engines is None:
        return None
    by_stem = {stem: wanted.engines.get(stem, wanted.engine) for stem in SEPARATE_STEMS}
    for stem, name in by_stem.items():
        field = f"engines.{stem}" if stem in wanted.engines else "engine"
        card = engines().get(name, field)
        if stem not in card.stems:
            makers = ", ".join(other.name for other in engines() if stem in other.stems)
            remedy = f"For {stem} use one of: {makers}." if makers else "Leave the stems out."
            raise BadInput(field, name, f"does not make {stem}", remedy)
        check_language(wanted.language, card.name, card.languages)
    return {stem.value: name for stem, name in by_stem.items()}


async def create_story(
    database: Database,
    wanted: StoryCreate,
    tail_s: float,
    idempotency_key: str | None = None,
    *,
    owner_key: str | None = None,
    edits: Sequence[Edit] = (),
) -> Story:
    """Store a story and its queued run; an equal request with the same key makes no second one.

    Raises:
        BadInput: naming the field that cannot be used.
        Conflict: if the idempotency key was used for another request.
    """
    if wanted.plan is not None:
        wanted = _with_plan(wanted.plan, wanted)
    wanted = _with_script(wanted)
    check_manuscript(wanted.instruction)
    duration_s = None if wanted.duration_s is None else check_duration(wanted.duration_s)
    card = engines().get(wanted.engine)
    check_name("planner", wanted.planner, PLANNERS)
    check_language(wanted.language, card.name, card.languages)
    parameters = card.check_parameters(wanted.parameters)
    wanted = wanted.model_copy(update={"parameters": parameters})
    # The instruction says its format by now, and requests of before formats have the same digest.
    digest = hashlib.sha256(wanted.model_dump_json(exclude={"format"}).encode()).hexdigest()
    if idempotency_key is not None:
        # Keys of two owners never meet: the id of an API key has no colon.
        idempotency_key = f"{owner_key or ''}:{idempotency_key}"
    values = {
        "owner_key": owner_key,
        "instruction": wanted.instruction,
        "duration_s": duration_s,
        "language": wanted.language,
        "seed": secrets.randbits(32) if wanted.seed is None else wanted.seed,
        "engine": wanted.engine,
        "engines": stems_of_story(wanted),
        "planner": wanted.planner,
        "parameters": parameters,
        "tail_s": tail_s,
        "review": wanted.review,
        "priority": wanted.priority,
        "given_plan": None if wanted.plan is None else wanted.plan.model_dump(mode="json"),
        "idempotency_key": idempotency_key,
        "request_digest": digest if idempotency_key else None,
    }
    changes = (
        [Edits(edits=tuple(edits)).model_dump(mode="json", exclude_none=True)] if edits else []
    )
    try:
        async with database.write() as session:
            before = await _find_before(session, idempotency_key, digest)
            return before or await stories.add(session, edits=changes, **values)
    except Clash:  # a request with the same key was stored meanwhile
        async with database.read() as session:
            before = await _find_before(session, idempotency_key, digest)
        if before is None:
            raise
        return before


async def _find_before(session: AsyncSession, key: str | None, digest: str) -> Story | None:
    return None if key is None else await stories.find_by_idempotency(session, key, digest)


def _with_script(wanted: StoryCreate) -> StoryCreate:
    """Return the request with an instruction that says its format, if one is named."""
    format_ = wanted.format or detect(wanted.instruction)[0]
    instruction = wanted.instruction
    if format_ is Format.EPUB:
        raise BadInput("format", format_, "is a file, not a text", "Send the text of its chapters.")
    if format_ is Format.FINAL_DRAFT:
        from audiostory_core.manuscript.final_draft import to_fountain  # noqa: PLC0415 - XML is rare

        instruction, format_ = to_fountain(instruction), Format.FOUNTAIN
    elif wanted.format is None:
        return wanted
    instruction = with_format(instruction, format_)
    return wanted.model_copy(update={"instruction": instruction, "format": format_})


def _with_plan(plan: StoryPlan, wanted: StoryCreate) -> StoryCreate:
    fields = {name: getattr(plan, name) for name in ("instruction", "duration_s", "language")}
    for name, value in fields.items():
        requested = getattr(wanted, name)
        if requested not in ("", None, value):
            raise BadInput(
                name,
                requested,
                f"contradicts the plan, which says {value!r}"[:200],
                "Leave it out.",
            )
    return wanted.model_copy(update=fields)
