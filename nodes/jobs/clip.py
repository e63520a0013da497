"""The clip job, run by any worker: claimed clips are made, measured and completed."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from audiostory_core.audio.activity import speech_activity
from audiostory_core.audio.pcm import Waveform, flac_bytes, rounded
from audiostory_core.audio.shaping import synthesize
from audiostory_core.engines.protocol import Capabilities, ClipRequest, ClipResult, Condition
from audiostory_core.errors import Cancelled, EngineFailed
from audiostory_core.quality.measures import measure
from audiostory_core.stem import Stem
from nodes.clip_request import build
from nodes.jobs.watching import BatchProgress, watch_claimed
from nodes.patience import patiently
from nodes.segments import Values, render_around
from nodes.services import Services
from storage import clips, mixes, revisions, work
from storage.errors import DamagedFile
from storage.models import Work

STEM_COMPRESSION = 0.0  # there are three clips of a scene: a tenth larger, for half of the time


@dataclass(frozen=True)
class Order:
    """A claimed clip, and what its engine gets to make it."""

    work: Work
    request: ClipRequest
    asks_for: str | None  # revision of the engine; None: nobody said


async def make_clips(claimed: Sequence[Work], services: Services) -> int:
    """Make claimed clips of one engine, measure them, and complete them one by one.

    They are given back when nobody waits for any of them any more, or the process is to end.

    Returns:
        How many were completed; those taken over by another worker are not counted.
    """
    engine = services.engines[claimed[0].needs]
    orders = await _load_orders(claimed, services)
    if not orders:
        return 0
    sound = [order.work for order in orders]
    watch = BatchProgress(len(orders))
    started = time.monotonic()
    watching = asyncio.create_task(watch_claimed(sound, watch, services))
    try:
        requests = [order.request for order in orders]
        results = await asyncio.to_thread(synthesize, engine, requests, watch)
    except EngineFailed as error:
        reason = str(error)
        await patiently(lambda: _fail(sound, reason, services), services)
        return 0
    except Cancelled:
        await patiently(lambda: _give_back(sound, services), services)
        return 0
    finally:
        watch.lose()  # whatever ended this, the engine's thread ends too
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    render_s = (time.monotonic() - started) / len(orders)
    capabilities = engine.capabilities
    completed = 0
    for order, result in zip(orders, results, strict=True):
        made = _with_revision(order, result, capabilities)
        completed += await _store(order, made, render_s, services)
    return completed


async def _load_orders(claimed: Sequence[Work], services: Services) -> list[Order]:
    """Return the clips that can be made; the others fail."""
    orders = []
    for clip in claimed:
        try:
            orders.append(await _load_order(clip, services))
        except DamagedFile as error:
            reason = str(error)
            await patiently(partial(_fail, [clip], reason, services), services)
    return orders


async def _load_order(claimed: Work, services: Services) -> Order:
    async with services.database.read() as session:
        clip = await clips.get(session, claimed.key)
        described = json.loads(clip.request)
        condition = await revisions.get_condition(session, described["condition"])
    tensors = None
    if condition.file is not None:
        tensors = await asyncio.to_thread(services.audio.read, condition.file)
    request = build(clip.request, Condition(condition.data, tensors))
    return Order(claimed, request, described.get("engine_revision"))


def _with_revision(order: Order, result: ClipResult, capabilities: Capabilities) -> ClipResult:
    """Say so where another revision of the engine was asked for than the one that was there."""
    if order.asks_for is None or order.asks_for == capabilities.revision:
        return result
    warning = (
        f"made by revision {capabilities.revision[:12]} of {capabilities.name}; queued for "
        f"{order.asks_for[:12]}"
    )
    return replace(result, warnings=(*result.warnings, warning))


async def _store(order: Order, result: ClipResult, render_s: float, services: Services) -> bool:
    clip, request = order.work, order.request
    measures = await asyncio.to_thread(measure, result.waveform, request.samples)
    playable = make_playable(result.waveform, request.samples)
    if request.stem is Stem.DIALOGUE:
        spoken = await asyncio.to_thread(speech_activity, playable)
        measures = replace(measures, spoken=spoken)
    compression = None if request.stem is Stem.COMPOSITE else STEM_COMPRESSION
    encoded = await asyncio.to_thread(flac_bytes, playable, compression)
    file = await asyncio.to_thread(services.audio.add, ".flac", encoded)
    stored = await asyncio.to_thread(rounded, playable)
    services.clips.add(file, stored)
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
    spoken = measures.spoken or ()
    segments = await patiently(
        lambda: render_around(clip.key, file, stored, spoken, services), services
    )
    return await patiently(lambda: _complete(clip, kept, segments, services), services)


async def _complete(
    clip: Work, kept: dict[str, Any], segments: Sequence[tuple[str, Values]], services: Services
) -> bool:
    async with services.database.write() as session:
        for key, values in segments:
            await mixes.add_segment(session, key, **values)
        return await clips.complete(session, clip, **kept)


async def _fail(claimed: Sequence[Work], error: str, services: Services) -> None:
    async with services.database.write() as session:
        for clip in claimed:
            await work.fail(session, clip, error)


async def _give_back(claimed: Sequence[Work], services: Services) -> None:
    async with services.database.write() as session:
        await work.give_back(session, claimed)


def make_playable(waveform: Waveform, samples: int) -> Waveform:
    """Return [2, samples] of finite numbers, so that a clip the check will refuse can be heard."""
    whole = waveform[:, :samples]
    if not np.isfinite(whole).all():
        whole = np.nan_to_num(whole, posinf=1.0, neginf=-1.0)
    missing = samples - whole.shape[1]
    return np.pad(whole, ((0, 0), (0, missing))) if missing else whole
