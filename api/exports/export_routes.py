"""Exports: files of mixes and stems that workers make."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi import Path as PathParameter

from api.exports.bodies import file_body
from api.exports.media_type import AudioKind
from api.exports.routes import AUDIO
from api.exports.schemas import ExportCreate, ExportView
from api.exports.service import find_file, request_export
from api.http.byte_range import respond
from api.http.deps import AppStateDep
from api.maintenance.repair import read_mended
from storage import exports
from storage.errors import NotFound
from storage.models import WorkState

router = APIRouter(prefix="/stories/{story_id}/exports", tags=["audio"])
ExportId = Annotated[str, PathParameter(description="As the request for it was answered.")]
MADE: dict[int | str, dict[str, Any]] = {200: {"model": ExportView, "description": "It is made"}}


@router.post("", status_code=202, responses=MADE, summary="Export the mix")
async def post_export(
    story_id: str, wanted: ExportCreate, state: AppStateDep, response: Response
) -> ExportView:
    """Have a file made of the mix as it is now, or of one of its stems; 200 if it is made already.

    A worker makes it. Equal requests are one export, even of several stories; one that failed is
    tried again. It is kept until nobody has used it for a while.
    """
    view = await read_mended(state.store, lambda: request_export(state.store, story_id, wanted))
    if view.state == WorkState.FINISHED:
        response.status_code = 200
    response.headers["Location"] = f"/v1/stories/{story_id}/exports/{view.id}"
    return view


@router.get("", summary="List exports")
async def get_exports(story_id: str, state: AppStateDep) -> list[ExportView]:
    """List what was exported of a story, newest first."""
    async with state.store.database.read() as session:
        return [ExportView.of(*row) for row in await exports.list_newest(session, story_id)]


@router.get("/{export_id}", summary="Get an export")
async def get_export(story_id: str, export_id: ExportId, state: AppStateDep) -> ExportView:
    """Tell how far an export is; its file is at `href` once it is made."""
    async with state.store.database.read() as session:
        return ExportView.of(*await exports.get(session, story_id, export_id))


@router.get(
    "/{export_id}/file",
    responses=AUDIO,
    response_class=Response,
    summary="Get the file of an export",
)
@router.head("/{export_id}/file", include_in_schema=False)
async def get_export_file(
    story_id: str, export_id: ExportId, request: Request, state: AppStateDep
) -> Response:
    """Return the file of an export; 404 until it is made."""
    async with state.store.database.read() as session:
        export, _ = await exports.get(session, story_id, export_id)
    path = await find_file(state.store, story_id, export_id)
    if path is None:
        raise NotFound(f"file of the export of story {story_id}", export_id)
    of_stem = f"-{export.stem}" if export.stem else ""
    name = f"{story_id}-revision-{export.revision}{of_stem}.{export.format}"
    body = file_body(path, AudioKind(export.format), f'"{path.stem[:32]}"', name)
    return await respond(request, body)


@router.delete("/{export_id}", status_code=204, summary="Delete an export")
async def delete_export(story_id: str, export_id: ExportId, state: AppStateDep) -> None:
    """Forget an export; one that is not made yet is not made, unless another story wants it."""
    async with state.store.database.write() as session:
        await exports.forget(session, story_id, export_id)
