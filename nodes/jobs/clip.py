"""The clip job, run by any worker: claimed clips are made, measured and completed."""

import asyncio
import json
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from audiostory_core.audio.pcm import Waveform, flac_bytes, rounded
from audiostory_core.engines.protocol import ClipRequest, ClipResult, Condition
from audiostory_core.errors import Cancelled, EngineFailed
from audiostory_core.quality.measures import measure
from nodes.clip_request import build
from nodes.patience import patiently
from nodes.segments import Values, render_around
from nodes.services import Services
from storage import clips, mixes, revisions
from storage.errors import DamagedFile
from storage.models import Clip

LOOK_S = 0.1  # between two looks whether anybody still waits, if something was committed
UNCHANGED_S = 1.0  # if nothing was
PROGRESS_S = 1.0  # between two notes of progress


async def make_clips(claimed: Sequence[Clip], services: Services) -> int:
    """Make claimed clips of one engine, measure them, and complete them one by one.

    They are given back when nobody waits for any of them any more, or the process is to end.

    Returns:
        How many were completed; those taken over by another worker are not counted.
    """
    engine = services.engine(claimed[0].engine)
    claimed, requests = await _load_requests(claimed, services)
    if not requests:
        return 0
    watch = BatchProgress(len(claimed))
    started = time.monotonic()
    watching = asyncio.create_task(_watch(claimed, watch, services))
    try:
        results = await asyncio.to_thread(engine.synthesize, requests, watch)
    except EngineFailed as error:
        reason = str(error)
        await patiently(lambda: _fail(claimed, reason, services), services)
        return 0
    except Cancelled:
        await patiently(lambda: _give_back(claimed, services), services)
        return 0
    finally:
        watch.lose()  # whatever ended this, the engine's thread ends too
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    render_s = (time.monotonic() - started) / len(claimed)
    completed = 0
    for clip, request, result in zip(claimed, requests, results, strict=True):
        completed += await _store(clip, request, result, render_s, services)
    return completed


class BatchProgress:
    """What an engine's thread reports of its progress; stops it once nobody waits for the clips.

    Args:
        count: clips of the batch.
    """

    def __init__(self, count: int) -> None:
        self.shares = [0.0] * count  # of each clip that are done
        self._is_lost = threading.Event()

    def step(self, index: int, done: float) -> None:
        """Note progress; raises `Cancelled` once nobody waits for the batch."""
        self.shares[index] = done
        if self._is_lost.is_set():
            raise Cancelled

    def lose(self) -> None:
        """Let the next step raise."""
        self._is_lost.set()


async def _watch(claimed: Sequence[Clip], watch: BatchProgress, services: Services) -> None:
    keys = [clip.key for clip in claimed]
    noted = looked = time.monotonic()
    known = -1
    while True:
        await asyncio.sleep(LOOK_S)
        seen, is_wanted = services.database.changes(), True
        if seen != known or time.monotonic() - looked >= UNCHANGED_S:
            known, looked = seen, time.monotonic()
            is_wanted = await patiently(lambda: _is_wanted(keys, services), services)
        if services.is_overdue or not is_wanted:
            watch.lose()
            return
        if time.monotonic() - noted >= PROGRESS_S:
            noted = time.monotonic()
            await patiently(lambda: _note(claimed, watch.shares, services), services)


async def _is_wanted(keys: Sequence[str], services: Services) -> bool:
    async with services.database.read() as session:
        return await clips.has_interest(session, keys)


async def _note(claimed: Sequence[Clip], shares: Sequence[float], services: Services) -> None:
    async with services.database.write() as session:
        for clip, share in zip(claimed, shares, strict=True):
            await clips.note_progress(session, clip, share)


async def _load_requests(
    claimed: Sequence[Clip], services: Services
) -> tuple[list[Clip], list[ClipRequest]]:
    """Return the clips that can be made, and their requests; the others fail."""
    sound: list[Clip] = []
    requests = []
    for clip in claimed:
        try:
            requests.append(await _load_request(clip, services))
            sound.append(clip)
        except DamagedFile as error:
            reason = str(error)
            await patiently(partial(_fail, [clip], reason, services), services)
    return sound, requests


async def _load_request(clip: Clip, services: Services) -> ClipRequest:
    condition_id = json.loads(clip.request)["condition"]
    async with services.database.read() as session:
        condition = await revisions.get_condition(session, condition_id)
    tensors = None
    if condition.file is not None:
        tensors = await asyncio.to_thread(services.audio.read, condition.file)
    return build(clip.request, Condition(condition.data, tensors))


async def _store(
    clip: Clip, request: ClipRequest, result: ClipResult, render_s: float, services: Services
) -> bool:
    measures = await asyncio.to_thread(measure, result.waveform, request.samples)
    playable = make_playable(result.waveform, request.samples)
    encoded = await asyncio.to_thread(flac_bytes, playable)
    file = await asyncio.to_thread(services.audio.add, ".flac", encoded)
    stored = await asyncio.to_thread(rounded, playable)
    report = {
        "matched": list(result.matched),
        "unmatched": list(result.unmatched),
        "warnings": list(result.warnings),
        "is_silence": result.is_silence,
    }
    kept = {
        "file": file,
        "measures": measures.as_dict(),
        "engine_report": report,
        "render_s": render_s,
    }
    segments = await patiently(lambda: render_around(clip.key, file, stored, services), services)
    return await patiently(lambda: _complete(clip, kept, segments, services), services)


async def _complete(
    clip: Clip, kept: dict[str, Any], segments: Sequence[tuple[str, Values]], services: Services
) -> bool:
    async with services.database.write() as session:
        for key, values in segments:
            await mixes.add_segment(session, key, **values)
        return await clips.complete(session, clip, **kept)


async def _fail(claimed: Sequence[Clip], error: str, services: Services) -> None:
    async with services.database.write() as session:
        for clip in claimed:
            await clips.fail(session, clip, error)


async def _give_back(claimed: Sequence[Clip], services: Services) -> None:
    async with services.database.write() as session:
        await clips.give_back(session, claimed)


def make_playable(waveform: Waveform, samples: int) -> Waveform:
    """Return [2, samples] of finite numbers, so that a clip the check will refuse can be heard."""
    whole = waveform[:, :samples]
    if not np.isfinite(whole).all():
        whole = np.nan_to_num(whole, posinf=1.0, neginf=-1.0)
    missing = samples - whole.shape[1]
    return np.pad(whole, ((0, 0), (0, missing))) if missing else whole
