"""stitch: clips become the segments of a mix, and the mix gets its master gain.

Most segments are there: the job of a clip renders those around it, see segments.py.
"""

import asyncio
from collections.abc import Iterable, Sequence

from audiostory_core.audio.loudness import SegmentLoudness
from audiostory_core.errors import UnreadableAudio
from nodes.errors import RunStopped
from nodes.mastering import choose_for_revision, keep_master_gain
from nodes.segments import Piece, Values, lay_out, render
from nodes.services import Services
from nodes.state import StateUpdate, StoryState
from nodes.waits import load_run, wait_for
from storage import clips, mixes, revisions
from storage import models as rows
from storage.models import Json, Wait

CHUNK = 32  # segments measured between two commits


async def stitch(state: StoryState, services: Services) -> StateUpdate:
    """Render what is missing of the mix and store it; a finished mix is kept if it can be heard.

    If files of clips are missing or damaged, the step waits until these clips are made again.
    """
    try:
        lost = await _stitch(state, services)
    except UnreadableAudio as error:
        error.path.unlink(missing_ok=True)
        lost = {error.path.name: "unreadable"}
    if lost:
        await asyncio.to_thread(_set_aside, lost, services)
        async with services.database.write() as session:
            run = await load_run(session, state)
            await clips.make_again(session, run, lost)
    return wait_for(Wait.CLIPS if lost else None)


async def _stitch(state: StoryState, services: Services) -> dict[str, str]:
    """Make the mix, or return the clips' files that cannot be used and what is wrong with them."""
    planned = await services.planned(state["story_id"], state["revision_id"])
    async with services.database.read() as session:
        revision = await revisions.get(session, planned.revision_id)
        made = await revisions.find_mix(session, revision.id)
        heard = await revisions.list_clip_files(session, revision.scenes)
        revised = await revisions.find_revised_mix(session, revision)
        near = made or revised
        known = await mixes.list_segment_files(session, near) if near else {}
    files = [file for file, _ in heard]
    named = {*files, *(file for _, file in known.values())}
    look = services.audio.find_damaged if made else services.audio.find_missing
    bad = await asyncio.to_thread(look, named)
    lost = {file: bad[file] for file in files if file in bad}
    if lost:
        return lost
    pieces = list(lay_out(files, [length for _, length in heard], planned.tail_samples))
    fresh = [piece for piece in pieces if piece.key not in known or known[piece.key][1] in bad]
    async with services.database.read() as session:
        found = await mixes.find_segments(session, [piece.key for piece in fresh])
    rendered = {
        key: row
        for key, row in found.items()
        if row.file not in bad and services.audio.path(row.file).exists()
    }
    missing = [piece for piece in fresh if piece.key not in rendered]
    lost = await asyncio.to_thread(_find_damaged, fresh, services)
    if lost:
        return lost
    for at in range(0, len(missing), CHUNK):
        if services.is_stopping:
            raise RunStopped
        chunk = missing[at : at + CHUNK]
        values = await asyncio.to_thread(_render_all, chunk, services)
        async with services.database.write() as session:
            for piece, row in zip(chunk, values, strict=True):
                rendered[piece.key] = await mixes.add_segment(session, piece.key, **row)
    ids = [
        rendered[key].id if key in rendered else known[key][0] for key in (p.key for p in pieces)
    ]
    if made is not None and made.segments == ids:
        return {}
    mastering = await _mastering(revision, revised, list(rendered.values()), ids, services)
    async with services.database.write() as session:
        if made is not None:  # of clips that another version of their engine has made again
            await mixes.remove(session, revision)
        await mixes.add(session, revision, ids, mastering)
    return {}


def _set_aside(files: Iterable[str], services: Services) -> None:
    for file in files:
        services.audio.set_aside(file)


def _find_damaged(pieces: Sequence[Piece], services: Services) -> dict[str, str]:
    """Compare the files that are about to be read with their names, which are their hashes."""
    files = {piece.file for piece in pieces} | {piece.left[0] for piece in pieces if piece.left}
    return services.audio.find_damaged(files)


async def _mastering(
    revision: rows.Revision,
    revised: rows.Mix | None,
    fresh: Sequence[rows.SegmentRow],
    segment_ids: Sequence[int],
    services: Services,
) -> Json:
    """Return the gain of the mix that is revised, so that only what changed sounds different."""
    if revised is None:
        async with services.database.read() as session:
            ordered = await mixes.list_some(session, segment_ids)
        return await choose_for_revision(ordered, revision.number, services)
    peaks = [SegmentLoudness.from_bytes(row.samples, row.loudness).true_peak for row in fresh]
    return keep_master_gain(revised.mastering, max(peaks, default=0.0))


def _render_all(pieces: Sequence[Piece], services: Services) -> list[Values]:
    return [render(piece, services) for piece in pieces]
