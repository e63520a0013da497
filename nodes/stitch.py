"""stitch: clips become the segments of a mix, and the mix gets its programme gain.

    clip k       |── opening ──|──────── body ────────|── tail ──|
    clip k+1                                          |─ opening ─|──── body …
    segments …  seam k-1       body k                 seam k      body k+1 …

A body is a slice of its clip's file, so that only seams are new audio. Segments are named by
what they are made from: one that is there is never rendered again.
"""

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from audiostory_core.audio.crossfade import crossfade, overlap_samples
from audiostory_core.audio.loudness import SegmentLoudness, measure_segment, measure_waveform
from audiostory_core.audio.mixdown import Mixdown, Segment
from audiostory_core.audio.pcm import Waveform, au_bytes
from audiostory_core.audio.programme import choose_programme
from audiostory_core.audio.seams import measure_seam
from audiostory_core.errors import UnreadableAudio
from nodes.clip_request import canonical
from nodes.services import Services
from nodes.state import StateUpdate, StoryState
from nodes.synthesize import WAITS_FOR_CLIPS
from storage import clips, mixes, stories
from storage import models as rows

CHUNK = 32  # segments measured between two commits


@dataclass(frozen=True)
class Piece:
    """A segment to be: a body, or the seam before the scene at `index`."""

    key: str
    file: str
    offset: int
    samples: int
    left: tuple[str, int] | None = None  # of a seam: the file that ends, and where its tail begins


async def stitch(state: StoryState, services: Services) -> StateUpdate:
    """Render what is missing of the mix and store it; a finished mix is kept.

    If files of clips are missing or damaged, the step waits until these clips are made again.
    """
    try:
        lost = await _stitch(state, services)
    except UnreadableAudio as error:
        error.path.unlink(missing_ok=True)
        lost = [error.path.name]
    if lost:
        async with services.database.write() as session:
            await clips.make_again(session, lost)
    return {"waits_for": WAITS_FOR_CLIPS if lost else ""}


async def _stitch(state: StoryState, services: Services) -> list[str]:
    """Make the mix, or return the clips' files that are missing."""
    planned = await services.planned(state["revision_id"])
    async with services.database.read() as session:
        if await stories.find_mix(session, planned.revision_id) is not None:
            return []
        revision = await stories.get_revision(session, planned.revision_id)
        scenes = await stories.list_scenes(session, revision)
        keys = [scene.clip_key for scene in scenes if scene.clip_key is not None]
        made = await clips.list_by_key(session, keys)
    files = [made[key].file or "" for key in keys]
    lost = [file for file in files if not services.audio.path(file).exists()]
    if lost:
        return lost
    lengths = [scene.samples for scene in scenes]
    pieces = list(lay_out(files, lengths, planned.tail_samples))

    async with services.database.read() as session:
        known = await mixes.find_segments(session, [piece.key for piece in pieces])
    kept = {key for key, row in known.items() if services.audio.path(row.file).exists()}
    missing = [piece for piece in pieces if piece.key not in kept]
    for at in range(0, len(missing), CHUNK):
        chunk = missing[at : at + CHUNK]
        rendered = await asyncio.to_thread(_render_all, chunk, services)
        async with services.database.write() as session:
            for piece, values in zip(chunk, rendered, strict=True):
                known[piece.key] = await mixes.add_segment(session, piece.key, **values)

    ordered = [known[piece.key] for piece in pieces]
    programme = await asyncio.to_thread(_choose, ordered, services)
    async with services.database.write() as session:
        revision = await stories.get_revision(session, planned.revision_id)
        await mixes.add(session, revision, [segment.id for segment in ordered], programme)
    return []


def lay_out(files: Sequence[str], lengths: Sequence[int], tail: int) -> Iterator[Piece]:
    """Yield the pieces of a mix in order; their samples add up to the sum of `lengths`.

    Args:
        files: the clip of each scene.
        lengths: samples of each scene, tail excluded.
        tail: samples that every clip but the last was rendered beyond its scene.
    """
    overlaps = [0, *(overlap_samples(tail, left, right) for left, right in pairwise(lengths))]
    for index, (file, length, overlap) in enumerate(zip(files, lengths, overlaps, strict=True)):
        if overlap:
            left = (files[index - 1], lengths[index - 1])
            key = _key("seam", *left, file, overlap)
            yield Piece(key, file, 0, overlap, left)
        yield Piece(_key("body", file, overlap, length), file, overlap, length - overlap)


def _key(*made_from: str | int) -> str:
    return hashlib.sha256(canonical({"made_from": made_from}).encode()).hexdigest()


def _render_all(pieces: Sequence[Piece], services: Services) -> list[dict[str, Any]]:
    return [_render(piece, services) for piece in pieces]


def _render(piece: Piece, services: Services) -> dict[str, Any]:
    if piece.left is None:
        body = Segment(services.audio.path(piece.file), piece.offset, piece.samples)
        loudness = measure_segment(body)
        return {
            "file": piece.file,
            "offset": piece.offset,
            "samples": piece.samples,
            "loudness": loudness.as_bytes(),
            "seam": None,
        }
    return _render_seam(piece, *piece.left, services)


def _render_seam(piece: Piece, left_file: str, left_end: int, services: Services) -> dict[str, Any]:
    overlap = piece.samples
    before, left = _read(services, left_file, left_end, overlap)
    right, after = _read(services, piece.file, overlap, overlap)
    seam = crossfade(left, right)
    loudness = measure_waveform(seam, before, after)
    return {
        "file": services.audio.add(".au", au_bytes(seam)),
        "offset": 0,
        "samples": overlap,
        "loudness": loudness.as_bytes(),
        "seam": measure_seam(left, right, seam, before, after).as_dict(),
    }


def _read(services: Services, file: str, border: int, samples: int) -> tuple[Waveform, Waveform]:
    """Read up to `samples` of a clip before and after a border within it."""
    path = services.audio.path(file)
    start = max(border - samples, 0)
    with Mixdown([Segment(path, start, border - start + samples)]) as clip:
        return clip.read(0, border - start), clip.read(border - start, clip.samples)


def _choose(ordered: Sequence[rows.Segment], services: Services) -> dict[str, Any]:
    segments = [Segment(services.audio.path(row.file), row.offset, row.samples) for row in ordered]
    loudness = [SegmentLoudness.from_bytes(row.samples, row.loudness) for row in ordered]
    programme, report = choose_programme(segments, loudness)
    return {"limiting": programme.limiting} | report.as_dict()
