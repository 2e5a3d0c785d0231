"""How a warehouse table is declared, and what is derived from the declaration.

A contract is a SQLAlchemy `Table`. Its primary key is the key of a row; `info` holds the rest:

- `event_time`: the column that says when the row became true (None: the table has no time and is taken whole);
- `late_by`: rows may still arrive this long after their event time;
- `known_ahead`: plans are in the table this long before they begin (promotions, events).

Times are naive UTC with microseconds, so that the same instant is the same bytes in every warehouse.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pyarrow as pa
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKey,
    MetaData,
    Table,
    Text,
)

metadata = MetaData()

_ARROW: tuple[tuple[type, pa.DataType], ...] = (
    (Text, pa.string()),
    (Boolean, pa.bool_()),
    (BigInteger, pa.int64()),
    (Double, pa.float64()),
    (DateTime, pa.timestamp("us")),
    (Date, pa.date32()),
)


def table(
    name: str,
    *columns: Column[object],
    event_time: str | None,
    late_by: timedelta = timedelta(0),
    known_ahead: timedelta = timedelta(0),
) -> Table:
    """Declare one contract table (see the module's docstring for the meaning of each argument)."""
    info = {"event_time": event_time, "late_by": late_by, "known_ahead": known_ahead}
    return Table(name, metadata, *columns, info=info)


def key_column(name: str, kind: type = Text, *, references: str | None = None) -> Column[object]:
    """A column of the table's key."""
    return _column(name, kind, references, primary_key=True, nullable=False)


def required(name: str, kind: type, *, references: str | None = None) -> Column[object]:
    """A column that is never null."""
    return _column(name, kind, references, nullable=False)


def optional(name: str, kind: type) -> Column[object]:
    """A column that may be null (marked `?` in the documentation)."""
    return Column(name, kind(), nullable=True)


def image(name: str) -> Column[object]:
    """A column that may hold an image, as a data URI or as the address of one."""
    return Column(name, Text(), nullable=True, info={"image": True})


def _column(name: str, kind: type, references: str | None, **flags: bool) -> Column[object]:
    keys = [ForeignKey(references)] if references else []
    if flags.get("primary_key"):
        return Column(name, kind(), *keys, primary_key=True, nullable=False, autoincrement=False)
    return Column(name, kind(), *keys, nullable=flags["nullable"])


def event_time(contract: Table) -> str | None:
    """Name of the event-time column, or None."""
    name: str | None = contract.info["event_time"]
    return name


def key(contract: Table) -> tuple[str, ...]:
    """Names of the key's columns, in order."""
    return tuple(column.name for column in contract.primary_key.columns)


def references(contract: Table) -> dict[str, str]:
    """Foreign keys: column name -> "table.column"."""
    return {
        column.name: foreign.target_fullname for column in contract.columns for foreign in column.foreign_keys
    }


def images(contract: Table) -> tuple[str, ...]:
    """Names of the columns that may hold images."""
    return tuple(column.name for column in contract.columns if column.info.get("image"))


def arrow_type(column: Column[object]) -> pa.DataType:
    """The Arrow type in which a contract column is kept."""
    for kind, arrow in _ARROW:
        if isinstance(column.type, kind):
            return arrow
    raise TypeError(f"no Arrow type for {column}")


def arrow_schema(contract: Table) -> pa.Schema:
    """The schema of a snapshot of this table: the contract's columns in the contract's order."""
    return pa.schema(
        [
            pa.field(column.name, arrow_type(column), nullable=bool(column.nullable))
            for column in contract.columns
        ]
    )


def sort_order(contract: Table) -> Sequence[str]:
    """Event time, then key, then every other column: a total order, so that equal tables are equal bytes."""
    first = [name for name in (event_time(contract), *key(contract)) if name is not None]
    ordered = list(dict.fromkeys(first))
    return [*ordered, *(column.name for column in contract.columns if column.name not in ordered)]
