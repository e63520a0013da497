"""Finding many rows by one column, in queries that stay below SQLite's limit of bound values."""

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from storage.models import Table

Row = TypeVar("Row", bound=Table)
VALUES_A_QUERY = 500


async def list_by(
    session: AsyncSession,
    table: type[Row],
    column: InstrumentedAttribute[Any],
    values: Sequence[Any],
) -> list[Row]:
    """List the rows whose column has one of the values, in no particular order."""
    found: list[Row] = []
    for at in range(0, len(values), VALUES_A_QUERY):
        some = values[at : at + VALUES_A_QUERY]
        found += await session.scalars(select(table).where(column.in_(some)))
    return found
