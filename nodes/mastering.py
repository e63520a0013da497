"""The mastering of a mix: chosen for a revision of its own, or kept from the mix it revises."""

import asyncio
import math
from collections.abc import Sequence

from audiostory_core.audio.limiter import TARGET_DBTP
from audiostory_core.audio.loudness import SegmentLoudness
from audiostory_core.audio.mastering import choose_master_gain
from audiostory_core.audio.mixdown import MixSegment
from nodes.services import Services
from storage import clips
from storage import models as rows
from storage.models import Json


async def choose_for_revision(
    ordered: Sequence[rows.SegmentRow], revision: int, services: Services
) -> Json:
    """Choose the mastering of a mix that is a revision's own."""
    files = sorted({row.file for row in ordered if row.seam is None})
    async with services.database.read() as session:
        may_raise = await clips.is_any_audible(session, files)
    return await asyncio.to_thread(_choose, ordered, revision, services, may_raise=may_raise)


def _choose(
    ordered: Sequence[rows.SegmentRow], revision: int, services: Services, *, may_raise: bool
) -> Json:
    segments = [
        MixSegment(services.audio.path(row.file), row.offset, row.samples) for row in ordered
    ]
    loudness = [SegmentLoudness.from_bytes(row.samples, row.loudness) for row in ordered]
    mastering, report = choose_master_gain(segments, loudness, may_raise=may_raise)
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
