"""change: what the author asked for becomes a revision, or a take; one change a turn.

A revision keeps the scene versions that the change leaves alone, clips and all. A change that
cannot be made is refused in an event and leaves everything as it is.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncSession

from audiostory_core.errors import BadInput
from audiostory_core.planners.plan_notes import notes_on_lines, notes_on_shapes
from audiostory_core.stem import Stem
from audiostory_core.story.changes import (
    CHANGE,
    ChooseTake,
    Edits,
    MoreTakes,
    Remark,
    stem_of_order,
    summary_of,
)
from audiostory_core.story.editing import Draft, Reason, marked, preview
from audiostory_core.story.limits import SceneLimits
from audiostory_core.story.plan import SubEvent
from audiostory_core.story.rebalancing import remixed
from audiostory_core.story.resolving import resolve
from audiostory_core.story.spans import spread
from audiostory_core.story.stems import stem_view
from audiostory_core.story.stored import scene_from_row
from audiostory_core.story.timing import inherit
from nodes.clip_request import has_tail, key_of, seed_of, with_seed
from nodes.errors import RunStopped
from nodes.offers import Offers, list_offers, need
from nodes.planning import (
    engine_of_lines,
    event_notifier,
    make_plan,
    planner_of,
    scene_limits,
)
from nodes.rows import (
    MAX_REROLLS,
    derive_seed,
    makers_of,
    new_revision,
    scene_columns,
    stem_columns,
)
from nodes.services import LoadedRevision, Services
from nodes.shape_notes import notes_on_engines
from nodes.state import StateUpdate, StoryState
from nodes.waits import load_run, turn_to
from storage import clips, events, revisions, runs, stories, takes, work
from storage.errors import NotFound
from storage.models import (
    Json,
    Run,
    SceneStem,
    SceneVersion,
    Story,
    TakeOrigin,
    WorkKind,
    WorkState,
)
from storage.revisions import NewRevision, Scene

KEPT = ("seed", "condition_id", "clip_key", "rerolls", "is_judged", "flags")  # of a stem
WORDING = (
    "caption",
    "tone",
    "samples",
    "continues",
    "layers",
    "engine",
    "cast",
    "starts_s",
)


@dataclass(frozen=True)
class Before:
    """A scene version that a new one comes from, and what is heard of it."""

    version: SceneVersion
    stems: Mapping[str, SceneStem]
    heard: SubEvent
    is_last: bool


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
            await _queue_takes(run, requested, services)
            return
        case Remark():
            content = await _replan(story, run, requested, services)
        case ChooseTake():
            content = await _choose(run, requested, services)
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
    remarks = [*revision.plan.get("remarks", []), rejection.remark]
    notify = event_notifier(run, services)
    planned = await asyncio.to_thread(make_plan, story, services, offers, remarks, notify)
    content = new_revision(planned, story, offers, remarks)
    kept = {part: revision.plan[part] for part in ("say", "mix") if part in revision.plan}
    return replace(content, plan=kept | content.plan)  # as the author has them


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
        before = await _list_before(session, planned, [drafts[place] for place in changed])
    after = [draft.event for draft in drafts]
    heard = spread(planned.plan.model_copy(update={"sub_events": tuple(after)})).sub_events
    scenes: list[Scene] = [planned.scene_ids[draft.origin or 0] for draft in drafts]
    born = 0
    for place in changed:
        draft = drafts[place]
        scene = _new_version(draft, before, reasons[place])
        makers = makers_of(story, offers, scene.get("engine"))
        columns = stem_columns(heard[place], planned.plan.version, makers)
        is_last = place == len(drafts) - 1
        scene |= _stems(draft, before, reasons[place], heard[place], columns, is_last=is_last)
        if draft.origin is None:
            scene["seed"] = derive_seed(story.seed, story.next_ordinal + born)
            born += 1
        if draft.seed is not None:
            scene["seed"] = draft.seed
        scenes[place] = scene
    return NewRevision(
        language=revision.language,
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
    return {"notes": notes} | ({} if mix is None else {"mix": mix.model_dump(mode="json")})


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
    outdated = set(notes_on_engines(planned.plan, story, offers, engines))
    kept = (note for note in planned.plan.notes if note not in outdated)
    return list(dict.fromkeys((*kept, *more)))


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

    def revise(event: SubEvent, change: str, language: str) -> SubEvent:
        return planner_of(story, services).revise(event, change, language)

    return resolve(planned.plan, edits, revise, limits)


async def _list_before(
    session: AsyncSession, planned: LoadedRevision, drafts: Sequence[Draft]
) -> dict[int, Before]:
    """Return what drafts come from, by its place."""
    places = sorted(
        {place for draft in drafts for place in (draft.origin, draft.inherits) if place is not None}
    )
    ids = [planned.scene_ids[place] for place in places]
    versions = await revisions.list_scenes_by_id(session, ids)
    stems = await revisions.list_stems(session, ids)
    last = len(planned.scene_ids) - 1
    return {
        place: Before(
            version, stems[version.id], planned.heard.sub_events[place], is_last=place == last
        )
        for place, version in zip(places, versions, strict=True)
    }


def _stems(
    draft: Draft,
    before: Mapping[int, Before],
    reason: Reason | None,
    heard: SubEvent,
    columns: Json,
    *,
    is_last: bool,
) -> Json:
    """Return the columns of a new version's stems; what sounds as before keeps its clip."""
    if draft.origin is None:
        return columns
    was = before[draft.origin]
    starts_s = columns["starts_s"]
    if starts_s is not None and was.version.starts_s is not None:
        starts_s = inherit(tuple(was.version.starts_s), was.heard, heard)
    is_recast = draft.seed is not None or draft.engine is not None or draft.cast is not None
    is_elsewhere = is_recast or is_last != was.is_last or heard.samples != was.heard.samples
    stems = []
    for stem in columns["stems"]:
        name = stem["stem"]
        kept: Sequence[str] = ("seed",) if draft.seed is None else ()
        if reason is None:
            kept = KEPT
        elif reason in (Reason.BECOMES_LAST, Reason.STOPS_BEING_LAST):
            kept = ("seed", "condition_id")
        elif reason is Reason.REWORDED and name != Stem.COMPOSITE and not is_elsewhere:
            earlier = stem_view(was.heard, name, was.version.starts_s)
            if earlier == stem_view(heard, name, starts_s):
                kept = KEPT
        old = was.stems.get(name)
        stems.append(stem if old is None else stem | {part: getattr(old, part) for part in kept})
    return {"stems": stems, "starts_s": starts_s}


def _new_version(draft: Draft, before: Mapping[int, Before], reason: Reason | None) -> Json:
    scene = scene_columns(draft.event)
    if draft.inherits is not None:
        inherited = before[draft.inherits].version
        scene["engine"], scene["cast"] = inherited.engine, inherited.cast
    if draft.origin is not None:
        version = before[draft.origin].version
        scene |= {"sub_event_id": version.sub_event_id, "seed": version.seed}
        if reason in (None, Reason.BECOMES_LAST, Reason.STOPS_BEING_LAST):
            scene |= {"engine": version.engine, "cast": version.cast}
    if draft.engine is not None:
        scene["engine"] = draft.engine
    if draft.cast is not None:
        scene["cast"] = [member.model_dump(mode="json") for member in draft.cast]
    return scene


async def _choose(run: Run, choice: ChooseTake, services: Services) -> NewRevision:
    """Hear a sub-event as a take; made again only if the take has a tail where none may be.

    So are others, where a layer of the sub-event reaches them as it is not worded in the take, and
    other stems of it that sounded otherwise then.
    """
    planned = await services.planned(run.story_id, run.revision_id or 0)
    index = _index(choice.sub_event, planned)
    async with services.database.read() as session:
        revision = await revisions.get(session, planned.revision_id)
        current = await revisions.get_scene(session, planned.scene_ids[index])
        take = await takes.get(session, current.sub_event_id, choice.take)
        version = await revisions.get_scene(session, take.scene_id)
        stems = await revisions.list_stems(session, [current.id, version.id])
        offers = await list_offers(session)
        story = await stories.get(session, run.story_id)
        clip = (await clips.list_by_key(session, [take.clip_key]))[take.clip_key]
        reached = _reached(planned, index, version)
        before = await _list_before(session, planned, list(reached.values()))
        queued = (await work.list_by_key(session, WorkKind.CLIP, [clip.key]))[clip.key]
    if queued.state != WorkState.FINISHED:
        raise BadInput("take", choice.take, f"is {queued.state}", "Choose one that is finished.")
    is_last = index == len(planned.scene_ids) - 1
    worded = {name: getattr(version, name) for name in WORDING}
    scene = worded | {
        "sub_event_id": current.sub_event_id,
        "seed": current.seed,
        "stem_gain_db": current.stem_gain_db,  # of the mix, not of the take
    }
    chosen: Json = {"stem": take.stem, "seed": seed_of(clip.request)}
    if take.stem == Stem.COMPOSITE:
        scene["seed"], chosen["seed"] = chosen["seed"], None
    chosen["condition_id"] = stems[version.id][take.stem].condition_id
    if take.stem == Stem.DIALOGUE or has_tail(clip.request) != is_last:
        chosen |= {"clip_key": clip.key, "is_judged": True}
    after = list(planned.plan.sub_events)
    after[index] = scene_from_row(version)
    heard = spread(planned.plan.model_copy(update={"sub_events": tuple(after)})).sub_events
    was = planned.heard.sub_events[index]
    scene["stems"] = [chosen] + [
        _beside(heard[index], was, version, current, stems[current.id].get(name), name)
        for name in stems[version.id]
        if name != take.stem
    ]
    scenes: list[Scene] = list(planned.scene_ids)
    scenes[index] = scene
    for place, draft in reached.items():
        other = _new_version(draft, before, Reason.REWORDED)
        makers = makers_of(story, offers, other.get("engine"))
        columns = stem_columns(heard[place], planned.plan.version, makers)
        ends = place == len(planned.scene_ids) - 1
        other |= _stems(draft, before, Reason.REWORDED, heard[place], columns, is_last=ends)
        scenes[place] = other
    return NewRevision(
        language=revision.language,
        samples=revision.samples - current.samples + version.samples,
        plan=revision.plan,
        scenes=scenes,
        summary=summary_of(choice),
    )


def _beside(
    heard: SubEvent,
    was: SubEvent,
    version: SceneVersion,
    current: SceneVersion,
    stem: SceneStem | None,
    name: str,
) -> Json:
    """Return a stem that is not chosen: as it is heard now, if it sounds so in the take's wording."""
    if stem is None or heard.samples != was.samples:
        return {"stem": name}
    as_now = stem_view(was, Stem(name), current.starts_s)
    if stem_view(heard, Stem(name), version.starts_s) != as_now:
        return {"stem": name}
    return {"stem": name} | {part: getattr(stem, part) for part in KEPT}


def _reached(planned: LoadedRevision, index: int, version: SceneVersion) -> dict[int, Draft]:
    """Return the other scenes that a layer of a scene reaches no longer, or now, by place."""
    events = list(planned.plan.sub_events)
    events[index] = scene_from_row(version)
    drafts = [Draft(event, at, is_reworded=False, inherits=at) for at, event in enumerate(events)]
    marks = enumerate(marked(drafts, planned.plan))
    return {at: draft for at, draft in marks if draft.is_reworded and at != index}


async def _queue_takes(run: Run, order: MoreTakes, services: Services) -> None:
    planned = await services.planned(run.story_id, run.revision_id or 0)
    scene_id = planned.scene_ids[_index(order.sub_event, planned)]
    async with services.database.write() as session:
        scene = await revisions.get_scene(session, scene_id)
        stems = (await revisions.list_stems(session, [scene_id]))[scene_id]
        heard = stems[stem_of_order(order.sub_event, order.stem, list(stems))]
        if heard.clip_key is None:
            raise BadInput(
                "sub_event", order.sub_event, "has no take yet", "Wait until its clip is queued."
            )
        current = (await clips.list_by_key(session, [heard.clip_key]))[heard.clip_key]
        seed = scene.seed if heard.seed is None else heard.seed
        number, queued = 0, 0
        while queued < order.count:
            number += 1
            request = with_seed(current.request, derive_seed(seed, MAX_REROLLS + number))
            key = key_of(request)
            if await takes.find_by_clip(session, scene.sub_event_id, key) is not None:
                continue
            queued += 1
            wanted = await clips.want(session, run, key, current.engine, request)
            take = await takes.add(session, scene, heard.stem, key, TakeOrigin.REQUESTED)
            kind = "clip.finished" if wanted.state == WorkState.FINISHED else "clip.queued"
            await events.append(
                session,
                run.story_id,
                kind,
                scene=scene.sub_event_id,
                take=take.number,
                stem=heard.stem,
                clip=key,
            )
        if not runs.drop_edit(await runs.lock(session, run.id), run.pending_changes[0]):
            raise RunStopped  # another worker has queued them


def _index(sub_event: int, planned: LoadedRevision) -> int:
    if sub_event > len(planned.scene_ids):
        raise BadInput(
            "sub_event",
            sub_event,
            f"does not exist; the story has {len(planned.scene_ids)}",
            f"Give a number from 1 to {len(planned.scene_ids)}.",
        )
    return sub_event - 1
