"""Which engines there are: each is written down by every worker that can run it."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import EngineOffer, Json, now_s
from storage.upsert import insert_new

REPEAT_S = 3600.0  # after which it is written down again, however often workers start


async def offer(session: AsyncSession, name: str, revision: str, card: Json) -> bool:
    """Write down what a worker that starts says of an engine; whether nobody has before."""
    is_new = await insert_new(session, EngineOffer, name=name, revision=revision, card=card)
    if not is_new:
        known = await session.get_one(EngineOffer, name, with_for_update=True)
        known.revision, known.card = revision, card
        known.seen_at = (await session.execute(select(now_s()))).scalar_one()
    return is_new


async def is_known(session: AsyncSession, name: str, revision: str, card: Json) -> bool:
    """Tell whether just this was written down a short while ago."""
    same = select(EngineOffer).where(
        EngineOffer.name == name,
        EngineOffer.revision == revision,
        EngineOffer.seen_at > now_s() - REPEAT_S,
    )
    known = await session.scalar(same)
    return known is not None and known.card == card


async def list_all(session: AsyncSession) -> list[EngineOffer]:
    """List the engines that were ever offered."""
    return list(await session.scalars(select(EngineOffer).order_by(EngineOffer.name)))
