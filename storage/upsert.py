"""Finding many rows by one column, and inserting one unless it is there, on either database."""

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import TableValuedAlias, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from storage.models import Table

Row = TypeVar("Row", bound=Table)
VALUES_A_QUERY = 500  # below SQLite's limit of bound values


async def list_by(
    session: AsyncSession,
    table: type[Row],
    column: InstrumentedAttribute[Any],
    values: Sequence[Any],
) -> list[Row]:
    """List the rows whose column has one of the values, in no particular order."""
    rows: list[Row] = []
    for some in in_parts(values):
        rows += await session.scalars(select(table).where(column.in_(some)))
        await asyncio.sleep(0)  # there may be many, and others wait
    return rows


def in_parts(values: Sequence[Any]) -> list[Sequence[Any]]:
    """Split values into parts that one query may bind."""
    return [values[at : at + VALUES_A_QUERY] for at in range(0, len(values), VALUES_A_QUERY)]


def expand(session: AsyncSession, column: InstrumentedAttribute[list[int]]) -> TableValuedAlias:
    """Return the elements of a JSON list as a table to join, its column `value`."""
    on_postgres = session.get_bind().dialect.name == "postgresql"
    elements = func.json_array_elements_text if on_postgres else func.json_each
    return elements(column).table_valued("value")


async def insert_new(session: AsyncSession, table: type[Table], **values: Any) -> bool:
    """Insert a row unless one is in its way; False then, once whoever wrote that has committed."""
    return bool(await insert_all_new(session, table, [values]))


async def insert_all_new(
    session: AsyncSession, table: type[Table], rows: Sequence[dict[str, Any]]
) -> set[Any]:
    """Insert those rows that nothing is in the way of; return the first key column of each."""
    if not rows:
        return set()
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    inserted = await session.execute(
        dialect.insert(table)
        .values(list(rows))
        .on_conflict_do_nothing()
        .returning(*table.__table__.primary_key)
    )
    return {row[0] for row in inserted}
