"""Stories, deleted."""

from fastapi import APIRouter

from api.http.deps import AppStateDep
from api.http.errors import problem_response
from storage import deletion

router = APIRouter(prefix="/stories", tags=["stories"])


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
