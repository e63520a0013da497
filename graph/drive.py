"""Driving one claimed run through the graph, from wherever it stands to where it must wait."""

import asyncio
import time

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl
from langgraph.types import Command

from audiostory_core.errors import BadInput, LanguageModelAway, StudioError
from audiostory_core.story.plan import LONGEST_STORY_S, SHORTEST_SUB_EVENT_S
from graph.build import Graph
from graph.racing import first_of
from nodes.errors import EngineAway, RunStopped, StepFailed
from nodes.services import Services
from nodes.state import StoryState, fresh_state
from storage import events, runs
from storage.models import ACTIVE, Run, Wait

ENGINE_AWAY = "engine.waiting"
LEASE_S = 30.0
RENEW_S = LEASE_S / 3
LOOK_S = 0.25  # between two looks whether the run was cancelled
MAX_SUB_EVENTS = int(LONGEST_STORY_S / SHORTEST_SUB_EVENT_S)
RECURSION_LIMIT = 4 * MAX_SUB_EVENTS + 200  # LangGraph's own default ends a long story midway


async def drive(
    run: Run, graph: Graph, services: Services, control: RunControl | None = None
) -> None:
    """Drive a claimed run until it ends or parks; its state in SQL says which.

    A lease that is lost stops the driving; whoever took it over goes on from SQL. A run that is
    drained stops after the step it is at, and is still held then.

    Raises:
        LanguageModelAway: if a step needs it; the run is still held, at that step.
    """
    await first_of(_advance(run, graph, services, control), _keep_lease(run, services))
    async with services.database.read() as session:
        left = await runs.find(session, run.story_id, run.id)
    if left is None or left.state not in ACTIVE:
        await _forget(run, graph)


async def _advance(run: Run, graph: Graph, services: Services, control: RunControl | None) -> None:
    owner = run.owner or ""
    try:
        waits_for = await _invoke(run, graph, services, control)
    except (RunStopped, GraphDrained):
        return
    except LanguageModelAway:
        raise
    except EngineAway as error:
        await _wait_for_engine(run, error, services)
        return
    except (StudioError, StepFailed) as error:
        is_bad_input = isinstance(error, BadInput) or (
            isinstance(error, StepFailed) and error.is_bad_input
        )
        async with services.database.write() as session:
            await runs.fail_held(session, run.id, owner, str(error), is_bad_input=is_bad_input)
        return
    async with services.database.write() as session:
        if waits_for:
            await runs.park(session, run.id, owner, Wait(waits_for))
        else:
            await runs.finish(session, run.id, owner)


async def _wait_for_engine(run: Run, error: EngineAway, services: Services) -> None:
    """Park a run until a worker offers the engine it needs, and tell its author."""
    async with services.database.write() as session:
        if not await runs.park_for_engine(session, run.id, run.owner or "", error.name):
            await runs.give_up(session, run.owner or "")
            return
        data = {"problem": str(error), "engine": error.name}
        await events.append_once(session, run.story_id, ENGINE_AWAY, events.PROGRESS, **data)


async def _invoke(run: Run, graph: Graph, services: Services, control: RunControl | None) -> str:
    """Go on from the checkpoint; return what the run waits for, or nothing when it is done.

    A thread without tasks has not begun, or was killed as it ended. Only SQL can tell which, so
    the graph begins anew: its steps keep what they find done.
    """
    config = _config(run)
    snapshot = await graph.aget_state(config)
    entry: StoryState | Command[str] | None = fresh_state(run.story_id, run.id)
    if snapshot.interrupts:
        entry = Command(resume="woken")
    elif snapshot.tasks:  # not `next`: that leaves out a task whose writes outlived its process
        entry = None
    reached = await graph.ainvoke(
        entry, config, context=services, durability="sync", control=control
    )
    interrupts = reached.get("__interrupt__")
    return str(interrupts[0].value) if interrupts else ""


async def _keep_lease(run: Run, services: Services) -> None:
    """Renew a lease until it is lost: taken over, or the run cancelled."""
    owner = run.owner or ""
    renewed = time.monotonic()
    is_held = True
    while is_held:
        await asyncio.sleep(LOOK_S)
        if time.monotonic() - renewed < RENEW_S:
            async with services.database.read() as session:
                is_held = await runs.is_held(session, run.id, owner)
        else:
            async with services.database.write() as session:
                is_held = await runs.renew(session, run.id, owner, LEASE_S)
            renewed = time.monotonic()


async def _forget(run: Run, graph: Graph) -> None:
    if graph.checkpointer is not None and not isinstance(graph.checkpointer, bool):
        await graph.checkpointer.adelete_thread(_thread(run))


def _config(run: Run) -> RunnableConfig:
    return {
        "configurable": {"thread_id": _thread(run)},
        "recursion_limit": RECURSION_LIMIT,
    }


def _thread(run: Run) -> str:
    return f"story:{run.story_id}:run:{run.number}"
