"""Exports as they are requested and shown."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from api.exports.media_type import AudioKind
from audiostory_core.stem import Stem
from storage.models import Export, Work


class ExportCreate(BaseModel):
    """A file to be made of a mix."""

    model_config = ConfigDict(extra="forbid")

    format: Annotated[
        AudioKind, Field(description="PCM of 24 bits; of a stem, a wav of 32-bit floats.")
    ]
    stem: Annotated[
        Stem | None,
        Field(description="What this stem adds to the mix, before the master gain (default: all)."),
    ] = None


class ExportView(BaseModel):
    """A file of a mix, and how far it is."""

    id: str
    revision: int  # number of the one whose mix it is
    format: str
    stem: str | None  # None: the whole mix
    state: str  # queued, claimed, finished or failed
    progress: float | None  # share that is done, while a worker makes it
    error: str | None  # of the last attempt
    bytes: int | None  # size, once it is made
    requested_at: float  # seconds since 1970
    finished_at: float | None
    href: str | None  # where the file is, once it is made

    @classmethod
    def of(cls, export: Export, queued: Work) -> Self:
        """Return what is shown of an export and its work."""
        where = f"/v1/stories/{export.story_id}/exports/{export.key}/file"
        return cls(
            id=export.key,
            revision=export.revision,
            format=export.format,
            stem=export.stem,
            state=queued.state,
            progress=queued.progress,
            error=queued.error,
            bytes=export.bytes,
            requested_at=export.requested_at,
            finished_at=export.finished_at,
            href=where if export.file is not None else None,
        )
