"""synthesize: waits for the clips of the run, which any worker makes; see nodes/jobs/clip.py."""

from nodes.services import Services
from nodes.state import StateUpdate, StoryState
from nodes.waits import is_changed, load_run, wait_for
from storage import revisions, wants
from storage.models import Wait, WorkKind


async def synthesize(state: StoryState, services: Services) -> StateUpdate:
    """Go on when every clip of the run is made; else wait for the workers, or for the author."""
    async with services.database.read() as session:
        run = await load_run(session, state)
        if is_changed(state, run):
            return {"waits_for": "", "is_changed": True}
        if await wants.is_waited_for(session, run.id, WorkKind.CLIP):
            return wait_for(Wait.CLIPS)
        planned = await services.planned(state["story_id"], state["revision_id"])
        is_unmade = await revisions.find_unmade(session, planned.scene_ids) is not None
    return wait_for(Wait.CLIP_REVIEW if is_unmade else None)
