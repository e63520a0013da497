"""synthesize: the step waits for the clips; the job, run by any worker, makes them."""

import asyncio
import json
from collections.abc import Sequence

import numpy as np

from audiostory_core.audio.figures import measure
from audiostory_core.audio.pcm import Waveform, flac_bytes
from audiostory_core.engines.protocol import ClipRequest, ClipResult, Condition
from audiostory_core.errors import EngineFailed
from nodes.clip_request import build
from nodes.errors import StepFailed
from nodes.services import Services
from nodes.state import StateUpdate, StoryState
from storage import clips, stories
from storage.models import Clip, ClipState

WAITS_FOR_CLIPS = "clips"


async def synthesize(state: StoryState, services: Services) -> StateUpdate:
    """Go on when every clip of the run is made, else wait.

    Raises:
        StepFailed: if a clip could not be made in all its attempts.
    """
    async with services.database.read() as session:
        states = await clips.count_by_state(session, state["run_id"])
        if states.get(ClipState.QUEUED) or states.get(ClipState.CLAIMED):
            return {"waits_for": WAITS_FOR_CLIPS}
        if states.get(ClipState.FAILED):
            error = await clips.first_error(session, state["run_id"])
            raise StepFailed(f"{states[ClipState.FAILED]} clip(s) could not be made: {error}")
    return {"waits_for": ""}


async def make_clips(claimed: Sequence[Clip], services: Services) -> int:
    """Make claimed clips of one engine, measure them, and complete them one by one.

    Returns:
        How many were completed; those taken over by another worker are not counted.
    """
    engine = services.engine(claimed[0].engine)
    requests = [await _load_request(clip, services) for clip in claimed]
    try:
        results = await asyncio.to_thread(engine.synthesize, requests)
    except EngineFailed as error:
        async with services.database.write() as session:
            for clip in claimed:
                await clips.fail(session, clip, str(error))
        return 0
    completed = 0
    for clip, request, result in zip(claimed, requests, results, strict=True):
        completed += await _store(clip, request, result, services)
    return completed


async def _load_request(clip: Clip, services: Services) -> ClipRequest:
    condition_id = json.loads(clip.request)["condition"]
    async with services.database.read() as session:
        condition = await stories.get_condition(session, condition_id)
    return build(clip.request, Condition(condition.data))


async def _store(clip: Clip, request: ClipRequest, result: ClipResult, services: Services) -> bool:
    figures = await asyncio.to_thread(measure, result.waveform, request.samples)
    playable = make_playable(result.waveform, request.samples)
    encoded = await asyncio.to_thread(flac_bytes, playable)
    file = await asyncio.to_thread(services.audio.add, ".flac", encoded)
    report = {
        "matched": list(result.matched),
        "unmatched": list(result.unmatched),
        "warnings": list(result.warnings),
        "is_silence": result.is_silence,
    }
    async with services.database.write() as session:
        return await clips.complete(
            session, clip, file=file, figures=figures.as_dict(), report=report
        )


def make_playable(waveform: Waveform, samples: int) -> Waveform:
    """Return [2, samples] of finite numbers, so that a clip the check will refuse can be heard."""
    whole = np.nan_to_num(waveform[:, :samples], posinf=1.0, neginf=-1.0)
    return np.pad(whole, ((0, 0), (0, samples - whole.shape[1])))
