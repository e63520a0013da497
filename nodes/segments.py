"""The segments of a mix: where they lie, and how each is rendered from the files of clips.

    clip k       |── opening ──|──────── body ────────|── tail ──|
    clip k+1                                          |─ opening ─|──── body …
    segments …  seam k-1       body k                 seam k      body k+1 …

A body is a slice of its clip's file, so that only seams are new audio. Segments are named by
what they are made from: one that is there is never rendered again.
"""

import asyncio
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from audiostory_core.audio.crossfade import overlap_samples
from audiostory_core.audio.loudness import measure_segment, measure_slice, measure_waveform
from audiostory_core.audio.mixdown import MixSegment
from audiostory_core.audio.pcm import Waveform, au_bytes
from audiostory_core.audio.rendering import Clip, RenderedSeam, render_seam
from audiostory_core.audio.seams import measure_seam
from audiostory_core.errors import UnreadableAudio
from audiostory_core.story.plan import samples_of
from nodes.clip_request import canonical
from nodes.services import Services
from storage import mixes

Values = dict[str, Any]  # columns of a segment
Read = Mapping[str, Waveform]  # what files hold, of those that need not be read


@dataclass(frozen=True)
class Piece:
    """A segment to be: a body, or the seam before it."""

    key: str
    file: str
    offset: int
    samples: int
    left: tuple[str, int] | None = None  # of a seam: the file that ends, and where its tail begins


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
            yield _seam(files[index - 1], lengths[index - 1], file, overlap)
        yield _body(file, overlap, length)


def lay_out_around(
    place: int, files: Sequence[str | None], lengths: Sequence[int], tail: int
) -> Iterator[Piece]:
    """Yield those pieces of a mix that are made from one clip, in order.

    Args:
        place: of the clip's scene among those given, which are its neighbors and it.
        files: the clip of each scene; None where it is not made yet.
        lengths: see `lay_out`.
        tail: see `lay_out`.
    """
    for at in range(place, min(place + 2, len(files))):
        left, file = (files[at - 1] if at else None), files[at]
        overlap = overlap_samples(tail, lengths[at - 1], lengths[at]) if at else 0
        if overlap and left is not None and file is not None:
            yield _seam(left, lengths[at - 1], file, overlap)
        if at == place and file is not None:
            yield _body(file, overlap, lengths[at])


async def render_around(
    clip_key: str, file: str, waveform: Waveform, services: Services
) -> list[tuple[str, Values]]:
    """Render what a clip just made adds to the mixes of the runs that wait for it.

    That is its body, and its seams to neighbors whose clips are made. What is lacking all the
    same, for instance because two neighbors were finished at one moment, the step stitch renders.

    Args:
        clip_key: of the clip.
        file: in which it is stored.
        waveform: [2, N] what that file holds.
        services: where the runs and the other clips are.

    Returns:
        Key and columns of each segment.
    """
    pieces: dict[str, Piece] = {}
    async with services.database.read() as session:
        for scenes, scene_id, tail_s in await mixes.list_waiting(session, clip_key):
            place = scenes.index(scene_id) if scene_id in scenes else None
            if place is None:
                continue
            around = scenes[max(place - 1, 0) : place + 2]
            heard = await mixes.list_heard(session, around)
            heard[scene_id] = (heard[scene_id][0], file)
            lengths, files = zip(*(heard[near] for near in around), strict=True)
            tail = samples_of(tail_s)
            for piece in lay_out_around(around.index(scene_id), files, lengths, tail):
                pieces[piece.key] = piece
    return await asyncio.to_thread(
        _render_readable, list(pieces.values()), services, {file: waveform}
    )


def render(piece: Piece, services: Services, read: Read | None = None) -> Values:
    """Return the columns of a segment; a seam's file is then in place.

    Args:
        piece: the segment.
        services: where its clips are.
        read: clips whose files need not be read.

    Raises:
        UnreadableAudio: if the file of a clip is missing or damaged.
    """
    clip = _clip(piece.file, services, read)
    if piece.left is not None:
        left_file, left_end = piece.left
        left = _clip(left_file, services, read)
        return _seam_values(render_seam(left, left_end, clip, piece.samples), services)
    if isinstance(clip, Path):
        loudness = measure_segment(MixSegment(clip, piece.offset, piece.samples))
    else:
        loudness = measure_slice(clip, piece.offset, piece.samples)
    return {
        "file": piece.file,
        "offset": piece.offset,
        "samples": piece.samples,
        "loudness": loudness.as_bytes(),
        "seam": None,
    }


def _render_readable(
    pieces: Sequence[Piece], services: Services, read: Read
) -> list[tuple[str, Values]]:
    rendered = []
    for piece in pieces:
        try:
            rendered.append((piece.key, render(piece, services, read)))
        except UnreadableAudio:  # a neighbor's; `stitch` has it made again
            continue
    return rendered


def _clip(file: str, services: Services, read: Read | None) -> Clip:
    return services.audio.path(file) if read is None or file not in read else read[file]


def _seam_values(seam: RenderedSeam, services: Services) -> Values:
    loudness = measure_waveform(seam.waveform, seam.before, seam.after)
    measures = measure_seam(seam.left, seam.right, seam.waveform, seam.before, seam.after)
    return {
        "file": services.audio.add(".au", au_bytes(seam.waveform)),
        "offset": 0,
        "samples": seam.waveform.shape[1],
        "loudness": loudness.as_bytes(),
        "seam": measures.as_dict(),
    }


def _body(file: str, overlap: int, length: int) -> Piece:
    return Piece(_key("body", file, overlap, length), file, overlap, length - overlap)


def _seam(left_file: str, left_end: int, file: str, overlap: int) -> Piece:
    key = _key("seam", left_file, left_end, file, overlap)
    return Piece(key, file, 0, overlap, (left_file, left_end))


def _key(*made_from: str | int) -> str:
    return hashlib.sha256(canonical({"made_from": made_from}).encode()).hexdigest()
