"""How rows enter and leave each kind of database: one driver a module, all of one shape."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Protocol

import pyarrow as pa
from pyarrow import types
from sqlalchemy import Table

from ml.errors import BellwetherError, DataRejected, UsageError

LOCK_WAIT_S = 20.0
"""How long to wait for a lock before saying that the warehouse is locked (a task's retry waits longer)."""

BATCH_ROWS = 100_000
"""Rows of a table in memory that are looked at together."""

PREFIX = "bellwether_"
"""Published tables are named so, apart from the user's own."""


class Driver(Protocol):
    """What every kind of warehouse can do; raises only errors of `ml.errors`."""

    address: str

    def tables(self) -> set[str]:
        """Names of tables and views that can be read without naming a schema."""

    def columns(self, table: str) -> dict[str, str]:
        """Column names with the database's own names of their types, in order."""

    def count(self, table: str) -> int:
        """How many rows it has."""

    def scan(self, contract: Table, names: Sequence[str], until: datetime | None) -> pa.RecordBatchReader:
        """The named columns in batches; rows later than `until` may be left out (null times never are)."""

    def write(self, table: str, rows: pa.RecordBatchReader) -> None:
        """Replace a table by these rows, all or nothing."""

    def swap(self, tables: Mapping[str, pa.Table]) -> None:
        """Replace all these tables in one transaction."""

    def remove(self, tables: Sequence[str]) -> None:
        """Drop all these tables, in one transaction; a view is not ours to drop."""

    def close(self) -> None:
        """Let go of connections."""


def published(name: str) -> str:
    """Name of a publication's table in the warehouse."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", name):
        raise UsageError(
            "a publication needs a plain name", found=name, expected="lower-case letters, digits and _"
        )
    return PREFIX + name


def flat(table: pa.Table) -> pa.Table:
    """Lists as JSON text: every database stores it, and reads it back the same."""
    for position, field in enumerate(table.schema):
        if types.is_list(field.type) or types.is_large_list(field.type):
            texts = [None if v is None else json.dumps(v) for v in table.column(position).to_pylist()]
            table = table.set_column(
                position, pa.field(field.name, pa.string()), pa.array(texts, pa.string())
            )
    return table


@contextmanager
def keeping_class(rows: pa.RecordBatchReader) -> Iterator[pa.RecordBatchReader]:
    """The same batches for a consumer in C, through which only the text of an error would arrive.

    An error of ours that is raised while batches are made leaves this block as it was raised.
    """
    failures: list[BellwetherError] = []
    try:
        yield pa.RecordBatchReader.from_batches(rows.schema, _noting(rows, failures))
    except Exception:
        if failures:
            raise failures[0] from None
        raise


def _noting(rows: pa.RecordBatchReader, failures: list[BellwetherError]) -> Iterator[pa.RecordBatch]:
    try:
        yield from rows
    except BellwetherError as error:
        failures.append(error)
        raise


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def is_time(kind: str) -> bool:
    """Does the database's name of a type mean a day or a moment?"""
    return kind.lower().startswith(("date", "timestamp"))


def not_a_table(name: str, why: str) -> UsageError:
    """The name to be written belongs to something that is not ours to replace."""
    return UsageError(
        f"cannot replace {name} in the warehouse",
        found=why,
        expected="a plain table, or nothing of that name",
        next_step=f"rename or drop {name} yourself, or load into another database",
    )


def unreadable(table: str, error: Exception) -> DataRejected:
    """The database gave up in the middle of a table for a reason that lies in its rows."""
    return DataRejected(
        f"table {table} cannot be read",
        found=" ".join(str(error).split())[:400],
        expected="rows in the types of the contract",
        next_step=f"run SELECT * FROM {table} in the warehouse and mend the rows or the view",
    )
