"""Stories, deleted."""

from fastapi import APIRouter

from api.edge import HasEdge
from api.errors import problem_response
from storage import deleting

router = APIRouter(prefix="/stories", tags=["stories"])


@router.delete(
    "/{story_id}",
    status_code=204,
    responses={409: problem_response("It is being worked on, or waits for its author")},
    summary="Delete a story",
)
async def delete_story(story_id: str, edge: HasEdge) -> None:
    """Delete a story; branches keep the scenes they share with it.

    409 while it is worked on or waits for its author: cancel it first. Its audio goes with the
    next `audiostory gc`.
    """
    async with edge.store.database.write() as session:
        await deleting.delete_story(session, story_id)
