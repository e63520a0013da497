"""Revising a story: changes, previews, review, and the versions it had."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi import Path as PathParameter
from fastapi.responses import PlainTextResponse

from api.http.access import HasCaller
from api.http.deps import AppState, AppStateDep
from api.revisions import service
from api.revisions.queries import view_revisions
from api.revisions.schemas import (
    ChangeRequest,
    PreviewLine,
    PreviewResponse,
    RejectRequest,
    RenameRequest,
    RevisionView,
)
from api.stories.queries import view_story
from api.stories.schemas import StoryView
from audiostory_core.story.changes import Edits
from storage import stories
from storage.errors import Conflict

router = APIRouter(prefix="/stories", tags=["revising"])
Named = Annotated[
    str, PathParameter(max_length=100, description="Number or name of a revision of the story.")
]


@router.post("/{story_id}/changes", status_code=202, summary="Change a story")
async def post_change(story_id: str, wish: ChangeRequest, state: AppStateDep) -> StoryView:
    """Edit scenes, make more takes, choose a take, or plan again.

    The change is checked at once and made by the workers; follow the story's events. A change that
    only the planner can judge (`chat` asks a language model) may be refused then: `refusal` of the
    story says why, until the next change. The new mix waits for your approval unless `accept` is
    true; until then it plays at the gain of the mix it replaces.
    """
    await service.ask(
        state.store.database,
        story_id,
        wish.change,
        accept=wish.accept,
        base=wish.base,
        words=state.words,
        settings=state.settings,
    )
    return await _view(story_id, state)


@router.post("/{story_id}/preview", summary="Preview edits")
async def post_preview(story_id: str, edits: Edits, state: AppStateDep) -> PreviewResponse:
    """Return which clips the edits would make again, and why, without changing the story."""
    lines = await service.look_ahead(
        state.store.database, story_id, edits, state.words, state.settings
    )
    fates: list[PreviewLine] = []
    for line in lines:
        remade: Literal["made again", "kept"] = "made again" if line.is_remade else "kept"
        fates.append(
            PreviewLine(
                number=line.number,
                was=line.was,
                sub_event=line.event,
                fate=remade if line.number is not None else "deleted",
                reason=line.reason,
            )
        )
    return PreviewResponse(
        summary=service.describe(lines),
        duration_s=sum(line.event.duration_s for line in lines if line.number is not None),
        made_again=sum(line.is_remade for line in lines),
        scenes=fates,
    )


@router.post("/{story_id}/approve", summary="Approve the plan or the mix")
async def post_approval(story_id: str, state: AppStateDep) -> StoryView:
    """Approve the plan or the mix that the story waits for; 409 if it waits for neither."""
    review = await service.approve(state.store.database, story_id)
    if review is None:
        raise Conflict("The story does not wait for a review; see its status.")
    return await _view(story_id, state)


@router.post("/{story_id}/reject", status_code=202, summary="Reject the plan")
async def post_rejection(story_id: str, rejection: RejectRequest, state: AppStateDep) -> StoryView:
    """Change the plan as the remark asks, or have it planned again by a planner that is told why.

    A remark that the embedded planner cannot read to its last word is a 422 at once.
    """
    await service.reject(
        state.store.database, story_id, rejection.remark, rejection.base, state.words
    )
    return await _view(story_id, state)


@router.post("/{story_id}/cancel", summary="Cancel a story's work")
async def post_cancel(story_id: str, state: AppStateDep) -> StoryView:
    """Stop working on the story; finished clips stay. 409 if nothing is being done."""
    await service.cancel(state.store.database, story_id)
    return await _view(story_id, state)


@router.post("/{story_id}/resume", status_code=202, summary="Resume a story")
async def post_resume(story_id: str, state: AppStateDep) -> StoryView:
    """Resume a story that failed or was cancelled; nothing finished is made again."""
    await service.resume(state.store.database, story_id)
    return await _view(story_id, state)


@router.post("/{story_id}/undo", summary="Undo the last change")
async def post_undo(story_id: str, state: AppStateDep) -> StoryView:
    """Go back to the revision before the current one; 409 if there is none."""
    await service.undo(state.store.database, story_id)
    return await _view(story_id, state)


@router.post("/{story_id}/redo", summary="Redo the last undone change")
async def post_redo(story_id: str, state: AppStateDep) -> StoryView:
    """Go forward to the revision that was undone last; 409 if there is none."""
    await service.redo(state.store.database, story_id)
    return await _view(story_id, state)


@router.get("/{story_id}/revisions", summary="List revisions")
async def get_revisions(
    story_id: str,
    state: AppStateDep,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    before: Annotated[int | None, Query(ge=1, le=2**31)] = None,
) -> list[RevisionView]:
    """List the revisions of a story, newest first, with what each changed."""
    async with state.store.database.read() as session:
        return await view_revisions(session, story_id, limit, before)


@router.post("/{story_id}/revisions/{named}/current", summary="Switch to a revision")
async def post_current(story_id: str, named: Named, state: AppStateDep) -> StoryView:
    """Make a revision the current one."""
    await service.switch(state.store.database, story_id, named)
    return await _view(story_id, state)


@router.put("/{story_id}/revisions/{named}/name", summary="Name a revision")
async def put_name(
    story_id: str, named: Named, naming: RenameRequest, state: AppStateDep
) -> StoryView:
    """Give a revision a name, which other routes accept in place of its number."""
    await service.name(state.store.database, story_id, named, naming.name)
    return await _view(story_id, state)


@router.post("/{story_id}/revisions/{named}/branch", status_code=201, summary="Branch a story")
async def post_branch(
    story_id: str, named: Named, state: AppStateDep, caller: HasCaller
) -> StoryView:
    """Create a story that starts as this revision; nothing is made again for it."""
    begun = await service.branch(state.store.database, story_id, named, caller.key_id)
    return await _view(begun.id, state)


@router.get("/{story_id}/diff", response_class=PlainTextResponse, summary="Compare two revisions")
async def get_diff(
    story_id: str,
    state: AppStateDep,
    before: Annotated[str, Query(max_length=100, description="Number or name")],
    after: Annotated[str, Query(max_length=100, description="Number or name")],
) -> str:
    """Describe in words how two revisions differ."""
    return await service.difference(state.store.database, story_id, before, after)


async def _view(story_id: str, state: AppState) -> StoryView:
    async with state.store.database.read() as session:
        return view_story(*await stories.load(session, story_id))
