"""A process that ends between any two writes of LangGraph's checkpoints loses nothing."""

from graph.build import build_graph
from graph.checkpoints.sqlite import open_checkpoints
from graph.drive import drive
from storage import revisions, runs, stories
from storage.models import RunState

SCENES = 2


class Killed(BaseException):
    """Ends the process's work at once, as a signal would; nothing handles it."""


def end_after(saver, writes):
    """Let a saver write so many times, before the process is no more."""
    left = writes

    def limited(write):
        async def write_or_die(*args, **kwargs):
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            return await write(*args, **kwargs)

        return write_or_die

    saver.aput = limited(saver.aput)
    saver.aput_writes = limited(saver.aput_writes)


async def work_until_killed(studio, story_id, writes):
    """Drive a run, and make its clips when it waits for them; False if killed before its end."""
    async with open_checkpoints(studio.settings.checkpoint_file) as saver:
        graph = build_graph(saver)
        if writes is not None:
            end_after(saver, writes)
        async with studio.store.database.write() as session:
            await runs.release_owner(session, ["killed"])
        while True:
            async with studio.store.database.write() as session:
                run = await runs.claim(session, "killed", 30.0)
            if run is None:
                if (await studio.latest_run(story_id)).state == RunState.FINISHED:
                    return True
                await studio.make_clips()
                continue
            try:
                await drive(run, graph, studio.services)
            except Killed:
                return False


async def test_run_goes_on_wherever_its_process_ended(studio):
    writes, is_whole = 0, False
    while not is_whole:
        story = await studio.add("rain\nthunder", seed=writes)
        is_whole = await work_until_killed(studio, story.id, writes)
        assert await work_until_killed(studio, story.id, None)
        async with studio.store.database.read() as session:
            revision_id = (await stories.get(session, story.id)).revision_id
            assert await revisions.find_mix(session, revision_id) is not None
        kinds = [event.kind for event in await studio.events(story.id)]
        assert kinds.count("clip.finished") == SCENES
        assert kinds[-1] == "run.finished"
        writes += 1
    assert writes > 10
