"""A plan as the rows that keep it, and the seeds of its scenes, their re-rolls and takes."""

import hashlib
from collections.abc import Mapping, Sequence

from audiostory_core.engines.protocol import Capabilities
from audiostory_core.stem import Stem
from audiostory_core.story.plan import StoryPlan, SubEvent
from audiostory_core.story.spans import spread
from audiostory_core.story.stems import stems_of
from audiostory_core.story.timing import starts_of
from nodes.offers import Offers, need
from storage.models import Json, Story
from storage.revisions import NewRevision

PLAN_PARTS = {
    "version",
    "reasoning",
    "cast",
    "directions",
    "notes",
    "written",
    "say",
    "mix",
}  # kept with a revision
SEED_BITS = 63  # seeds fit a signed 64-bit column
Makers = Mapping[Stem, Capabilities]
MAX_REROLLS = 2  # of the check; seeds of takes that are asked for come after those


def new_revision(
    planned: StoryPlan, story: Story, offers: Offers, remarks: Sequence[str] = ()
) -> NewRevision:
    """Return a plan as the content of a revision; all its sub-events are new ones.

    Raises:
        EngineAway: if an engine of a stem is nowhere.
    """
    makers = makers_of(story, offers)
    heard = spread(planned).sub_events
    return NewRevision(
        language=planned.language,
        samples=planned.samples,
        plan=planned.model_dump(mode="json", include=PLAN_PARTS) | {"remarks": list(remarks)},
        scenes=[
            scene_columns(event)
            | stem_columns(heard[place], planned.version, makers)
            | {"seed": derive_seed(story.seed, story.next_ordinal + place)}
            for place, event in enumerate(planned.sub_events)
        ],
        summary=f"planned again: “{remarks[-1]}”" if remarks else "planned",
        ordinals=len(planned.sub_events),
    )


def scene_columns(event: SubEvent) -> Json:
    """Return the columns of a scene version that a sub-event's wording fills."""
    return {
        "caption": event.caption,
        "tone": event.tone,
        "samples": event.samples,
        "continues": event.continues,
        "layers": [layer.model_dump(mode="json") for layer in event.layers],
        "stem_gain_db": dict(event.stem_gain_db) or None,
    }


def makers_of(story: Story, offers: Offers, own: str | None = None) -> Makers | None:
    """Return which engine makes each stem of a scene; None: one makes them all at once.

    Args:
        story: of the scene.
        offers: the engines that there are.
        own: the scene's engine, if it has one of its own.

    Raises:
        EngineAway: if one of them is nowhere.
    """
    if not story.engines:
        return None
    if own is None:
        return {Stem(stem): need(offers, name) for stem, name in story.engines.items()}
    capabilities = need(offers, own)
    return None if capabilities.composite else dict.fromkeys(capabilities.stems, capabilities)


def stem_columns(heard: SubEvent, version: int, makers: Makers | None) -> Json:
    """Return a new scene version's stems, and when its layers start where they must keep in step.

    Args:
        heard: the sub-event with all layers that are heard in it.
        version: of the plan.
        makers: see `makers_of`.
    """
    if makers is None:
        return {"stems": [{"stem": Stem.COMPOSITE}], "starts_s": None}
    starts_s = starts_of(heard)
    return {
        "stems": [{"stem": stem} for stem in stems_of(heard, version, makers)],
        "starts_s": None if starts_s is None else list(starts_s),
    }


def derive_seed(seed: int, ordinal: int) -> int:
    """Return the seed of a sub-event, or of re-roll or take `ordinal` of a clip."""
    digest = hashlib.sha256(f"{seed}:{ordinal}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - SEED_BITS)
