"""Real code behind the studio's own protocols, small enough for tests of what surrounds it."""

import hashlib
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from audiostory_core.engines.protocol import (
    UNWATCHED,
    Capabilities,
    ClipRequest,
    ClipResult,
    Condition,
    ProgressListener,
)
from audiostory_core.errors import EngineFailed
from audiostory_core.planners.protocol import Brief
from audiostory_core.stem import Stem
from audiostory_core.story.plan import (
    StoryPlan,
    SubEvent,
    check_duration,
    seconds_of,
    whole_samples,
)
from tests.support.cards import card_of

SLICE_S = 0.01  # of a pause, between two looks at whether the clip is still wanted


@dataclass
class ToneEngine:
    """Makes noise of a level and a tone of a pitch that follow from the request alone.

    Captions steer it: "fails" raises, "nan", "silent", "loud" and "short" break the waveform for
    the seeds in `bad_seeds` (None: for every seed).
    """

    log: Path | None = None  # a line for every clip begun, outside the database
    pause_s: float = 0.0
    bad_seeds: frozenset[int] | None = None
    revision: str = "1"
    made: list[ClipRequest] = field(default_factory=list)
    name: str = "tone"
    fields: Mapping[str, object] = field(default_factory=dict)  # of its card, that differ

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities.of(
            card_of(self.name, needs_condition=True, **self.fields), self.revision
        )

    def interleave(
        self,
        plan: StoryPlan,
        places: Sequence[int],
        known: Mapping[int, Condition],
        stem: Stem = Stem.COMPOSITE,
    ) -> Iterator[Mapping[int, Condition]]:
        made = dict(known)
        for place in places:
            before = made.get(place - 1)
            told = {"index": place, "before": before.id if before else None}
            told |= {} if stem is Stem.COMPOSITE else {"stem": stem}
            made[place] = Condition(json.dumps(told, sort_keys=True).encode())
            yield {place: made[place]}

    def synthesize(
        self, requests: Sequence[ClipRequest], watch: ProgressListener = UNWATCHED
    ) -> list[ClipResult]:
        return [self._make(request, at, watch) for at, request in enumerate(requests)]

    def close(self) -> None:
        pass

    def _make(self, request: ClipRequest, at: int, watch: ProgressListener) -> ClipResult:
        self.made.append(request)
        if self.log is not None:
            with self.log.open("a") as log:
                log.write(f"{hashlib.sha256(request.caption.encode()).hexdigest()[:8]}\n")
        self._pause(at, watch)
        if "fails" in request.caption:
            raise EngineFailed(f"cannot make {request.caption!r}")
        words = "" if request.stem is Stem.COMPOSITE else repr((request.stem, request.layers))
        rng = np.random.default_rng([request.seed, *words.encode()])
        waveform = 0.1 * rng.standard_normal((2, request.samples)).astype(np.float32)
        is_bad = self.bad_seeds is None or request.seed in self.bad_seeds
        if is_bad and "nan" in request.caption:
            waveform[0, 100] = np.nan
        if is_bad and "silent" in request.caption:
            waveform[:] = 0
        if is_bad and "loud" in request.caption:
            waveform *= 100
        if is_bad and "short" in request.caption:
            waveform = waveform[:, :-1]
        watch.step(at, 1.0)
        return ClipResult(waveform, matched=(f"tone: {request.caption}",))

    def _pause(self, at: int, watch: ProgressListener) -> None:
        watch.step(at, 0.0)
        slices = math.ceil(self.pause_s / SLICE_S)
        for slept in range(slices):
            time.sleep(min(SLICE_S, self.pause_s - slept * SLICE_S))
            watch.step(at, (slept + 1) / slices)


@dataclass
class LinePlanner:
    """One sub-event per line, of equal lengths."""

    name: str = "lines"
    planned: list[Brief] = field(default_factory=list)

    def plan(self, brief: Brief) -> StoryPlan:
        self.planned.append(brief)
        lines = brief.instruction.splitlines()
        duration_s = check_duration(brief.duration_s or 5.0 * len(lines))
        counts = whole_samples([1.0] * len(lines), round(duration_s * 44_100))
        events = tuple(
            SubEvent(caption=line, duration_s=seconds_of(count))
            for line, count in zip(lines, counts, strict=True)
        )
        return StoryPlan(
            instruction=brief.instruction, language="en", duration_s=duration_s, sub_events=events
        )

    def revise(self, event: SubEvent, change: str, language: str) -> SubEvent:
        return event.model_copy(update={"caption": f"{event.caption}, {change}"})
