from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import Work, WorkKind, WorkState


async def list_failed(session: AsyncSession) -> list[Work]:
    is_failed = (Work.kind == WorkKind.CLIP, Work.state == WorkState.FAILED)
    failed = select(Work).where(*is_failed).order_by(Work.queued_at, Work.key)
    return list(await session.scalars(failed))
