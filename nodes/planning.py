"""Asking a story's planner, within the limits of its engine; for the first plan and for changes."""

import asyncio
from collections.abc import Iterable, Sequence

from audiostory_core.engines.card import check_language
from audiostory_core.errors import BadInput
from audiostory_core.planners.plan_notes import notes_on_lines, notes_on_shapes
from audiostory_core.planners.protocol import Brief, OnSubEvent, Planner
from audiostory_core.stem import Stem, engine_names
from audiostory_core.story.limits import SceneLimits
from audiostory_core.story.plan import StoryPlan, SubEvent, check_count
from nodes.errors import StepFailed
from nodes.offers import Offers, need
from nodes.services import Services
from nodes.shape_notes import notes_on_engines
from storage import events
from storage.models import Run, Story


def event_notifier(run: Run, services: Services) -> OnSubEvent:
    """Return a callback that appends an event for each sub-event that a planner writes.

    It is called in the planner's thread. An event for a place that has one already replaces it:
    the model began anew.
    """
    loop = asyncio.get_running_loop()

    async def append(place: int, event: SubEvent) -> None:
        written = event.model_dump(mode="json", include={"caption", "duration_s", "tone"})
        async with services.database.write() as session:
            data = {"run": run.number, "place": place, **written}
            await events.append(session, run.story_id, "scene.written", **data)

    def notify(place: int, event: SubEvent) -> None:
        asyncio.run_coroutine_threadsafe(append(place, event), loop).result()

    return notify


def make_plan(
    story: Story,
    services: Services,
    offers: Offers,
    remarks: Sequence[str] = (),
    on_sub_event: OnSubEvent | None = None,
) -> StoryPlan:
    """Return the author's own plan if they brought one, else ask the planner.

    Args:
        story: to be planned.
        services: the planners.
        offers: has the engine whose limits the plan keeps to.
        remarks: why the author rejected earlier plans, oldest first; their own plan too.
        on_sub_event: called with what a planner writes, while it does.

    Raises:
        BadInput: if the instruction cannot be planned, a given plan or its language does not fit
            the engine, or the plan has more scenes than one may have.
        StepFailed: if the planner is not usable here.
        EngineAway: if the engine is nowhere.
    """
    capabilities = need(offers, story.engine)
    longest_s = longest_scene_s(story, offers)
    if story.given_plan is not None and not remarks:
        brought = StoryPlan.model_validate(story.given_plan)
        check_count(brought.sub_events, services.max_scenes)
        check_lengths(brought.sub_events, longest_s, story.engine)
        check_language(brought.language, capabilities.name, capabilities.languages)
        numbered = dict(enumerate(brought.sub_events, 1))
        more = (
            *notes_on_lines(numbered, brought.cast, need(offers, engine_of_lines(story))),
            *notes_on_shapes(brought.sub_events),
            *notes_on_engines(brought, story, offers),
        )
        return _with_notes(brought, more)
    planned = planner_of(story, services).plan(
        Brief(
            story.instruction,
            story.duration_s,
            story.language,
            longest_clip_s=longest_s,
            remarks=tuple(remarks),
            on_sub_event=on_sub_event,
        )
    )
    check_count(planned.sub_events, services.max_scenes)
    check_language(planned.language, capabilities.name, capabilities.languages)
    return _with_notes(planned, notes_on_engines(planned, story, offers))


def _with_notes(planned: StoryPlan, more: Iterable[str]) -> StoryPlan:
    notes = tuple(dict.fromkeys((*planned.notes, *more)))
    return planned if notes == planned.notes else planned.model_copy(update={"notes": notes})


def planner_of(story: Story, services: Services) -> Planner:
    """Return a story's planner.

    Raises:
        StepFailed: if it is not usable here.
    """
    if story.planner not in services.planners:
        raise StepFailed(f"The planner {story.planner!r} is not usable here; see doctor.")
    return services.planners[story.planner]


def scene_limits(story: Story, offers: Offers, engines: Sequence[str | None]) -> SceneLimits:
    """Return how long scenes may be, their tails excluded, by the engine that makes each.

    Args:
        story: whose engine makes the scenes that name none.
        offers: the engines that there are.
        engines: of the scenes of the plan, in order; None: the story's.
    """
    by_engine = {
        name: capabilities.longest_clip_s - story.tail_s for name, capabilities in offers.items()
    }
    return SceneLimits(
        story_s=longest_scene_s(story, offers), by_engine=by_engine, engines=tuple(engines)
    )


def longest_scene_s(story: Story, offers: Offers) -> float:
    """Return the longest scene that the story's engines make at once, its tail excluded."""
    names = engine_names(story.engine, story.engines)
    return min(need(offers, name).longest_clip_s for name in names) - story.tail_s


def engine_of_lines(story: Story) -> str:
    """Return the engine that speaks a story's lines, where no scene has its own."""
    return (story.engines or {}).get(Stem.DIALOGUE, story.engine)


def check_lengths(sub_events: Sequence[SubEvent], longest_s: float, engine: str) -> None:
    """Refuse sub-events that the engine cannot make in one clip.

    Raises:
        BadInput: naming the first one that is too long.
    """
    for number, event in enumerate(sub_events, 1):
        if event.duration_s > longest_s:
            raise BadInput(
                f"sub_events.{number}.duration_s",
                event.duration_s,
                f"is longer than the {longest_s:g} s that {engine} makes at once",
                "Split it into sub-events, the later ones with continues: true.",
            )
