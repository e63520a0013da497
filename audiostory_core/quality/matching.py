"""The loudness at which takes of a scene are compared. Needs the measures of clips, not their audio."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

TAKE_LUFS = -16.0  # takes are compared as loud as master gains are made
TAKE_PEAK_DBTP = -1.0


def matched_loudness(measures: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the loudness in LUFS at which takes are compared; None if none has one.

    It is the target of master gains, or as near to it as leaves every take's true peak below
    `TAKE_PEAK_DBTP`.

    Args:
        measures: `Measures` of each take's clip, as they are stored; empty where there are none.
    """
    reachable = [TAKE_LUFS]
    for clip in measures:
        if clip.get("loudness_lufs") is not None and clip["true_peak"] > 0:
            peak_dbtp = 20 * math.log10(clip["true_peak"])
            reachable.append(clip["loudness_lufs"] + TAKE_PEAK_DBTP - peak_dbtp)
    return min(reachable) if len(reachable) > 1 else None
