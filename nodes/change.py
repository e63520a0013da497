"""change: what the author asked for becomes a revision, or a take; one change a turn.

A revision keeps the scene versions that the change leaves alone, clips and all. A change that
cannot be made is refused in an event and leaves everything as it is.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from audiostory_core.errors import BadInput
from audiostory_core.planners.plan_notes import notes_on_lines, notes_on_shapes
from audiostory_core.planners.protocol import ReadsRemarks, read_change
from audiostory_core.planners.remarks import edits_of_remark
from audiostory_core.story.changes import (
    CHANGE,
    ChooseTake,
    Edits,
    MoreTakes,
    Remark,
    summary_of,
)
from audiostory_core.story.editing import Draft, language_after, preview
from audiostory_core.story.edits import Edit
from audiostory_core.story.limits import SceneLimits
from audiostory_core.story.plan import StoryPlan
from audiostory_core.story.rebalancing import remixed
from audiostory_core.story.recasting import recast
from audiostory_core.story.resolving import resolve
from audiostory_core.story.spans import spread
from nodes.choosing import chosen_take, queue_takes
from nodes.offers import Offers, list_offers, need
from nodes.planning import (
    engine_of_lines,
    event_notifier,
    make_plan,
    planner_of,
    scene_limits,
)
from nodes.rows import (
    derive_seed,
    makers_of,
    new_revision,
    stem_columns,
)
from nodes.services import LoadedRevision, Services
from nodes.shape_notes import kept_notes, notes_on_engines
from nodes.state import StateUpdate, StoryState
from nodes.versions import list_before, new_version, version_stems
from nodes.waits import load_run, turn_to
from storage import revisions, runs, stories
from storage.errors import NotFound
from storage.models import (
    Json,
    Run,
    Story,
)
from storage.revisions import NewRevision, Scene


async def change(state: StoryState, services: Services) -> StateUpdate:
    """Make the first change that was asked for."""
    async with services.database.read() as session:
        story = await stories.get(session, state["story_id"])
        run = await load_run(session, state)
    if run.pending_changes:
        try:
            await _make(story, run, services)
        except (BadInput, NotFound) as error:
            await _refuse(run, str(error), services)
    return await turn_to(state, services)


async def _make(story: Story, run: Run, services: Services) -> None:
    edit = run.pending_changes[0]
    match requested := CHANGE.validate_python(edit):
        case MoreTakes():
            await queue_takes(run, requested, services)
            return
        case Remark():
            content = await _replan(story, run, requested, services)
        case ChooseTake():
            content = await chosen_take(run, requested, services)
        case Edits():
            content = await _edit(story, run, requested, services)
    async with services.database.write() as session:
        locked = await runs.lock(session, run.id)
        if runs.drop_edit(locked, edit):
            await revisions.add(session, run.id, run.revision_id, content)
            if isinstance(requested, Remark):
                locked.approved = []


async def _refuse(run: Run, error: str, services: Services) -> None:
    async with services.database.write() as session:
        await runs.refuse(session, await runs.lock(session, run.id), run.pending_changes[0], error)


async def _replan(story: Story, run: Run, rejection: Remark, services: Services) -> NewRevision:
    async with services.database.read() as session:
        revision = await revisions.get(session, run.revision_id or 0)
        offers = await list_offers(session)
    planner = planner_of(story, services)
    if isinstance(planner, ReadsRemarks):
        return await _carry_out(story, run, rejection, planner, services)
    remarks = [*revision.plan.get("remarks", []), rejection.remark]
    notify = event_notifier(run, services)
    planned = await asyncio.to_thread(make_plan, story, services, offers, remarks, notify)
    content = new_revision(planned, story, offers, remarks)
    kept = {part: revision.plan[part] for part in ("say", "mix") if part in revision.plan}
    return replace(content, plan=kept | content.plan)  # as the author has them


async def _carry_out(
    story: Story, run: Run, rejection: Remark, planner: ReadsRemarks, services: Services
) -> NewRevision:
    """Change the plan as it stands by the edits that the remark comes to."""
    planned = await services.planned(run.story_id, run.revision_id or 0)
    edits = await asyncio.to_thread(
        edits_of_remark,
        planner,
        planned.plan,
        rejection.remark,
        is_kept=story.duration_s is not None,
    )
    content = await _edit(story, run, edits, services)
    remarks = [*content.plan.get("remarks", []), rejection.remark]
    return replace(content, plan=content.plan | {"remarks": remarks}, summary=summary_of(rejection))


async def _edit(story: Story, run: Run, edits: Edits, services: Services) -> NewRevision:
    planned = await services.planned(run.story_id, run.revision_id or 0)
    async with services.database.read() as session:
        engines = await revisions.list_engines(session, planned.scene_ids)
        offers = await list_offers(session)
    limits = scene_limits(story, offers, engines)
    drafts = await asyncio.to_thread(_draft, story, planned, edits, limits, services)
    _check_engines(drafts, offers)
    reasons = [line.reason for line in preview(planned.plan, drafts, follow=edits.follow)]
    changed = [
        place
        for place, draft in enumerate(drafts)
        if reasons[place] is not None or draft.event != planned.plan.sub_events[draft.origin or 0]
    ]
    async with services.database.read() as session:
        revision = await revisions.get(session, planned.revision_id)
        before = await list_before(session, planned, [drafts[place] for place in changed])
    after = [draft.event for draft in drafts]
    heard = spread(planned.plan.model_copy(update={"sub_events": tuple(after)})).sub_events
    scenes: list[Scene] = [planned.scene_ids[draft.origin or 0] for draft in drafts]
    born = 0
    language = language_after(revision.language, edits.edits)
    is_foreign = language != revision.language
    for place in changed:
        draft = drafts[place]
        scene = new_version(draft, before, reasons[place])
        makers = makers_of(story, offers, scene.get("engine"))
        columns = stem_columns(heard[place], planned.plan.version, makers)
        is_last = place == len(drafts) - 1
        scene |= version_stems(
            draft,
            before,
            reasons[place],
            heard[place],
            columns,
            is_last=is_last,
            is_foreign=is_foreign,
        )
        if draft.origin is None:
            scene["seed"] = derive_seed(story.seed, story.next_ordinal + born)
            born += 1
        if draft.seed is not None:
            scene["seed"] = draft.seed
        scenes[place] = scene
    return NewRevision(
        language=language,
        samples=sum(draft.event.samples for draft in drafts),
        plan=revision.plan | _parts(story, planned, edits, drafts, changed, offers, engines),
        scenes=scenes,
        summary=summary_of(edits),
        ordinals=born,
    )


def _parts(
    story: Story,
    planned: LoadedRevision,
    edits: Edits,
    drafts: Sequence[Draft],
    changed: Sequence[int],
    offers: Offers,
    engines: Sequence[str | None],
) -> Json:
    """Return what of the plan beside its sub-events is another after edits."""
    notes = _notes(story, planned, drafts, changed, offers, engines)
    mix = remixed(planned.plan.mix, edits.edits)
    return (
        {"notes": notes}
        | ({} if mix is None else {"mix": mix.model_dump(mode="json")})
        | recast(planned.plan, edits.edits)
    )


def _notes(
    story: Story,
    planned: LoadedRevision,
    drafts: Sequence[Draft],
    changed: Sequence[int],
    offers: Offers,
    engines: Sequence[str | None],
) -> list[str]:
    """Return the plan's notes with those on scenes whose layers the author has changed.

    What engines make nothing of is said anew, for another engine, or another scene, may do it.
    """
    events = planned.plan.sub_events
    reworded = {
        place + 1: drafts[place].event
        for place in changed
        if (origin := drafts[place].origin) is None
        or drafts[place].event.layers != events[origin].layers
    }
    edited = planned.plan.model_copy(update={"sub_events": tuple(draft.event for draft in drafts)})
    cast = [*planned.plan.cast, *(member for draft in drafts for member in draft.cast or ())]
    more = (
        *notes_on_lines(reworded, cast, need(offers, engine_of_lines(story))),
        *notes_on_shapes([draft.event for draft in drafts]),
        *notes_on_engines(edited, story, offers, [_engine_of(draft, engines) for draft in drafts]),
    )
    return list(dict.fromkeys((*kept_notes(planned.plan, story, offers, engines), *more)))


def _engine_of(draft: Draft, engines: Sequence[str | None]) -> str | None:
    """Return the engine that a scene has of its own after edits."""
    kept = draft.origin if draft.inherits is None and not draft.is_reworded else draft.inherits
    return draft.engine or (None if kept is None else engines[kept])


def _check_engines(drafts: Sequence[Draft], offers: Offers) -> None:
    for number, draft in enumerate(drafts, 1):
        if draft.engine is not None and draft.engine not in offers:
            raise BadInput(
                f"sub_events.{number}.engine",
                draft.engine,
                "is not usable here",
                "See `audiostory doctor`.",
            )


def _draft(
    story: Story, planned: LoadedRevision, edits: Edits, limits: SceneLimits, services: Services
) -> list[Draft]:
    """Return the edited sub-events, plain words resolved by the planner."""

    def read(plan: StoryPlan, at: int, change: str) -> Sequence[Edit]:
        return read_change(planner_of(story, services), plan, at, change)

    return resolve(planned.plan, edits, read, limits)
