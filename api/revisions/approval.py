"""What an author decides about a story; light enough for the HTTP process."""

from api.stories.views import load_story
from storage import runs
from storage.database import Database
from storage.models import RunState, Wait

REVIEWS = (Wait.PLAN_REVIEW, Wait.MIX_REVIEW)  # a failed clip cannot be approved


async def approve(database: Database, story_id: str) -> str | None:
    """Approve what the story waits for; return its name, or None if it waits for nothing.

    Raises:
        NotFound: if there is no such story.
    """
    async with database.write() as session:
        _, run, _ = await load_story(session, story_id)
        review = run.waits_for
        if run.state != RunState.PARKED or review not in REVIEWS:
            return None
        await runs.approve(session, run, review)
    return review
