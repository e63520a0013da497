from typing import Any, cast

import pytest

from api.revisions.service import cancel, resume
from api.stories import local_run
from api.stories.handlers import FAILED, _measuring, make_and_write
from api.stories.schemas import parse_story
from api.stories.service import create_story
from storage import events
from storage.database import Database


class Unused:
    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} is used")


async def test_nothing_is_measured_where_nobody_watches():
    async with _measuring(cast("Database", Unused()), "a-story", None):
        pass


@pytest.mark.parametrize("is_resumed", [False, True])
async def test_work_that_another_command_cancelled_is_not_reported_as_done(
    studio, monkeypatch, tmp_path, capsys, is_resumed
):
    store, file = studio.store, tmp_path / "story.wav"
    story = await create_story(store.database, parse_story(instruction="rain"), 0.5)

    async def work(_store, _settings, story_id, listener, _on_held):
        run = await cancel(store.database, story_id)
        async with store.database.read() as session:
            for event in await events.list_after(session, story_id, 0):
                listener(event)
        return await resume(store.database, story_id) if is_resumed else run

    monkeypatch.setattr(local_run, "make_story", work)

    code = await make_and_write(
        store, studio.settings, story.id, file, as_json=False, since_event=1
    )

    assert code == FAILED
    assert not file.exists()
    assert f"audiostory resume {story.id}" in capsys.readouterr().err
