"""review: the author approves the plan, and later the mix; a run without review approves for them."""

from nodes.plan import is_changed
from nodes.services import Services
from nodes.state import StateUpdate, StoryState
from storage import revisions, runs

PLAN_REVIEW = "plan review"
MIX_REVIEW = "mix review"


async def review_plan(state: StoryState, services: Services) -> StateUpdate:
    """Go on if the plan is approved, else wait for the author."""
    return await _review(state, services, PLAN_REVIEW)


async def review_mix(state: StoryState, services: Services) -> StateUpdate:
    """Go on if the mix is approved, else wait for the author."""
    return await _review(state, services, MIX_REVIEW)


async def _review(state: StoryState, services: Services, review: str) -> StateUpdate:
    async with services.database.read() as session:
        run = await runs.get(session, state["run_id"])
        if is_changed(state, run):
            return {"waits_for": "", "is_changed": True}
        mix = await revisions.find_mix(session, state["revision_id"])
    was_accepted = review == MIX_REVIEW and mix is not None and mix.is_accepted
    is_passed = not run.review or review in run.approved or was_accepted
    return {"waits_for": "" if is_passed else review}
