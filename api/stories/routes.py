"""Stories: created, listed, shown, deleted."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from api.http.access import HasCaller, check_story_id
from api.http.deps import AppStateDep
from api.http.errors import problem_response
from api.stories.queries import describe_story, view_scenes, view_story
from api.stories.schemas import SceneView, StoryCreate, StoryDetail, StoryPage, StoryView
from api.stories.service import check_usable, create_story
from storage import deletion, stories

router = APIRouter(prefix="/stories", tags=["stories"])


@router.post("", status_code=202, summary="Create a story")
async def post_story(
    wanted: StoryCreate,
    state: AppStateDep,
    caller: HasCaller,
    response: Response,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
) -> StoryView:
    """Create a story. It is queued, and the workers make it; follow its events.

    Repeating the request with the same Idempotency-Key returns the same story.
    """
    database = state.store.database
    check_usable(wanted, state.settings)
    story = await create_story(
        database, wanted, state.settings.tail_s, idempotency_key, owner_key=caller.key_id
    )
    response.headers["Location"] = f"/v1/stories/{story.id}"
    async with database.read() as session:
        return view_story(*await stories.load(session, story.id))


@router.get("", summary="List stories")
async def get_stories(
    state: AppStateDep,
    caller: HasCaller,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
) -> StoryPage:
    """List the stories that your key may see, newest first."""
    async with state.store.database.read() as session:
        rows = await stories.list_newest(session, limit, offset, caller.sees_only)
        total = await stories.count(session, caller.sees_only)
    return StoryPage(stories=[view_story(*row) for row in rows], total=total)


@router.get("/{story_id}", summary="Get a story")
async def get_story(story_id: str, state: AppStateDep, caller: HasCaller) -> StoryDetail:
    """Return a story with the notes on its plan and the measures of its mix."""
    check_story_id(story_id)
    async with state.store.database.read() as session:
        return await describe_story(session, story_id, caller.sees_only)


@router.get("/{story_id}/sub-events", summary="List a story's sub-events")
async def get_sub_events(story_id: str, state: AppStateDep) -> list[SceneView]:
    """Return the sub-events in order; the list is empty until the story is planned."""
    async with state.store.database.read() as session:
        _, _, revision = await stories.load(session, story_id)
        return await view_scenes(session, revision)


@router.delete(
    "/{story_id}",
    status_code=204,
    responses={409: problem_response("It is being worked on, or waits for you")},
    summary="Delete a story",
)
async def delete_story(story_id: str, state: AppStateDep) -> None:
    """Delete a story. Branches keep the scenes they share with it.

    409 while it is being worked on or waits for you: cancel it first. Its audio is removed by the
    next `audiostory gc --delete`.
    """
    async with state.store.database.write() as session:
        await deletion.delete_story(session, story_id)
