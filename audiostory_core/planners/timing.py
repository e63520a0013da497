"""A story's time shared among the scenes that a language model wrote."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from audiostory_core.planners.clauses.timing import parts_of
from audiostory_core.story.lengths import spoken_s
from audiostory_core.story.plan import (
    LONGEST_STORY_S,
    SHORTEST_SUB_EVENT_S,
    Layer,
    SpeechLayer,
    SubEvent,
    seconds_of,
    whole_samples,
)
from audiostory_core.story.spans import layers_in_parts

_LEAST_MEANT_S = 1e-3


@dataclass(frozen=True)
class DraftScene:
    """A scene as a model wrote it."""

    caption: str
    duration_s: float | None  # None: not given
    tone: str = "neutral"
    layers: tuple[Layer, ...] = ()


def share_time(
    drafts: Sequence[DraftScene], total: int, longest_s: float
) -> tuple[list[SubEvent], list[str]]:
    """Share a total among scenes as the model meant it.

    Durations are scaled to the total; a scene whose length is not given is as long as the others
    on the average. What would be shorter than the shortest sub-event is joined to a neighbor,
    what is longer than a clip is split; speech is said in the first part.

    Args:
        drafts: one scene at least; a duration that cannot be meant counts as not given.
        total: samples at 44.1 kHz, of a story that may be.
        longest_s: the most of one sub-event, twice the shortest at least.

    Returns:
        Sub-events of `total` samples together, and what was changed, for the author.
    """
    meant_s = [_meant(draft.duration_s) for draft in drafts]
    known_s = [seconds for seconds in meant_s if seconds is not None]
    usual_s = math.fsum(known_s) / len(known_s) if known_s else 1.0
    wanted_s = [usual_s if seconds is None else seconds for seconds in meant_s]
    notes = []
    scale = seconds_of(total) / math.fsum(wanted_s)
    if abs(scale - 1) > 0.05:
        notes.append(f"the model's durations were scaled by {scale:.2f}")
    scenes = list(zip(drafts, [seconds * scale for seconds in wanted_s], strict=True))
    joined = _joined(scenes)
    if len(joined) < len(drafts):
        notes.append(f"{len(drafts)} scenes of the model were joined to {len(joined)}")
    counts = whole_samples([length_s for _, length_s in joined], total)
    sub_events = [
        part
        for (scene, _), samples in zip(joined, counts, strict=True)
        for part in _parts(scene, samples, longest_s)
    ]
    return sub_events, notes


def _meant(duration_s: float | None) -> float | None:
    if duration_s is None or not _LEAST_MEANT_S <= duration_s <= LONGEST_STORY_S:
        return None
    return duration_s


def _parts(scene: DraftScene, samples: int, longest_s: float) -> list[SubEvent]:
    spoken = math.fsum(
        spoken_s(layer.words) for layer in scene.layers if isinstance(layer, SpeechLayer)
    )
    parts = parts_of(samples, longest_s, spoken)
    layers = layers_in_parts(scene.layers, len(parts))
    return [
        SubEvent(
            caption=scene.caption,
            duration_s=seconds_of(part),
            tone=scene.tone,
            layers=layers[number],
            continues=number > 0,
        )
        for number, part in enumerate(parts)
    ]


def _joined(scenes: list[tuple[DraftScene, float]]) -> list[tuple[DraftScene, float]]:
    """Join the shortest to the shorter of its neighbors until none is too short."""
    joined = list(scenes)
    while len(joined) > 1:
        at = min(range(len(joined)), key=lambda i: joined[i][1])
        if joined[at][1] >= SHORTEST_SUB_EVENT_S:
            break
        has_shorter_before = at + 1 == len(joined) or (
            at > 0 and joined[at - 1][1] <= joined[at + 1][1]
        )
        left = at - 1 if has_shorter_before else at
        (before, before_s), (after, after_s) = joined[left : left + 2]
        both = DraftScene(
            f"{before.caption} {after.caption}",
            None,
            before.tone if before_s >= after_s else after.tone,
            (*before.layers, *(layer for layer in after.layers if layer not in before.layers)),
        )
        joined[left : left + 2] = [(both, before_s + after_s)]
    return joined
