"""master: an accepted mix gets a mastering of its own, instead of that of the mix it revises."""

from nodes.mastering import NewMix, choose_for_revision
from nodes.services import Services
from nodes.state import StateUpdate, StoryState
from storage import mixes, revisions


async def master(state: StoryState, services: Services) -> StateUpdate:
    """Choose gain and limiting of the mix, unless they are its own already."""
    async with services.database.read() as session:
        mix = await revisions.find_mix(session, state["revision_id"])
        if mix is None or mix.is_accepted:
            return {}
        revision = await revisions.get(session, state["revision_id"])
        is_own = mix.mastering["of_revision"] == revision.number
        scenes = [] if is_own else await mixes.list_heard(session, revision.scenes)
    mastering = mix.mastering
    if not is_own:
        files = [file for scene in scenes for file in scene.files.values() if file is not None]
        content = NewMix(mixes.chains_of(mix), mix.balance, files)
        mastering = await choose_for_revision(content, revision.number, services)
    async with services.database.write() as session:
        await mixes.accept(session, revision, mastering)
    return {}
