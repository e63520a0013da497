"""Whether a change can be made, as far as it can be known before it is."""

from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from api.engines.catalog import check_engine, engines
from api.engines.planners import WORDS_BY_CLAUSES
from api.revisions.wording import Question, Resolve, Unanswered
from api.settings import Settings, read_settings
from audiostory_core.engines.card import check_language
from audiostory_core.errors import BadInput
from audiostory_core.stem import engine_names
from audiostory_core.story.changes import (
    Change,
    ChooseTake,
    Edits,
    MoreTakes,
    Remark,
    stem_of_order,
)
from audiostory_core.story.editing import Draft, apply
from audiostory_core.story.edits import Rebalance, Relanguage
from audiostory_core.story.limits import SceneLimits
from audiostory_core.story.plan import StoryPlan
from storage import revisions, takes, work
from storage.models import (
    Revision,
    Run,
    Story,
    WorkKind,
    WorkState,
)


@dataclass(frozen=True)
class Read:
    """A story as it stands, and its current revision as a plan."""

    story: Story
    run: Run
    revision: Revision
    plan: StoryPlan
    engines: tuple[str | None, ...]  # of its scenes; None: the story's


async def check_takes(session: AsyncSession, read: Read, change: Change) -> None:
    """Refuse takes of a scene or a stem that is not there, or a take that is not finished.

    Raises:
        BadInput: naming the field.
        NotFound: if there is no such take.
    """
    match change:
        case MoreTakes() | ChooseTake():
            count = len(read.revision.scenes)
            if change.sub_event > count:
                raise BadInput(
                    "sub_event",
                    change.sub_event,
                    f"does not exist; the story has {count}",
                    f"Give a number from 1 to {count}.",
                )
            if isinstance(change, MoreTakes):
                scene_id = read.revision.scenes[change.sub_event - 1]
                stems = (await revisions.list_stems(session, [scene_id]))[scene_id]
                stem_of_order(change.sub_event, change.stem, list(stems))
            if isinstance(change, ChooseTake):
                await _check_take(session, read.revision.scenes[change.sub_event - 1], change)


async def drafts_of(
    read: Read, change: Edits, words: Resolve | None, settings: Settings | None
) -> list[Draft]:
    """Return what edits make of a story's plan, as far as it can be known at once."""
    _check_engines(read, change, settings or read_settings())
    _check_balance(read, change)
    limits = _limits(read)
    drafts = apply(read.plan, change.edits, total=change.total, limits=limits)
    is_worded = any(draft.change for draft in drafts)
    if words is None or not is_worded or read.story.planner not in WORDS_BY_CLAUSES:
        return drafts
    try:
        return await words(Question(plan=read.plan, edits=change, limits=limits))
    except Unanswered:
        return drafts


async def check_remark(read: Read, rejection: Remark, words: Resolve | None) -> None:
    """Refuse a remark that a planner does not understand which reads it the same way every time.

    Raises:
        BadInput: saying what of it is not understood, or cannot be done.
    """
    if words is None or read.story.planner not in WORDS_BY_CLAUSES:
        return
    question = Question(
        plan=read.plan,
        limits=_limits(read),
        remark=rejection.remark,
        is_kept=read.story.duration_s is not None,
    )
    with suppress(Unanswered):
        await words(question)


def _check_balance(read: Read, change: Edits) -> None:
    """Refuse to balance the stems of a story that has none."""
    for number, edit in enumerate(change.edits, 1):
        if isinstance(edit, Rebalance) and read.story.engines is None:
            problem = "cannot be: the story has one composite clip a scene"
            remedy = "Make a story of stems: audiostory create --stems FOLDER"
            raise BadInput(f"edits.{number}", "balance", problem, remedy)


async def _check_take(session: AsyncSession, scene_id: int, change: ChooseTake) -> None:
    scene = await revisions.get_scene(session, scene_id)
    take = await takes.get(session, scene.sub_event_id, change.take)
    queued = (await work.list_by_key(session, WorkKind.CLIP, [take.clip_key]))[take.clip_key]
    if queued.state != WorkState.FINISHED:
        raise BadInput("take", change.take, f"is {queued.state}", "Choose one that is finished.")


def _check_engines(read: Read, change: Edits, settings: Settings) -> None:
    """Refuse engines of scenes that cannot make a scene of this story here."""
    for number, edit in enumerate(change.edits, 1):
        if isinstance(edit, Relanguage):
            _check_language(read, number, edit)
        engine = getattr(edit, "engine", None)
        if engine is not None:
            field = f"edits.{number}.engine"
            card = check_engine(field, engine, settings)
            shared = {
                name: value
                for name, value in read.story.parameters.items()
                if name in card.parameters
            }
            try:
                check_language(read.plan.language, card.name, card.languages)
                card.check_parameters(shared)
            except BadInput as error:
                problem = f"cannot have the story's {error.field} {error.value}: {error.problem}"
                raise BadInput(field, engine, problem, "Use another engine.") from error


def _check_language(read: Read, number: int, edit: Relanguage) -> None:
    """Refuse a language that an engine of the story does not have."""
    for name in engine_names(read.story.engine, read.story.engines):
        card = engines().get(name)
        try:
            check_language(edit.language, card.name, card.languages)
        except BadInput as error:
            field = f"edits.{number}.language"
            raise BadInput(field, edit.language, error.problem, error.remedy) from error


def _limits(read: Read) -> SceneLimits:
    """Return the longest scenes of the engines that are known here, as their cards say."""
    names = engine_names(read.story.engine, read.story.engines)
    longest_s = min(engines().get(name).limits.longest_clip_s for name in names)
    by_engine = {card.name: card.limits.longest_clip_s - read.story.tail_s for card in engines()}
    return SceneLimits(
        story_s=longest_s - read.story.tail_s, by_engine=by_engine, engines=read.engines
    )
