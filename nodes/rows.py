"""A plan as the rows that keep it, and the seeds of its scenes, their re-rolls and takes."""

import hashlib
from collections.abc import Sequence

from audiostory_core.story.plan import StoryPlan, SubEvent
from storage.models import Json, Story
from storage.revisions import NewRevision

PLAN_PARTS = {
    "version",
    "reasoning",
    "cast",
    "directions",
    "notes",
    "written",
}  # kept with a revision
SEED_BITS = 63  # seeds fit a signed 64-bit column
MAX_REROLLS = 2  # of the check; seeds of takes that are asked for come after those


def new_revision(planned: StoryPlan, story: Story, remarks: Sequence[str] = ()) -> NewRevision:
    """Return a plan as the content of a revision; all its sub-events are new ones."""
    return NewRevision(
        language=planned.language,
        samples=planned.samples,
        plan=planned.model_dump(mode="json", include=PLAN_PARTS) | {"remarks": list(remarks)},
        scenes=[
            scene_columns(event) | {"seed": derive_seed(story.seed, story.next_ordinal + place)}
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
    }


def derive_seed(seed: int, ordinal: int) -> int:
    """Return the seed of a sub-event, or of re-roll or take `ordinal` of a clip."""
    digest = hashlib.sha256(f"{seed}:{ordinal}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - SEED_BITS)
