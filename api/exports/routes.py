"""Clips and mixes: PCM-24 WAV and FLAC, any byte range of them."""

import asyncio
import hashlib
import re
import time
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import JSONResponse
from sqlalchemy.ext.asyncio import AsyncSession

from api.exports.bodies import file_body, wav_body
from api.exports.media_type import AudioKind, choose_kind
from api.exports.service import find_file, open_mix
from api.http.byte_range import respond
from api.http.deps import AppState, AppStateDep
from api.maintenance.repair import read_mended
from api.revisions.queries import view_takes
from api.revisions.schemas import TakeView
from api.store import OpenStore
from audiostory_core.audio.export import export
from audiostory_core.audio.export_request import ExportRequest
from audiostory_core.audio.mixdown import MasterGain, Mixdown, MixSegment
from audiostory_core.audio.pcm import SampleFormat
from audiostory_core.audio.stems import StemSum
from audiostory_core.errors import BadInput, UnreadableAudio
from audiostory_core.stem import Stem
from audiostory_core.story.changes import stem_of_order
from storage import clips, revisions, stories
from storage.audio_files import AudioFiles
from storage.errors import NotFound, StoreUnusable

router = APIRouter(prefix="/stories", tags=["audio"], default_response_class=Response)
KEPT_EXPORTS = 16
STALE_S = 60.0  # before a use is noted again: a file that was touched is read whole once more
CLIP_NAME = re.compile(r"([1-9]\d{0,6})(?:\.(\w+))?", re.ASCII)
CONTENT: dict[str, Any] = {kind.media_type: {} for kind in AudioKind}
AUDIO: dict[int | str, dict[str, Any]] = {
    200: {"description": "The whole file", "content": CONTENT},
    206: {"description": "The requested range", "content": CONTENT},
    304: {"description": "The client's copy is current"},
}
Accept = Annotated[str, Header(description="Which of audio/wav and audio/flac; WAV if both.")]
Place = Annotated[int, PathParameter(ge=1, le=1_000_000, description="Counts from 1.")]
Index = Annotated[str, PathParameter(description="Counts from 1, perhaps with .wav or .flac.")]
StemOfMix = Annotated[
    Stem | None, Query(description="Only what this stem adds to the mix, before the master gain.")
]
StemOfScene = Annotated[
    Stem | None, Query(description="Which clip, where the sub-event is heard as several.")
]
Suffix = Annotated[str, PathParameter(json_schema_extra={"enum": list(AudioKind)})]


@router.get("/{story_id}/mix", responses=AUDIO, summary="Get the mix")
@router.head("/{story_id}/mix", include_in_schema=False)
async def get_mix(
    story_id: str,
    request: Request,
    state: AppStateDep,
    accept: Accept = "*/*",
    stem: StemOfMix = None,
) -> Response:
    """Return the mix as WAV, or as FLAC where Accept prefers it; 404 until it is made.

    Or one stem of it, with its gains and ducking and before the master gain: the sum of the stems
    is the mix before that gain. A stem is a WAV of 32-bit floats, for it may exceed full scale.
    """
    return await _mix(story_id, choose_kind(accept), request, state, stem)


@router.get("/{story_id}/mix.{suffix}", responses=AUDIO, summary="Get the mix in a format")
@router.head("/{story_id}/mix.{suffix}", include_in_schema=False)
async def get_mix_file(
    story_id: str,
    suffix: Suffix,
    request: Request,
    state: AppStateDep,
    stem: StemOfMix = None,
) -> Response:
    """Return the mix in the format its suffix names: `mix.wav` or `mix.flac`."""
    return await _mix(story_id, _known(suffix), request, state, stem)


@router.get("/{story_id}/clips/{index}", responses=AUDIO, summary="Get a clip")
@router.head("/{story_id}/clips/{index}", include_in_schema=False)
async def get_clip(
    story_id: str,
    index: Index,
    request: Request,
    state: AppStateDep,
    accept: Accept = "*/*",
    stem: StemOfScene = None,
) -> Response:
    """Return the clip of a sub-event, its tail included; 404 until it is made.

    A clip is as the engine made it, before the master gain. Where a sub-event is heard as several,
    `stem` names one of them.
    """
    match = CLIP_NAME.fullmatch(index)
    if match is None:
        raise NotFound(f"sub-event of story {story_id[:20]}", index)
    kind = _known(match[2]) if match[2] else choose_kind(accept)
    async with state.store.database.read() as session:
        path = await _find_clip(session, state.store.audio, story_id, int(match[1]), stem)
    of_stem = f"-{stem}" if stem else ""
    etag, name = f'"{path.stem}-{kind}"', f"{story_id}-{match[1]}{of_stem}.{kind}"
    if kind is AudioKind.FLAC:
        await asyncio.to_thread(_check, path, state.store.audio)
        return await respond(request, file_body(path, kind, etag, name))
    segment = await asyncio.to_thread(MixSegment.whole, path)
    clip = Mixdown([segment], is_intact=state.store.audio.is_intact)
    return await respond(request, wav_body(clip, etag, name))


@router.get(
    "/{story_id}/sub-events/{index}/takes", response_class=JSONResponse, summary="List takes"
)
async def get_takes(story_id: str, index: Place, state: AppStateDep) -> list[TakeView]:
    """List every clip a sub-event ever had, oldest first, with its recipe."""
    async with state.store.database.read() as session:
        _, listed = await view_takes(session, story_id, index)
    return listed


@router.get("/{story_id}/sub-events/{index}/takes/{take}", responses=AUDIO, summary="Get a take")
@router.head("/{story_id}/sub-events/{index}/takes/{take}", include_in_schema=False)
async def get_take(
    story_id: str,
    index: Place,
    take: Place,
    request: Request,
    state: AppStateDep,
    matched: bool = True,
) -> Response:
    """Return a take as WAV, at the loudness of the other takes unless `matched` is false."""
    async with state.store.database.read() as session:
        _, listed = await view_takes(session, story_id, index)
        view = next((view for view in listed if view.take == take), None)
        made = await clips.list_by_key(session, [view.clip] if view else [])
    file = next((clip.file for clip in made.values()), None)
    if view is None or file is None:
        raise NotFound(f"take of story {story_id} at sub-event {index}", take)
    gain_db = view.matched_gain_db if matched else 0.0
    segment = await asyncio.to_thread(MixSegment.whole, state.store.audio.path(file))
    mix = Mixdown([segment], MasterGain(gain_db, limiting=False), state.store.audio.is_intact)
    etag = f'"{view.clip[:32]}-{gain_db:.3f}"'
    return await respond(request, wav_body(mix, etag, f"{story_id}-{index}-take-{take}.wav"))


async def _mix(
    story_id: str, kind: AudioKind, request: Request, state: AppState, stem: Stem | None
) -> Response:
    """Answer with the mix; a damaged seam that is met before the answer begins is mended first."""
    return await read_mended(
        state.store, lambda: _answer_with_mix(story_id, kind, request, state, stem)
    )


async def _answer_with_mix(
    story_id: str, kind: AudioKind, request: Request, state: AppState, stem: Stem | None
) -> Response:
    async with state.store.database.read() as session:
        mix = await open_mix(session, state.store.audio, story_id, stem)
    parts = [f"{part.path.name}:{part.offset}:{part.samples}" for part in mix.segments]
    balanced = isinstance(mix.source, StemSum) and mix.source.balance.as_json()
    made_from = f"{parts}{mix.mastering}" + (f"{stem}{balanced}" if balanced else "")
    digest = hashlib.sha256(made_from.encode()).hexdigest()
    of_stem = f"-{stem}" if stem else ""
    etag, name = f'"{digest[:32]}-{kind}"', f"{story_id}{of_stem}.{kind}"
    if stem is not None and kind is not AudioKind.WAV:
        problem = f"is not to be had as {kind}, which ends at full scale"
        raise BadInput("stem", stem.value, problem, "Ask for mix.wav, of 32-bit floats.")
    if kind is AudioKind.WAV:
        form = SampleFormat.PCM_24 if stem is None else SampleFormat.FLOAT_32
        return await respond(request, wav_body(mix, etag, name, form))
    key = (await asyncio.to_thread(ExportRequest.of, mix, kind, None)).key
    path = await find_file(state.store, story_id, key)
    if path is None:
        async with state.exporting:
            path = await asyncio.to_thread(_export_once, mix, state.store, digest)
    return await respond(request, file_body(path, kind, etag, name))


def _export_once(mix: Mixdown, store: OpenStore, digest: str) -> Path:
    """Return the FLAC file of a mix, kept under what it is made from and what it is.

    Raises:
        UnreadableAudio: if a file that it is made from is damaged; nothing is kept then.
    """
    try:
        store.exports.mkdir(parents=True, exist_ok=True)
        kept = _find_export(store, digest) or _make_export(mix, store, digest)
        if time.time() - kept.stat().st_mtime > STALE_S:
            kept.touch()
    except (OSError, BadInput) as error:
        raise StoreUnusable(
            f"{store.exports} cannot be written. Free some space or fix its permissions, "
            "or ask for WAV, which needs no file."
        ) from error
    newest = sorted(store.exports.glob("*.flac"), key=_touched, reverse=True)
    for stale in newest[KEPT_EXPORTS:]:
        stale.unlink(missing_ok=True)
    return kept


def _find_export(store: OpenStore, digest: str) -> Path | None:
    for path in store.exports.glob(f"{digest}-*.flac"):
        if store.audio.is_intact(path):
            return path
        path.unlink(missing_ok=True)
    return None


def _make_export(mix: Mixdown, store: OpenStore, digest: str) -> Path:
    made = store.exports / f"{digest}.flac"
    with mix:
        export(mix, made)
    for part in mix.segments:  # a file may have been damaged after it was opened
        if not store.audio.is_intact(part.path):
            made.unlink()
            raise UnreadableAudio(part.path, "was damaged while it was read")
    with made.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    return made.replace(store.exports / f"{digest}-{content}.flac")


def _touched(path: Path) -> float:
    return path.stat().st_mtime if path.exists() else 0.0


def _check(path: Path, audio: AudioFiles) -> None:
    if not audio.is_intact(path):
        raise UnreadableAudio(path, "is missing or damaged")


async def _find_clip(
    session: AsyncSession, audio: AudioFiles, story_id: str, index: int, stem: Stem | None
) -> Path:
    _, _, revision = await stories.load(session, story_id)
    if revision is None or index > len(revision.scenes):
        raise NotFound(f"sub-event of story {story_id}", index)
    scene_id = revision.scenes[index - 1]
    stems = (await revisions.list_stems(session, [scene_id]))[scene_id]
    heard = stems[stem_of_order(index, stem, list(stems))]
    keys = [heard.clip_key] if heard.clip_key else []
    made = await clips.list_by_key(session, keys)
    file = next((clip.file for clip in made.values()), None)
    if file is None:
        raise NotFound(f"clip of story {story_id} at sub-event", index)
    return audio.path(file)


def _known(suffix: str) -> AudioKind:
    try:
        return AudioKind(suffix)
    except ValueError:
        raise NotFound("audio format", suffix) from None
