"""Stories as bundles. Restore is command-line only: backups are too large to upload."""

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from api.backups.bundles import MEDIA_TYPE, bundle_bytes, prepare
from api.http.deps import AppStateDep

router = APIRouter(prefix="/stories", tags=["stories"])


@router.get(
    "/{story_id}/backup",
    response_class=Response,
    responses={200: {"description": "The bundle", "content": {MEDIA_TYPE: {}}}},
    summary="Back up a story",
)
async def get_backup(story_id: str, state: AppStateDep) -> Response:
    """Return a story with every revision, take, clip and seam as a ZIP file.

    `audiostory restore` restores it, here or elsewhere. All of it is read before it is sent: 503 if
    some of its audio is damaged.
    """
    bundle = await prepare(state.store, story_id)
    name = f'attachment; filename="{story_id}.audiostory"'
    return StreamingResponse(
        bundle_bytes(bundle, state.store.audio),
        media_type=MEDIA_TYPE,
        headers={"Content-Disposition": name},
    )
