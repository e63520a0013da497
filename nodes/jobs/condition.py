"""The job of conditions: what clips must know of the story around them, a window of scenes at a time.

The conditions, what is made on them and the end of the work are one transaction; the files of
tensors are in place before it.
"""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from audiostory_core.engines.protocol import Condition, Engine
from audiostory_core.errors import BadInput, EngineFailed
from audiostory_core.stem import Stem
from audiostory_core.story.plan import StoryPlan
from nodes.errors import RunStopped
from nodes.patience import patiently
from nodes.services import LoadedRevision, Services
from storage import revisions, wants, work
from storage.models import Work

LOOK_BACK = 100  # scenes that are looked through at once for a condition
FIRST_S = 0.1  # no further part of a story's first window is begun after so long
TURN_S = 1.0  # nor of a later one: there are clips to make meanwhile


async def make_conditions(claimed: Sequence[Work], services: Services) -> int:
    """Make the first of the conditions that are wanted, as many as take a moment.

    Whoever wants the rest queues it again. What nobody waits for any more is given back.

    Returns:
        How much work was finished: 1, or 0 if another worker took it over.

    Raises:
        LanguageModelAway: if the engine needs it; the work is still claimed.
    """
    [window] = claimed
    if not await patiently(lambda: _is_wanted(window, services), services):
        return 0
    wanted = json.loads(window.request or "")
    try:
        planned = await patiently(
            lambda: services.planned(wanted["story"], wanted["revision"]), services
        )
    except RunStopped:
        await patiently(lambda: _give_back(window, services), services)
        return 0
    places = wanted["places"]
    stem = Stem(wanted.get("stem", Stem.COMPOSITE))
    known = await patiently(lambda: _list_known(window, planned, places, stem, services), services)
    engine = services.engines[window.needs]
    try:
        made = await asyncio.to_thread(
            _condition, engine, planned.heard, places, known, stem, services
        )
    except (BadInput, EngineFailed) as error:
        reason, is_bad_input = str(error), isinstance(error, BadInput)
        await patiently(lambda: _fail(window, reason, is_bad_input, services), services)
        return 0
    files = await asyncio.to_thread(_keep_tensors, made, services)
    return await patiently(
        lambda: _complete(window, planned, stem, made, files, services), services
    )


async def _is_wanted(window: Work, services: Services) -> bool:
    async with services.database.read() as session:
        if await wants.has_interest(session, [window]):
            return True
    await _give_back(window, services)
    return False


async def _give_back(window: Work, services: Services) -> None:
    async with services.database.write() as session:
        await work.give_back(session, [window])


async def _list_known(
    window: Work, planned: LoadedRevision, places: Sequence[int], stem: Stem, services: Services
) -> dict[int, Condition]:
    """Return the stem's conditions by this engine that scenes here and beside have, by place."""
    near = sorted({at for place in places for at in (place - 1, place, place + 1)})
    here = [at for at in near if 0 <= at < len(planned.scene_ids)]
    async with services.database.read() as session:
        known = await _load_known(session, window, planned, here, stem)
        before = places[0]  # of which a chain with gaps is carried on
        while stem is not Stem.COMPOSITE and before > 0 and not any(at < places[0] for at in known):
            earlier = range(max(before - LOOK_BACK, 0), before)
            known |= await _load_known(session, window, planned, earlier, stem)
            before = earlier[0]
    return known


async def _load_known(
    session: AsyncSession,
    window: Work,
    planned: LoadedRevision,
    places: Sequence[int],
    stem: Stem,
) -> dict[int, Condition]:
    ids = [planned.scene_ids[at] for at in places]
    stored = await revisions.list_conditions(session, ids, stems_of_chain(stem))
    known = {}
    for at in places:
        engine, data = stored.get(planned.scene_ids[at], (None, None))
        if data is not None and planned.engine_of(stem, engine) == window.needs:
            known[at] = Condition(data)
    return known


def stems_of_chain(stem: Stem) -> tuple[Stem, ...]:
    """Return the stems whose conditions are one chain: a composite scene is among effects."""
    return (stem, Stem.COMPOSITE) if stem is Stem.EFFECTS else (stem,)


def _condition(
    engine: Engine,
    plan: StoryPlan,
    places: Sequence[int],
    known: Mapping[int, Condition],
    stem: Stem,
    services: Services,
) -> dict[int, Condition]:
    made: dict[int, Condition] = {}
    started = time.monotonic()
    turn_s = TURN_S if places[0] else FIRST_S
    lacking = [place for place in places if place not in known]
    of_stem = () if stem is Stem.COMPOSITE else (stem,)  # engines may be older than stems
    for part in engine.interleave(plan, lacking, known, *of_stem) if lacking else ():
        made |= part
        if services.is_stopping or time.monotonic() - started > turn_s:
            break
    if lacking and not made:
        raise EngineFailed("The engine made no condition.")
    return made


def _keep_tensors(made: Mapping[int, Condition], services: Services) -> dict[str, str]:
    """Write the tensors of new conditions; return their content names by condition."""
    return {
        condition.id: services.audio.add(".safetensors", condition.tensors)
        for condition in made.values()
        if condition.tensors is not None
    }


async def _complete(
    window: Work,
    planned: LoadedRevision,
    stem: Stem,
    made: Mapping[int, Condition],
    files: Mapping[str, str],
    services: Services,
) -> bool:
    async with services.database.write() as session:
        if not await wants.has_interest(session, [window]):
            await work.give_back(session, [window])
            return False
        if not await work.finish(session, window):
            return False
        await work.remove(session, window)
        data = {condition.id: condition.data for condition in made.values()}
        await revisions.add_conditions(session, data, files)
        ids = {planned.scene_ids[place]: condition.id for place, condition in made.items()}
        await revisions.set_conditions(session, stems_of_chain(stem), ids)
        return True


async def _fail(window: Work, error: str, is_bad_input: bool, services: Services) -> None:
    async with services.database.write() as session:
        await work.fail(session, window, error, is_bad_input=is_bad_input)
