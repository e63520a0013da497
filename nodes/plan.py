"""plan: the instruction becomes ordered sub-events, each with a seed of its own."""

import asyncio
import hashlib

from audiostory_core.errors import BadInput
from audiostory_core.planners.protocol import Brief
from audiostory_core.story import StoryPlan, SubEvent
from nodes.errors import StepFailed
from nodes.services import Services
from nodes.state import StateUpdate, StoryState
from storage import runs, stories
from storage.models import Json, Story

SEED_BITS = 63  # seeds fit a signed 64-bit column


async def plan(state: StoryState, services: Services) -> StateUpdate:
    """Plan the story and store the plan as its first revision; a stored plan is kept."""
    async with services.database.read() as session:
        story = await stories.get(session, state["story_id"])
        run = await runs.get(session, state["run_id"])
        if run.revision_id is not None:
            revision = await stories.get_revision(session, run.revision_id)
            return {"revision_id": revision.id, "scenes": len(revision.scenes)}

    planned = await asyncio.to_thread(make_plan, story, services)
    scenes: list[Json] = [
        {
            "caption": event.caption,
            "tone": event.tone,
            "samples": event.samples,
            "continues": event.continues,
            "layers": [layer.model_dump(mode="json") for layer in event.layers],
            "seed": derive_seed(story.seed, ordinal),
        }
        for ordinal, event in enumerate(planned.sub_events)
    ]
    async with services.database.write() as session:
        run = await runs.get(session, state["run_id"])
        revision = await stories.add_revision(
            session,
            run,
            language=planned.language,
            samples=planned.samples,
            plan=planned.model_dump(
                mode="json", include={"reasoning", "cast", "directions", "notes"}
            ),
            scenes=scenes,
        )
    return {"revision_id": revision.id, "scenes": len(revision.scenes)}


def make_plan(story: Story, services: Services) -> StoryPlan:
    """Return the author's own plan if he brought one, else ask the planner.

    Raises:
        BadInput: if the instruction cannot be planned, or a given plan does not fit the engine.
        StepFailed: if the planner is not usable here.
    """
    capabilities = services.engine(story.engine).capabilities
    longest_s = capabilities.longest_clip_s - story.tail_s
    if story.given_plan is not None:
        given = StoryPlan.model_validate(story.given_plan)
        check_lengths(given.sub_events, longest_s, capabilities.name)
        return given
    if story.planner not in services.planners:
        raise StepFailed(f"The planner {story.planner!r} is not usable here; see doctor.")
    return services.planners[story.planner].plan(
        Brief(story.instruction, story.duration_s, story.language, longest_clip_s=longest_s)
    )


def check_lengths(sub_events: tuple[SubEvent, ...], longest_s: float, engine: str) -> None:
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


def derive_seed(seed: int, ordinal: int) -> int:
    """Return the seed of a sub-event, or of re-roll `ordinal` of a clip."""
    digest = hashlib.sha256(f"{seed}:{ordinal}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - SEED_BITS)
