"""A process that works on one story as `audiostory resume` does, with an engine quick enough to be
killed many times within a test."""

import asyncio
import multiprocessing
import os
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

from api import catalog
from api.authoring import make_story
from api.settings import Settings
from api.store import open_store
from tests import fakes

LOG = "AUDIOSTORY_TEST_LOG"


def logged_engine() -> fakes.ToneEngine:
    """Build an engine that writes down every clip it begins."""
    return fakes.ToneEngine(log=Path(os.environ[LOG]), pause_s=0.02)


def start(home: Path, story_id: str, log: Path) -> BaseProcess:
    """Start a process that works on a story until it settles."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.acceptance.tone_process", "api.composition"])
    process = context.Process(target=work, args=(home, story_id, log))
    process.start()
    return process


def work(home: Path, story_id: str, log: Path) -> None:
    """Work on a story until it settles."""
    os.environ[LOG] = str(log)
    catalog.ENGINES.clear()
    catalog.ENGINES["tone"] = f"{__name__}:logged_engine"
    catalog.PLANNERS["lines"] = "tests.fakes:LinePlanner"
    asyncio.run(_work(Settings(home=home), story_id))


async def _work(settings: Settings, story_id: str) -> None:
    store = await open_store(settings)
    try:
        await make_story(store, settings, story_id, partial(bool))
    finally:
        await store.database.close()
