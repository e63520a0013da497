"""The mastering of a mix: chosen for a revision of its own, or kept from the mix it revises."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audiostory_core.audio.limiter import TARGET_DBTP
from audiostory_core.audio.loudness import SegmentLoudness
from audiostory_core.audio.mastering import choose_master_gain
from audiostory_core.audio.stems import open_source
from nodes.services import Services
from storage import clips, mixes
from storage import models as rows
from storage.models import Json


@dataclass(frozen=True)
class NewMix:
    """What a mix is made of.

    Args:
        chains: ids of segments by stem; the first chain is of all that is heard.
        balance: of the stems, where there are several.
        files: of its clips.
    """

    chains: Mapping[str, Sequence[int]]
    balance: Json | None
    files: Sequence[str]


async def choose_for_revision(content: NewMix, revision: int, services: Services) -> Json:
    """Choose the mastering of a mix that is a revision's own."""
    async with services.database.read() as session:
        may_raise = await clips.is_any_audible(session, sorted(set(content.files)))
        named = list(dict.fromkeys(at for chain in content.chains.values() for at in chain))
        by_id = {row.id: row for row in await mixes.list_some(session, named)}
    chains = {name: [by_id[at] for at in chain] for name, chain in content.chains.items()}
    return await asyncio.to_thread(
        _choose, chains, content.balance, revision, services, may_raise=may_raise
    )


def _choose(
    chains: Mapping[str, Sequence[rows.SegmentRow]],
    balance: Json | None,
    revision: int,
    services: Services,
    *,
    may_raise: bool,
) -> Json:
    heard = next(iter(chains.values()))
    loudness = [SegmentLoudness.from_bytes(row.samples, row.loudness) for row in heard]
    places = {
        name: [
            (
                None if row.file is None else services.audio.path(row.file),
                row.offset,
                row.samples,
            )
            for row in chain
        ]
        for name, chain in chains.items()
    }
    source = open_source(places, balance)
    mastering, report = choose_master_gain(source, loudness, may_raise=may_raise)
    return {"limiting": mastering.limiting, "of_revision": revision} | report.as_dict()


def keep_master_gain(mastering: Json, true_peak: float) -> Json:
    """Return another mix's mastering for one that revises it.

    Args:
        mastering: of the mix that is revised.
        true_peak: linear, of what is new; the limiter acts if that would be too loud.
    """
    over_db = 20 * math.log10(max(true_peak, 1e-9)) + mastering["gain_db"] - TARGET_DBTP
    reduction_db = max(mastering["reduction_db"], over_db, 0.0)
    return mastering | {
        "limiting": bool(mastering["limiting"]) or over_db > 0,
        "reduction_db": reduction_db,
        "loudness_lufs": None,
        "true_peak_dbtp": None,
        "reached": False,
        "reason": f"heard under the gain of revision {mastering['of_revision']} until accepted",
    }
