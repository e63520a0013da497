from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import Clip, ClipState


async def list_failed(session: AsyncSession) -> list[Clip]:
    failed = select(Clip).where(Clip.state == ClipState.FAILED).order_by(Clip.queued_at, Clip.key)
    return list(await session.scalars(failed))
