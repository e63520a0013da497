"""Whether a change is heard: what the author changed of a scene, against what its clips measure.

Only what a meter can tell is judged: louder and quieter, and sounds that were to go.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

JUST_HEARD_DB = 0.5  # where every layer of a scene is turned
UNHEARD_DB = 0.1  # by which a clip may move the other way where one of several is turned
_SHAPE = frozenset(
    ("gain_db", "pan", "distance", "start_s", "fade_in_s", "fade_out_s", "count", "pace", "scenes",
     "pause_before_s", "manner", "speaker")
)  # fmt: skip


@dataclass(frozen=True)
class MadeClip:
    """A finished clip: what it was made from, and what is known of it."""

    request: Mapping[str, Any]
    measures: Mapping[str, Any]
    matched: Sequence[str]  # what its engine says that it made


def unmet(before: MadeClip, after: MadeClip) -> list[str]:
    """Return a sentence for each effect that a change of the layers should have had and has not.

    Args:
        before: the clip that was heard.
        after: the one that takes its place.
    """
    return [*_loudness(before, after), *_removal(before, after)]


def _loudness(before: MadeClip, after: MadeClip) -> list[str]:
    was, now = before.measures.get("loudness_lufs"), after.measures.get("loudness_lufs")
    turns = _turns(before.request["layers"], after.request["layers"])
    if was is None or now is None or not turns:
        return []
    signs = {turn for turn in turns if turn}
    if len(signs) != 1 or before.request["samples"] != after.request["samples"]:
        return []
    (sign,) = signs
    needed_db = JUST_HEARD_DB if all(turns) else -UNHEARD_DB
    if sign * (now - was) >= needed_db:
        return []
    word = "louder" if sign > 0 else "quieter"
    return [f"it was to be {word}, and by the meter it is not: {was:.1f} to {now:.1f} LUFS"]


def _turns(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return for each layer whether it was made louder (1), quieter (-1) or neither (0).

    Empty if the layers are not the same ones, or anything else of them changed.
    """
    if len(before) != len(after):
        return []
    turns: list[int] = []
    for old, new in zip(before, after, strict=True):
        changed = {name for name in _SHAPE if old.get(name) != new.get(name)}
        if not changed <= {"gain_db", "distance"} or old["kind"] != new["kind"]:
            return []
        gain_db = (new.get("gain_db") or 0.0) - (old.get("gain_db") or 0.0)
        nearer = (old.get("distance") or 0.0) - (new.get("distance") or 0.0)
        if gain_db * nearer < 0:
            return []
        turns.append((gain_db + nearer > 0) - (gain_db + nearer < 0))
    return turns


def _removal(before: MadeClip, after: MadeClip) -> list[str]:
    texts = [
        Counter(layer.get("text") for layer in clip.request["layers"] if "text" in layer)
        for clip in (before, after)
    ]
    gone = texts[0] - texts[1]
    if not gone or texts[1] - texts[0] or not before.matched:
        return []
    if Counter(before.matched) - Counter(after.matched):
        return []
    named = ", ".join(f"“{text}”" for text in gone)
    return [f"{named} was to go, and is still made: {', '.join(after.matched)}"]
