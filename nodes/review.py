"""review: the author approves the plan, and later the mix; a run without review approves for them."""

from nodes.services import Services
from nodes.state import StateUpdate, StoryState
from nodes.waits import is_changed, load_run, wait_for
from storage import revisions
from storage.models import Wait


async def review_plan(state: StoryState, services: Services) -> StateUpdate:
    """Go on if the plan is approved, else wait for the author."""
    return await _review(state, services, Wait.PLAN_REVIEW)


async def review_mix(state: StoryState, services: Services) -> StateUpdate:
    """Go on if the mix is approved, else wait for the author."""
    return await _review(state, services, Wait.MIX_REVIEW)


async def _review(state: StoryState, services: Services, review: Wait) -> StateUpdate:
    async with services.database.read() as session:
        run = await load_run(session, state)
        if is_changed(state, run):
            return {"waits_for": "", "is_changed": True}
        mix = await revisions.find_mix(session, state["revision_id"])
    was_accepted = review == Wait.MIX_REVIEW and mix is not None and mix.is_accepted
    is_passed = not run.review or review in run.approved or was_accepted
    return wait_for(None if is_passed else review)
