"""plan: the instruction becomes ordered sub-events, each with a seed of its own."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import replace

from audiostory_core.errors import BadInput
from audiostory_core.planners.plan_notes import notes_on_lines
from audiostory_core.planners.protocol import Brief, OnSubEvent, Planner
from audiostory_core.story.plan import StoryPlan, SubEvent, check_count
from nodes.errors import StepFailed
from nodes.services import Services
from nodes.state import StateUpdate, StoryState
from storage import events, revisions, runs, stories
from storage.models import Json, Run, Story
from storage.revisions import NewRevision

PLAN_PARTS = {"reasoning", "cast", "directions", "notes", "written"}  # kept with a revision
SEED_BITS = 63  # seeds fit a signed 64-bit column


async def plan(state: StoryState, services: Services) -> StateUpdate:
    """Plan the story and store the plan as its first revision; a stored plan is kept."""
    async with services.database.read() as session:
        story = await stories.get(session, state["story_id"])
        run = await runs.get(session, state["run_id"])
    if run.revision_id is None:
        tell = telling(run, services)
        planned = await asyncio.to_thread(make_plan, story, services, on_sub_event=tell)
        content = await asyncio.to_thread(new_revision, planned, story)
        scenes = await revisions.store_scenes(services.database, story.id, content.scenes)
        async with services.database.write() as session:
            await revisions.add(session, run.id, None, replace(content, scenes=scenes))
    return await turn_to(state, services)


async def turn_to(state: StoryState, services: Services) -> StateUpdate:
    """Begin with the run's revision as SQL has it."""
    async with services.database.read() as session:
        run = await runs.get(session, state["run_id"])
        revision = await revisions.get(session, run.revision_id or 0)
    return {
        "revision_id": revision.id,
        "scenes": len(revision.scenes),
        "cursor": 0,
        "waits_for": "",
        "is_changed": bool(run.pending_changes),
    }


def is_changed(state: StoryState, run: Run) -> bool:
    """Tell whether the author wants something else than what the graph is at."""
    return bool(run.pending_changes) or run.revision_id != state["revision_id"]


def telling(run: Run, services: Services) -> OnSubEvent:
    """Return what tells a story's events of each sub-event that its planner writes.

    It is called in the planner's thread. A place that comes again replaces what was told of before:
    the model began anew.
    """
    loop = asyncio.get_running_loop()

    async def append(place: int, event: SubEvent) -> None:
        written = event.model_dump(mode="json", include={"caption", "duration_s", "tone"})
        async with services.database.write() as session:
            told = {"run": run.number, "place": place, **written}
            await events.append(session, run.story_id, "scene.written", **told)

    def tell(place: int, event: SubEvent) -> None:
        asyncio.run_coroutine_threadsafe(append(place, event), loop).result()

    return tell


def make_plan(
    story: Story,
    services: Services,
    remarks: Sequence[str] = (),
    on_sub_event: OnSubEvent | None = None,
) -> StoryPlan:
    """Return the author's own plan if they brought one, else the planner's.

    Args:
        story: to be planned.
        services: the planners, and the engine whose limits the plan keeps to.
        remarks: why the author rejected earlier plans, oldest first; their own plan too.
        on_sub_event: told what a planner writes, while it does.

    Raises:
        BadInput: if the instruction cannot be planned, a given plan does not fit the engine, or
            the plan has more scenes than one may have.
        StepFailed: if the planner is not usable here.
    """
    longest_s = longest_scene_s(story, services)
    if story.given_plan is not None and not remarks:
        given = StoryPlan.model_validate(story.given_plan)
        check_count(given.sub_events, services.max_scenes)
        check_lengths(given.sub_events, longest_s, story.engine)
        numbered = dict(enumerate(given.sub_events, 1))
        capabilities = services.engine(story.engine).capabilities
        more = notes_on_lines(numbered, given.cast, capabilities)
        return given.model_copy(update={"notes": tuple(dict.fromkeys((*given.notes, *more)))})
    planned = planner_of(story, services).plan(
        Brief(
            story.instruction,
            story.duration_s,
            story.language,
            longest_clip_s=longest_s,
            remarks=tuple(remarks),
            on_sub_event=on_sub_event,
        )
    )
    check_count(planned.sub_events, services.max_scenes)
    return planned


def planner_of(story: Story, services: Services) -> Planner:
    """Return a story's planner.

    Raises:
        StepFailed: if it is not usable here.
    """
    if story.planner not in services.planners:
        raise StepFailed(f"The planner {story.planner!r} is not usable here; see doctor.")
    return services.planners[story.planner]


def longest_scene_s(story: Story, services: Services) -> float:
    """Return the longest scene that the story's engine makes at once, its tail excluded."""
    return services.engine(story.engine).capabilities.longest_clip_s - story.tail_s


def check_lengths(sub_events: Sequence[SubEvent], longest_s: float, engine: str) -> None:
    """Refuse sub-events that the engine cannot make in one clip.

    Raises:
        BadInput: naming the first one that is too long.
    """
    for number, event in enumerate(sub_events, 1):
        if event.duration_s > longest_s:
            raise BadInput(
                f"sub_events.{number}.duration_s",
                event.duration_s,
                f"is longer than the {longest_s:g} s that {engine} makes at once",
                "Split it into sub-events, the later ones with continues: true.",
            )


def new_revision(planned: StoryPlan, story: Story, remarks: Sequence[str] = ()) -> NewRevision:
    """Return a plan as the content of a revision; all its sub-events are new ones."""
    return NewRevision(
        language=planned.language,
        samples=planned.samples,
        plan=planned.model_dump(mode="json", include=PLAN_PARTS) | {"remarks": list(remarks)},
        scenes=[
            scene_columns(event) | {"seed": derive_seed(story.seed, story.next_ordinal + place)}
            for place, event in enumerate(planned.sub_events)
        ],
        summary=f"planned again: “{remarks[-1]}”" if remarks else "planned",
        ordinals=len(planned.sub_events),
    )


def scene_columns(event: SubEvent) -> Json:
    """Return the columns of a scene version that a sub-event's wording fills."""
    return {
        "caption": event.caption,
        "tone": event.tone,
        "samples": event.samples,
        "continues": event.continues,
        "layers": [layer.model_dump(mode="json") for layer in event.layers],
    }


def derive_seed(seed: int, ordinal: int) -> int:
    """Return the seed of a sub-event, or of re-roll or take `ordinal` of a clip."""
    digest = hashlib.sha256(f"{seed}:{ordinal}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - SEED_BITS)
