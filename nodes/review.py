"""review: the author approves the plan, and later the mix; `create` approves for him."""

from nodes.services import Services
from nodes.state import StateUpdate, StoryState
from storage import runs, stories

PLAN_REVIEW = "plan review"
MIX_REVIEW = "mix review"


async def review_plan(state: StoryState, services: Services) -> StateUpdate:
    """Go on if the plan is approved, else wait for the author."""
    return await _review(state, services, PLAN_REVIEW)


async def review_mix(state: StoryState, services: Services) -> StateUpdate:
    """End if the mix is approved, else wait for the author."""
    return await _review(state, services, MIX_REVIEW)


async def _review(state: StoryState, services: Services, review: str) -> StateUpdate:
    async with services.database.read() as session:
        story = await stories.get(session, state["story_id"])
        run = await runs.get(session, state["run_id"])
    is_passed = not story.review or review in run.approved
    return {"waits_for": "" if is_passed else review}
