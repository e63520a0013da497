"""What steps and clip jobs work with; built once by the composition root and passed down."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from audiostory_core.engines.protocol import Engine
from audiostory_core.planners.protocol import Planner
from audiostory_core.story import CastMember, StoryPlan, SubEvent, samples_of, seconds_of
from nodes.errors import StepFailed
from storage import stories
from storage.audio_files import AudioFiles
from storage.database import Database
from storage.models import Revision, SceneVersion, Story


@dataclass(frozen=True)
class Planned:
    """A stored revision as the core knows it. All of it is immutable once stored."""

    revision_id: int
    plan: StoryPlan
    scene_ids: tuple[int, ...]
    engine: str
    seed: int  # of the story, for what recurs through all its scenes
    tail_samples: int


@dataclass
class Services:
    """The store, the engines and the planners."""

    database: Database
    audio: AudioFiles
    engines: Mapping[str, Engine]
    planners: Mapping[str, Planner]
    _recent: dict[int, Planned] = field(default_factory=dict)

    async def planned(self, revision_id: int) -> Planned:
        """Return a revision; the last one asked for is kept, so that a step costs O(1)."""
        if revision_id not in self._recent:
            async with self.database.read() as session:
                revision = await stories.get_revision(session, revision_id)
                story = await stories.get(session, revision.story_id)
                scenes = await stories.list_scenes(session, revision)
            self._recent.clear()
            self._recent[revision_id] = _planned(story, revision, scenes)
        return self._recent[revision_id]

    def engine(self, name: str) -> Engine:
        """Return an engine this process can run.

        Raises:
            StepFailed: if it is not installed here.
        """
        if name not in self.engines:
            raise StepFailed(f"The engine {name!r} is not usable here; see `audiostory doctor`.")
        return self.engines[name]


def _planned(story: Story, revision: Revision, scenes: list[SceneVersion]) -> Planned:
    sub_events = tuple(
        SubEvent.model_validate(
            {
                "caption": scene.caption,
                "duration_s": seconds_of(scene.samples),
                "tone": scene.tone,
                "layers": scene.layers,
                "continues": scene.continues,
            }
        )
        for scene in scenes
    )
    plan = StoryPlan(
        instruction=story.instruction,
        language=revision.language,
        duration_s=seconds_of(revision.samples),
        reasoning=revision.plan["reasoning"],
        sub_events=sub_events,
        cast=tuple(CastMember.model_validate(member) for member in revision.plan["cast"]),
        directions=tuple(revision.plan["directions"]),
        notes=tuple(revision.plan["notes"]),
    )
    return Planned(
        revision_id=revision.id,
        plan=plan,
        scene_ids=tuple(revision.scenes),
        engine=story.engine,
        seed=story.seed,
        tail_samples=samples_of(story.tail_s),
    )
