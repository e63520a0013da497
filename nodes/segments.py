"""The segments of a mix: where they lie, and how each is rendered from the files of clips.

    clip k       |── opening ──|──────── body ────────|── tail ──|
    clip k+1                                          |─ opening ─|──── body …
    cells …      seam k-1       body k                 seam k      body k+1 …

All stems are cut at the same places into cells. A body is a slice of its clip's file, so that only
seams are new audio; dialogue is cut, but never faded, and what a stem lacks is silence. Where there
are several stems, a cell has a segment more: the figures of their sum. Segments are named by what
they are made from: one that is there is never rendered again.
"""

import asyncio
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from audiostory_core.audio.balance import Balance, gain_points, merged
from audiostory_core.audio.crossfade import overlap_samples
from audiostory_core.audio.figures import Slice, measure_sum, measured_span, sum_seams
from audiostory_core.audio.loudness import measure_segment, measure_slice, measure_waveform
from audiostory_core.audio.mixdown import MixSegment
from audiostory_core.audio.pcm import Waveform, au_bytes
from audiostory_core.audio.rendering import (
    Clip,
    RenderedSeam,
    render_end,
    render_opening,
    render_seam,
)
from audiostory_core.audio.seams import measure_seam
from audiostory_core.errors import UnreadableAudio
from audiostory_core.stem import Stem
from audiostory_core.story.mix import MixSettings
from audiostory_core.story.plan import samples_of
from nodes.clip_request import canonical
from nodes.services import Services
from storage import mixes
from storage.mixes import Heard
from storage.models import Revision

Values = dict[str, Any]  # columns of a segment
Read = Mapping[str, Waveform]  # what files hold, of those that need not be read
IN_ORDER = tuple(Stem)
NEAR = 2  # scenes to either side that what a clip adds can depend on
MAX_PIECES = 1 << 14  # kept in memory: a revision has nearly all of those of the one before


@dataclass(frozen=True)
class Piece:
    """A segment to be: of one stem a body, the seam before it, or silence."""

    key: str
    file: str | None
    offset: int
    samples: int
    left: tuple[str, int] | None = None  # of a seam: the file that ends, and where its tail begins
    is_measured: bool = True  # False: only the sum that it is heard in has figures

    @property
    def files(self) -> tuple[str, ...]:
        """What it is made from."""
        return tuple(file for file in (self.file, self.left and self.left[0]) if file)


@dataclass(frozen=True)
class Cell:
    """What is heard between two cuts.

    Attributes:
        places: of the scenes that are heard in it, one of a body and two of a seam.
        at: first sample within the story.
        before: of a seam, for each stem the clip that ends there and the sample it ends at.
        after: of a seam, for each stem the clip that begins there.
    """

    places: tuple[int, ...]
    at: int
    samples: int
    pieces: Mapping[Stem, Piece]
    before: Mapping[Stem, tuple[str, int]] = field(default_factory=dict)
    after: Mapping[Stem, str] = field(default_factory=dict)

    @property
    def is_seam(self) -> bool:
        """Whether two scenes are heard in it."""
        return len(self.places) > 1

    def sum_of(self, balance: Balance) -> Piece:
        """Return the segment of the sum, named by all that its figures depend on."""
        sounding = {stem: piece.key for stem, piece in self.pieces.items() if piece.files}
        beside = {stem: [self.before.get(stem), self.after.get(stem)] for stem in sounding}
        around = balance.around(*measured_span(self.at, self.samples), sounding)
        return Piece(_key("sum", self.samples, sounding, beside, around), None, 0, self.samples)


@dataclass(frozen=True)
class Lacking:
    """A segment that is to be rendered, and of a sum the cell that it is in."""

    piece: Piece
    cell: Cell | None = None
    balance: Balance | None = None

    @property
    def files(self) -> set[str]:
        """What is read for it."""
        if self.cell is None:
            return set(self.piece.files)
        pieces = self.cell.pieces.values()
        beside = {file for file, _ in self.cell.before.values()} | {*self.cell.after.values()}
        return {file for piece in pieces for file in piece.files} | beside


def stems_in(scenes: Sequence[Heard]) -> tuple[Stem, ...]:
    """Return the stems of a mix, in order."""
    names = {name for scene in scenes for name in scene.files}
    return tuple(stem for stem in IN_ORDER if stem in names)


def lay_out(scenes: Sequence[Heard], stems: Sequence[Stem], tail: int) -> Iterator[Cell]:
    """Yield the cells of a mix in order; their samples add up to those of the scenes.

    Args:
        scenes: in order.
        stems: of the mix.
        tail: samples that every clip but the last was rendered beyond its scene.
    """
    at = 0
    for place, scene in enumerate(scenes):
        left = scenes[place - 1] if place else None
        overlap = overlap_samples(tail, left.samples, scene.samples) if left is not None else 0
        if left is not None and overlap:
            before = {
                stem: (file, left.samples) for stem in stems if (file := left.files.get(stem))
            }
            after = {stem: file for stem in stems if (file := scene.files.get(stem))}
            seams = {
                stem: _seam(stem, before.get(stem), after.get(stem), overlap) for stem in stems
            }
            yield Cell((place - 1, place), at, overlap, seams, before, after)
        rest = scene.samples - overlap
        bodies = {stem: _body(stem, scene.files.get(stem), overlap, rest) for stem in stems}
        yield Cell((place,), at + overlap, rest, bodies)
        at += scene.samples


def balance_of(scenes: Sequence[Heard], mix: MixSettings, tail: int) -> Balance:
    """Return the balance of a mix of stems.

    Args:
        scenes: in order.
        mix: of the story.
        tail: see `lay_out`.
    """
    starts, ramps, at = [], [], 0
    for place, scene in enumerate(scenes):
        starts.append(at)
        left = scenes[place - 1].samples if place else 0
        ramps.append(max(overlap_samples(tail, left, scene.samples), 1))
        at += scene.samples
    of_story = {str(stem): gain_db for stem, gain_db in mix.gain_db.items()}
    gains = {
        stem: gain_points(
            (start, ramp, of_story.get(stem, 0.0) + scene.gain_db.get(stem, 0.0))
            for start, ramp, scene in zip(starts, ramps, scenes, strict=True)
        )
        for stem in stems_in(scenes)
    }
    spoken = merged(
        (start + first, start + min(last, scene.samples))
        for start, scene in zip(starts, scenes, strict=True)
        for first, last in scene.spoken
        if first < scene.samples
    )
    return Balance(gains=gains, ducking=mix.ducking, spoken=spoken)


def mix_settings(revision: Revision) -> MixSettings:
    """Return how a revision's plan has its stems mixed."""
    return MixSettings.model_validate(revision.plan.get("mix") or {})


async def render_around(
    clip_key: str,
    file: str,
    waveform: Waveform,
    spoken: Sequence[Sequence[int]],
    services: Services,
) -> list[tuple[str, Values]]:
    """Render what a clip just made adds to the mixes of the runs that wait for it.

    That is its body, its seams to neighbors whose clips are made, and the figures of the sum where
    all stems are. What is lacking all the same, for instance because two neighbors were finished
    at one moment, the step stitch renders.

    Args:
        clip_key: of the clip.
        file: in which it is stored.
        waveform: [2, N] what that file holds.
        spoken: where somebody speaks in it, in samples, if it is dialogue.
        services: where the runs and the other clips are.

    Returns:
        Key and columns of each segment.
    """
    lacking: dict[str, Lacking] = {}
    async with services.database.read() as session:
        for revision, scene_id, stem, tail_s in await mixes.list_waiting(session, clip_key):
            if scene_id not in revision.scenes:
                continue
            place = revision.scenes.index(scene_id)
            first = max(place - NEAR, 0)
            scenes = await mixes.list_heard(session, revision.scenes[first : place + NEAR + 1])
            made = scenes[place - first]
            made.files[stem] = file
            if stem == Stem.DIALOGUE:
                made.spoken[:] = [list(interval) for interval in spoken]
            mix = mix_settings(revision)
            lacking |= lacking_around(scenes, place - first, Stem(stem), mix, samples_of(tail_s))
        known = await mixes.find_segments(session, list(lacking))
    missing = [way for key, way in lacking.items() if key not in known]
    needed = {name for way in missing for name in way.files}
    read = services.clips.find(sorted(needed)) | {file: waveform}
    return await asyncio.to_thread(_render_readable, missing, services, read)


def lacking_around(
    scenes: Sequence[Heard], place: int, stem: Stem, mix: MixSettings, tail: int
) -> dict[str, Lacking]:
    """Return what can be rendered, by key, now that a stem of a scene is made."""
    stems = stems_in(scenes)
    balance = balance_of(scenes, mix, tail)
    lacking: dict[str, Lacking] = {}
    for cell in lay_out(scenes, stems, tail):
        piece = cell.pieces[stem]
        if place in cell.places and _is_made(scenes, cell.places, [stem]):
            lacking[piece.key] = Lacking(piece)
        near = range(cell.places[0] - 1, cell.places[-1] + 2)
        is_heard = place in cell.places or (stem is Stem.DIALOGUE and place in near)
        beside = [at for at in near if 0 <= at < len(scenes)]
        if (
            stems != (Stem.COMPOSITE,)
            and is_heard
            and _is_made(scenes, cell.places, stems)
            and _is_made(scenes, beside, [Stem.DIALOGUE])
        ):
            total = cell.sum_of(balance)
            lacking[total.key] = Lacking(total, cell, balance)
    return lacking


def _is_made(scenes: Sequence[Heard], places: Sequence[int], stems: Sequence[Stem]) -> bool:
    """Tell whether the clips of these stems are there, as far as the scenes have them."""
    return all(scenes[at].files.get(stem, "") is not None for at in places for stem in stems)


def render(lacking: Lacking, services: Services, read: Read | None = None) -> Values:
    """Return the columns of a segment; a seam's file is then in place.

    Args:
        lacking: the segment.
        services: where its clips are.
        read: clips whose files need not be read.

    Raises:
        UnreadableAudio: if the file of a clip is missing or damaged.
    """
    if lacking.cell is not None and lacking.balance is not None:
        return _sum_values(lacking.cell, lacking.balance, services, read)
    piece = lacking.piece
    if piece.left is not None:
        seam = _rendered(piece.left, piece.file, piece.samples, services, read)
        return _seam_values(seam, services)
    loudness = b""
    if piece.is_measured and piece.file is not None:
        clip = _clip(piece.file, services, read)
        if isinstance(clip, Path):
            measured = measure_segment(MixSegment(clip, piece.offset, piece.samples))
        else:
            measured = measure_slice(clip, piece.offset, piece.samples)
        loudness = measured.as_bytes()
    return {
        "file": piece.file,
        "offset": piece.offset,
        "samples": piece.samples,
        "loudness": loudness,
        "seam": None,
    }


def _render_readable(
    missing: Sequence[Lacking], services: Services, read: Read
) -> list[tuple[str, Values]]:
    rendered = []
    for lacking in missing:
        try:
            rendered.append((lacking.piece.key, render(lacking, services, read)))
        except UnreadableAudio:  # a neighbor's; `stitch` has it made again
            continue
    return rendered


def _clip(file: str, services: Services, read: Read | None) -> Clip:
    return services.audio.path(file) if read is None or file not in read else read[file]


def _rendered(
    left: tuple[str, int], file: str | None, samples: int, services: Services, read: Read | None
) -> RenderedSeam:
    """Render the seam of a stem that is faded."""
    ends = _clip(left[0], services, read)
    if file is None:
        return render_end(ends, left[1], samples)
    return render_seam(ends, left[1], _clip(file, services, read), samples)


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


def _sum_values(cell: Cell, balance: Balance, services: Services, read: Read | None) -> Values:
    """Return the columns of a cell's sum: figures of what is heard, and no file."""
    heard: dict[Stem, Slice] = {}
    seams: dict[Stem, RenderedSeam] = {}
    for stem, piece in cell.pieces.items():
        if cell.is_seam and (stem in cell.before or stem in cell.after):
            seams[stem] = _seam_in_sum(cell, stem, piece, services, read)
            heard[stem] = seams[stem].in_place
        elif piece.file is not None:
            heard[stem] = (_clip(piece.file, services, read), piece.offset)
    loudness = measure_sum(heard, cell.samples, balance, cell.at)
    measures = None
    if seams:
        total = sum_seams(seams, balance, cell.at)
        sides = (total.left, total.right, total.waveform, total.before, total.after)
        measures = measure_seam(*sides).as_dict()
    return {
        "file": None,
        "offset": 0,
        "samples": cell.samples,
        "loudness": loudness.as_bytes(),
        "seam": measures,
    }


def _seam_in_sum(
    cell: Cell, stem: Stem, piece: Piece, services: Services, read: Read | None
) -> RenderedSeam:
    if piece.left is not None:
        return _rendered(piece.left, piece.file, cell.samples, services, read)
    ends, begins = cell.before.get(stem), cell.after.get(stem)
    return render_opening(
        None if ends is None else _clip(ends[0], services, read),
        0 if ends is None else ends[1],
        None if begins is None else _clip(begins, services, read),
        cell.samples,
    )


@lru_cache(MAX_PIECES)
def _body(stem: Stem, file: str | None, offset: int, samples: int) -> Piece:
    if file is None:
        return Piece(_key("silence", samples), None, 0, samples, is_measured=False)
    is_alone = stem is Stem.COMPOSITE  # perhaps in a mix that has no other chain
    key = _key("body" if is_alone else "part", file, offset, offset + samples)
    return Piece(key, file, offset, samples, is_measured=is_alone)


@lru_cache(MAX_PIECES)
def _seam(stem: Stem, before: tuple[str, int] | None, after: str | None, overlap: int) -> Piece:
    """Return what one stem has between two scenes: dialogue and what follows nothing begin at once."""
    if before is None or stem is Stem.DIALOGUE:
        return _body(stem, after, 0, overlap)
    file, end = before
    if after is None:
        return Piece(_key("end", file, end, overlap), None, 0, overlap, before)
    return Piece(_key("seam", file, end, after, overlap), after, 0, overlap, before)


def _key(*made_from: Any) -> str:
    return hashlib.sha256(canonical({"made_from": made_from}).encode()).hexdigest()
