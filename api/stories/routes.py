"""Stories: created, listed, shown, deleted."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from api.http.access import HasCaller
from api.http.deps import AppStateDep
from api.http.errors import problem_response
from api.stories.queries import describe_story, view_scenes, view_story
from api.stories.schemas import SceneView, StoryCreate, StoryDetail, StoryPage, StoryView
from api.stories.service import check_usable, create_story
from storage import deletion, stories

router = APIRouter(prefix="/stories", tags=["stories"])


@router.post("", status_code=202, summary="Ask for a story")
async def post_story(
    wanted: StoryCreate,
    state: AppStateDep,
    caller: HasCaller,
    response: Response,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
) -> StoryView:
    """Ask for a story. It is queued and made by the workers; follow its events.

    The same Idempotency-Key with the same body gives the same story again.
    """
    database = state.store.database
    check_usable(wanted, state.settings)
    story = await create_story(
        database, wanted, state.settings.tail_s, idempotency_key, owner_key=caller.key_id
    )
    response.headers["Location"] = f"/v1/stories/{story.id}"
    async with database.read() as session:
        return view_story(*await stories.load(session, story.id))


@router.get("", summary="All stories")
async def get_stories(
    state: AppStateDep,
    caller: HasCaller,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
) -> StoryPage:
    """List the stories that are there for your key, newest first."""
    async with state.store.database.read() as session:
        rows = await stories.list_newest(session, limit, offset, caller.sees_only)
        total = await stories.count(session, caller.sees_only)
    return StoryPage(stories=[view_story(*row) for row in rows], total=total)


@router.get("/{story_id}", summary="One story")
async def get_story(story_id: str, state: AppStateDep) -> StoryDetail:
    """Return a story with its plan's remarks and its mix's measures."""
    async with state.store.database.read() as session:
        return await describe_story(session, story_id)


@router.get("/{story_id}/sub-events", summary="Its sub-events")
async def get_sub_events(story_id: str, state: AppStateDep) -> list[SceneView]:
    """Return the sub-events in order; none before the story is planned."""
    async with state.store.database.read() as session:
        _, _, revision = await stories.load(session, story_id)
        return await view_scenes(session, revision)


@router.delete(
    "/{story_id}",
    status_code=204,
    responses={409: problem_response("It is being worked on, or waits for its author")},
    summary="Delete a story",
)
async def delete_story(story_id: str, state: AppStateDep) -> None:
    """Delete a story; branches keep the scenes they share with it.

    409 while it is worked on or waits for its author: cancel it first. Its audio goes with the
    next `audiostory gc`.
    """
    async with state.store.database.write() as session:
        await deletion.delete_story(session, story_id)
