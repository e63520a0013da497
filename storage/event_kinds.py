"""The kinds of event that a story's log has; webhooks ask for them by name."""

from typing import Literal

EventKind = Literal[
    "change.asked",
    "change.refused",
    "clip.damaged",
    "clip.failed",
    "clip.finished",
    "clip.queued",
    "clip.rerolled",
    "engine.waiting",
    "llm.waiting",
    "mix.accepted",
    "mix.ready",
    "plan.ready",
    "review.approved",
    "revision.current",
    "revision.named",
    "revision.ready",
    "run.cancelled",
    "run.failed",
    "run.finished",
    "run.parked",
    "run.queued",
    "run.resumed",
    "run.started",
    "scene.flagged",
    "scene.written",
    "store.unusable",
    "story.created",
    "story.restored",
]
