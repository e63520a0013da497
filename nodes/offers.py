"""What steps may know of engines: a process that drives a story need not have any."""

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncSession

from audiostory_core.engines.offered import capabilities_of
from audiostory_core.engines.protocol import Capabilities
from nodes.errors import EngineAway
from storage import engine_offers

Offers = Mapping[str, Capabilities]  # by the names of engines


async def list_offers(session: AsyncSession) -> Offers:
    """Return what workers have ever said of the engines that they can run."""
    offers = await engine_offers.list_all(session)
    return {offer.name: capabilities_of(offer.name, offer.revision, offer.card) for offer in offers}


def need(offers: Offers, name: str) -> Capabilities:
    """Return what an engine can do.

    Raises:
        EngineAway: if no worker has ever offered it.
    """
    if name not in offers:
        raise EngineAway(name)
    return offers[name]
