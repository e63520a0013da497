"""Takes: a scene is heard as one of them, or more are made."""

from audiostory_core.errors import BadInput
from audiostory_core.stem import Stem
from audiostory_core.story.changes import (
    ChooseTake,
    MoreTakes,
    stem_of_order,
    summary_of,
)
from audiostory_core.story.editing import Draft, Reason, marked
from audiostory_core.story.plan import SubEvent
from audiostory_core.story.spans import spread
from audiostory_core.story.stems import stem_view
from audiostory_core.story.stored import scene_from_row
from nodes.clip_request import has_tail, key_of, seed_of, with_seed
from nodes.errors import RunStopped
from nodes.offers import list_offers
from nodes.rows import (
    MAX_REROLLS,
    derive_seed,
    makers_of,
    stem_columns,
)
from nodes.services import LoadedRevision, Services
from nodes.shape_notes import kept_notes, notes_on_engines
from nodes.versions import KEPT, list_before, new_version, version_stems
from storage import clips, events, revisions, runs, stories, takes, work
from storage.models import (
    Json,
    Run,
    SceneStem,
    SceneVersion,
    TakeOrigin,
    WorkKind,
    WorkState,
)
from storage.revisions import NewRevision, Scene

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


async def chosen_take(run: Run, choice: ChooseTake, services: Services) -> NewRevision:
    """Hear a sub-event as a take; made again only if the take has a tail where none may be.

    So are others, where a layer of the sub-event reaches them as it is not worded in the take, and
    other stems of it that sounded otherwise then.
    """
    planned = await services.planned(run.story_id, run.revision_id or 0)
    index = place_of(choice.sub_event, planned)
    async with services.database.read() as session:
        revision = await revisions.get(session, planned.revision_id)
        engines = await revisions.list_engines(session, planned.scene_ids)
        current = await revisions.get_scene(session, planned.scene_ids[index])
        take = await takes.get(session, current.sub_event_id, choice.take)
        version = await revisions.get_scene(session, take.scene_id)
        stems = await revisions.list_stems(session, [current.id, version.id])
        offers = await list_offers(session)
        story = await stories.get(session, run.story_id)
        clip = (await clips.list_by_key(session, [take.clip_key]))[take.clip_key]
        reached = _reached(planned, index, version)
        before = await list_before(session, planned, list(reached.values()))
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
    revised = planned.plan.model_copy(update={"sub_events": tuple(after)})
    heard = spread(revised).sub_events
    makers_after = [*engines[:index], version.engine, *engines[index + 1 :]]
    more = notes_on_engines(revised, story, offers, makers_after)
    notes = [*kept_notes(planned.plan, story, offers, engines), *more]
    was = planned.heard.sub_events[index]
    scene["stems"] = [chosen] + [
        _beside(heard[index], was, version, current, stems[current.id].get(name), name)
        for name in stems[version.id]
        if name != take.stem
    ]
    scenes: list[Scene] = list(planned.scene_ids)
    scenes[index] = scene
    for place, draft in reached.items():
        other = new_version(draft, before, Reason.REWORDED)
        makers = makers_of(story, offers, other.get("engine"))
        columns = stem_columns(heard[place], planned.plan.version, makers)
        ends = place == len(planned.scene_ids) - 1
        other |= version_stems(draft, before, Reason.REWORDED, heard[place], columns, is_last=ends)
        scenes[place] = other
    return NewRevision(
        language=revision.language,
        samples=revision.samples - current.samples + version.samples,
        plan=revision.plan | {"notes": list(dict.fromkeys(notes))},
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


async def queue_takes(run: Run, order: MoreTakes, services: Services) -> None:
    """Queue further takes of a scene.

    Raises:
        BadInput: if it has no such stem, or no take yet.
    """
    planned = await services.planned(run.story_id, run.revision_id or 0)
    scene_id = planned.scene_ids[place_of(order.sub_event, planned)]
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


def place_of(sub_event: int, planned: LoadedRevision) -> int:
    """Return the place of a sub-event.

    Raises:
        BadInput: if there is none of that number.
    """
    if sub_event > len(planned.scene_ids):
        raise BadInput(
            "sub_event",
            sub_event,
            f"does not exist; the story has {len(planned.scene_ids)}",
            f"Give a number from 1 to {len(planned.scene_ids)}.",
        )
    return sub_event - 1
