"""What steps and jobs work with; built once by the composition root and passed down."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from audiostory_core.engines.protocol import Engine
from audiostory_core.planners.protocol import Planner
from audiostory_core.stem import Stem
from audiostory_core.story.plan import StoryPlan, SubEvent, samples_of
from audiostory_core.story.spans import spread
from audiostory_core.story.stored import plan_of, scene_from_row
from nodes.errors import RunStopped
from nodes.recent_clips import RecentClips
from storage import revisions, stories
from storage.audio_files import AudioFiles
from storage.database import Database

MAX_RECENT = 4  # revisions kept in memory


@dataclass(frozen=True)
class LoadedRevision:
    """A stored revision as the core knows it. All of it is immutable once stored."""

    revision_id: int
    plan: StoryPlan
    scene_ids: tuple[int, ...]
    engine: str
    seed: int  # of the story, for what recurs through all its scenes
    tail_samples: int
    parameters: Mapping[str, Any] = field(default_factory=dict)  # of the story's engine
    engines: Mapping[str, str] = field(default_factory=dict)  # by stem; empty: scenes are composite

    @cached_property
    def heard(self) -> StoryPlan:
        """The plan as engines get it: every scene with all layers that are heard in it."""
        return spread(self.plan)

    def engine_of(self, stem: str, own: str | None) -> str:
        """Return the engine that makes a stem of a scene.

        Args:
            stem: of the scene.
            own: the scene's, if it has one of its own.
        """
        return own or self.engines.get(self.chain_of(stem)) or self.engine

    def chain_of(self, stem: str) -> Stem:
        """Return the stem whose conditions a stem's follow: a composite scene is among effects."""
        is_among = self.engines and stem == Stem.COMPOSITE
        return Stem.EFFECTS if is_among else Stem(stem)


@dataclass
class Services:
    """The store, the engines and the planners.

    Args:
        database: where the rows are.
        audio: where the files are.
        engines: that this process can run, for jobs; steps need none, see offers.py.
        planners: that it can ask.
        max_scenes: of a plan that is made or brought along.
        clips: that this process has just made.
    """

    database: Database
    audio: AudioFiles
    engines: Mapping[str, Engine]
    planners: Mapping[str, Planner]
    max_scenes: int = 10_000
    clips: RecentClips = field(default_factory=RecentClips)
    _stop_by: float | None = None  # of the monotonic clock
    _recent: dict[tuple[str, int], LoadedRevision] = field(default_factory=dict)

    def stop(self, within_s: float) -> None:
        """Have what is in flight end soon: given back if it is not done within so many seconds."""
        self._stop_by = time.monotonic() + within_s

    @property
    def is_stopping(self) -> bool:
        """Whether a long step is to stop where it can go on later."""
        return self._stop_by is not None

    @property
    def is_overdue(self) -> bool:
        """Whether what is not done is to be given back."""
        return self._stop_by is not None and time.monotonic() >= self._stop_by

    async def planned(self, story_id: str, revision_id: int) -> LoadedRevision:
        """Return a revision; the last ones asked for are kept, so that a step costs O(1).

        Of a new revision only the scenes that are in none of its story's are read. Numbers of rows
        that were deleted are given again, those of stories are not.

        Raises:
            RunStopped: if the story has no such revision, because it was deleted.
        """
        if (story_id, revision_id) not in self._recent:
            known: dict[int, SubEvent] = {}
            for (owner, _), recent in self._recent.items():
                if owner == story_id:
                    known |= zip(recent.scene_ids, recent.plan.sub_events, strict=True)
            async with self.database.read() as session:
                revision = await revisions.find_by_id(session, story_id, revision_id)
                if revision is None:
                    raise RunStopped
                story = await stories.get(session, story_id)
                unknown = [scene_id for scene_id in revision.scenes if scene_id not in known]
                wordings = await revisions.list_wordings(session, unknown)
            known |= {scene.id: scene_from_row(scene) for scene in wordings}
            sub_events = tuple(known[scene_id] for scene_id in revision.scenes)
            while len(self._recent) >= MAX_RECENT:
                del self._recent[next(iter(self._recent))]
            self._recent[story_id, revision_id] = LoadedRevision(
                revision_id=revision.id,
                plan=plan_of(story, revision, sub_events),
                scene_ids=tuple(revision.scenes),
                engine=story.engine,
                engines=story.engines or {},
                seed=story.seed,
                tail_samples=samples_of(story.tail_s),
                parameters=story.parameters,
            )
        return self._recent[story_id, revision_id]
