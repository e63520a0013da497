"""stitch: clips become the segments of a mix, and the mix gets its master gain.

Most segments are there: the job of a clip renders those around it, see segments.py.
"""

import asyncio
from collections.abc import Iterable, Sequence

from audiostory_core.audio.loudness import SegmentLoudness
from audiostory_core.errors import UnreadableAudio
from audiostory_core.stem import Stem
from audiostory_core.story.mix import MixSettings
from nodes.errors import RunStopped
from nodes.mastering import NewMix, choose_for_revision, keep_master_gain
from nodes.segments import (
    Lacking,
    Values,
    balance_of,
    lay_out,
    mix_settings,
    render,
    stems_in,
)
from nodes.services import Services
from nodes.state import StateUpdate, StoryState
from nodes.waits import load_run, wait_for
from storage import clips, mixes, revisions
from storage import models as rows
from storage.mixes import SUM, Heard
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
        scenes = await mixes.list_heard(session, revision.scenes)
        revised = await revisions.find_revised_mix(session, revision)
        near = made or revised
        known = await mixes.list_segment_files(session, near) if near else {}
    files = [file or "" for scene in scenes for file in scene.files.values()]
    named = {*files, *(file for _, file in known.values() if file is not None)}
    look = services.audio.find_damaged if made else services.audio.find_missing
    bad = await asyncio.to_thread(look, named)
    lost = {file: bad[file] for file in files if file in bad}
    if lost:
        return lost
    chains, balance = _chains(scenes, mix_settings(revision), planned.tail_samples)
    needed = {lacking.piece.key: lacking for chain in chains.values() for lacking in chain}
    fresh = [key for key in needed if key not in known or known[key][1] in bad]
    async with services.database.read() as session:
        found = await mixes.find_segments(session, fresh)
    rendered = {
        key: row
        for key, row in found.items()
        if row.file is None or (row.file not in bad and services.audio.path(row.file).exists())
    }
    missing = [needed[key] for key in fresh if key not in rendered]
    read = {file for key in fresh for file in needed[key].files}
    lost = await asyncio.to_thread(services.audio.find_damaged, read)
    if lost:
        return lost
    for at in range(0, len(missing), CHUNK):
        if services.is_stopping:
            raise RunStopped
        chunk = missing[at : at + CHUNK]
        values = await asyncio.to_thread(_render_all, chunk, services)
        async with services.database.write() as session:
            for lacking, row in zip(chunk, values, strict=True):
                key = lacking.piece.key
                rendered[key] = await mixes.add_segment(session, key, **row)
    ids = {
        name: [
            rendered[key].id if key in rendered else known[key][0]
            for key in (lacking.piece.key for lacking in chain)
        ]
        for name, chain in chains.items()
    }
    if made is not None and mixes.chains_of(made) == ids and made.balance == balance:
        return {}
    heard = set(next(iter(ids.values())))
    new = [row for row in rendered.values() if row.id in heard]
    content = NewMix(ids, balance, files)
    mastering = await _mastering(revision, revised, new, content, services)
    async with services.database.write() as session:
        if made is not None:  # of clips that another version of their engine has made again
            await mixes.remove(session, revision)
        await mixes.add(session, revision, ids, balance, mastering)
    return {}


def _chains(
    scenes: Sequence[Heard], settings: MixSettings, tail: int
) -> tuple[dict[str, list[Lacking]], Json | None]:
    """Return the segments of each chain in order, the sum first, and the balance of the stems."""
    stems = stems_in(scenes)
    cells = list(lay_out(scenes, stems, tail))
    chains = {stem.value: [Lacking(cell.pieces[stem]) for cell in cells] for stem in stems}
    if stems == (Stem.COMPOSITE,):
        return chains, None
    balance = balance_of(scenes, settings, tail)
    sums = [Lacking(cell.sum_of(balance), cell, balance) for cell in cells]
    return {SUM: sums, **chains}, balance.as_json()


def _set_aside(files: Iterable[str], services: Services) -> None:
    for file in files:
        services.audio.set_aside(file)


async def _mastering(
    revision: rows.Revision,
    revised: rows.Mix | None,
    fresh: Sequence[rows.SegmentRow],
    content: NewMix,
    services: Services,
) -> Json:
    """Return the gain of the mix that is revised, so that only what changed sounds different."""
    if revised is None:
        return await choose_for_revision(content, revision.number, services)
    peaks = [SegmentLoudness.from_bytes(row.samples, row.loudness).true_peak for row in fresh]
    return keep_master_gain(revised.mastering, max(peaks, default=0.0))


def _render_all(missing: Sequence[Lacking], services: Services) -> list[Values]:
    return [render(lacking, services) for lacking in missing]
