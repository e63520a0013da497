"""Stories as bundles. They are restored on the command line: a body that large is none of HTTP's."""

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from api.backups.bundles import MEDIA_TYPE, bundle_bytes, prepare
from api.http.deps import AppStateDep

router = APIRouter(prefix="/stories", tags=["stories"])


@router.get(
    "/{story_id}/backup",
    response_class=Response,
    responses={200: {"description": "The bundle", "content": {MEDIA_TYPE: {}}}},
    summary="A story as one file",
)
async def get_backup(story_id: str, state: AppStateDep) -> Response:
    """Return a story with every revision, take, clip and seam as a ZIP file.

    `audiostory restore` puts it back, here or elsewhere. It is read once before it is sent: 503 if
    some of its audio is damaged.
    """
    bundle = await prepare(state.store, story_id)
    name = f'attachment; filename="{story_id}.audiostory"'
    return StreamingResponse(
        bundle_bytes(bundle, state.store.audio),
        media_type=MEDIA_TYPE,
        headers={"Content-Disposition": name},
    )
