"""A warehouse on PostgreSQL: rows leave through COPY as Arrow batches (ADBC), and enter the same way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pyarrow as pa
from adbc_driver_manager import Error as AdbcError
from adbc_driver_manager import OperationalError
from adbc_driver_postgresql import dbapi
from sqlalchemy import Table
from sqlalchemy.engine import URL

from ml.config import to_reach
from ml.contracts.base import event_time
from ml.errors import BellwetherError, SeamUnavailable, UsageError
from ml.seams.dialects import LOCK_WAIT_S, flat, is_time, keeping_class, not_a_table, quoted, unreadable

_TABLES = """SELECT relname::text FROM pg_class
WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND pg_table_is_visible(oid)
AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)"""
_COLUMNS = """SELECT attname::text, format_type(atttypid, atttypmod), typtype = 'e'
FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum"""
_AWAY = ("08", "53", "55P03", "57P", "40001", "40P01")
"""SQLSTATE: connection lost, out of resources, lock not available, shutting down, serialisation, deadlock."""
_PUBLISHING = 7_305_802_401_337
"""Advisory lock: one swap at a time."""


class PostgreSQL:
    """Any SQLAlchemy URL of PostgreSQL, whatever driver it names; Unix sockets as `?host=/folder`."""

    def __init__(self, url: URL) -> None:
        self.address = url.render_as_string()
        patient = {"connect_timeout": "10", **url.query}
        self._uri = url.set(drivername="postgresql", query=patient).render_as_string(hide_password=False)
        self._url, self._secret = url.render_as_string(hide_password=False), url.password
        self._connection: Any = None
        self._scans: list[Any] = []

    def tables(self) -> set[str]:
        """Tables, partitioned and foreign tables, and views on the search path."""
        return {str(row[0]) for row in self._ask(_TABLES)}

    def columns(self, table: str) -> dict[str, str]:
        """Names and types as PostgreSQL prints them; an enumeration is `enum NAME`."""
        rows = self._ask(_COLUMNS, (quoted(table),))
        return {str(name): f"enum {kind}" if is_enum else str(kind) for name, kind, is_enum in rows}

    def count(self, table: str) -> int:
        """How many rows it has."""
        return int(str(self._ask(f"SELECT count(*) FROM {quoted(table)}")[0][0]))

    def scan(self, contract: Table, names: Sequence[str], until: datetime | None) -> pa.RecordBatchReader:
        """COPY the columns out in binary batches of a few megabytes, in one statement and so one snapshot."""
        kinds = self.columns(contract.name)
        wanted = ", ".join(_selected(name, kinds[name]) for name in names)
        when = event_time(contract)
        bound = until if when is not None and is_time(kinds[when]) else None
        query = f"SELECT {wanted} FROM {quoted(contract.name)}{_condition(when, bound)}"
        with self._told(contract.name):
            cursor = self._scanning()
            cursor.execute(query)
            reader = cursor.fetch_record_batch()
        return pa.RecordBatchReader.from_batches(reader.schema, self._watched(contract.name, cursor, reader))

    def write(self, table: str, rows: pa.RecordBatchReader) -> None:
        """Build the table anew beside the old one and take its place, in one transaction."""
        fresh = f"{table}__loading"
        with self._transaction(table) as cursor, keeping_class(rows) as stream:
            cursor.execute(f"DROP TABLE IF EXISTS {quoted(fresh)}")
            cursor.adbc_ingest(fresh, stream, mode="create")
            cursor.execute(f"DROP TABLE IF EXISTS {quoted(table)}")
            cursor.execute(f"ALTER TABLE {quoted(fresh)} RENAME TO {quoted(table)}")

    def swap(self, tables: Mapping[str, pa.Table]) -> None:
        """DELETE and COPY in one transaction: a statement of a reader sees all old rows or all new ones.

        (DROP and TRUNCATE would not do: a reader's older snapshot would find the new table empty.)
        """
        with self._transaction(", ".join(tables)) as cursor:
            cursor.execute(f"SELECT pg_advisory_xact_lock({_PUBLISHING})")
            cursor.fetchall()
            for name, table in tables.items():
                self._replace_rows(cursor, name, flat(table))

    def remove(self, tables: Sequence[str]) -> None:
        """Drop all these tables in one transaction."""
        with self._transaction(", ".join(tables)) as cursor:
            for table in tables:
                cursor.execute(f"DROP TABLE IF EXISTS {quoted(table)}")

    def close(self) -> None:
        """Let go of the connection, and of scans that were not read to their end."""
        while self._scans:
            self._scans.pop().close()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _replace_rows(self, cursor: Any, name: str, table: pa.Table) -> None:
        if _same_columns(cursor, name, table.schema):
            cursor.execute(f"DELETE FROM {quoted(name)}")
            cursor.adbc_ingest(name, table, mode="append")
        else:
            cursor.execute(f"DROP TABLE IF EXISTS {quoted(name)}")
            cursor.adbc_ingest(name, table, mode="create")

    def _watched(self, table: str, cursor: Any, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        with self._told(table):
            yield from reader
            cursor.close()
            self._scans.remove(cursor)

    @contextmanager
    def _transaction(self, table: str) -> Iterator[Any]:
        """A connection of its own, committed at the end; rows that fail to arrive leave nothing behind."""
        with self._told(table), dbapi.connect(self._uri) as connection, connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{int(LOCK_WAIT_S * 1000)}ms'")
            yield cursor
            connection.commit()

    def _ask(self, query: str, values: Sequence[str] = ()) -> list[tuple[object, ...]]:
        with self._told("pg_catalog"), self._open().cursor() as cursor:
            cursor.execute(query, values or None)
            rows: list[tuple[object, ...]] = cursor.fetchall()
            return rows

    def _scanning(self) -> Any:
        cursor = self._open().cursor()
        self._scans.append(cursor)
        return cursor

    def _open(self) -> Any:
        if self._connection is None:
            self._connection = dbapi.connect(self._uri)
        return self._connection

    @contextmanager
    def _told(self, table: str) -> Iterator[None]:
        try:
            yield
        except BellwetherError:
            raise
        except (AdbcError, pa.ArrowException, OSError) as error:
            raise self._explained(table, error) from error

    def _explained(self, table: str, error: Exception) -> BellwetherError:
        state = getattr(error, "sqlstate", None) or ""
        if state.startswith(_AWAY) or (not state and isinstance(error, OperationalError | OSError)):
            return self._away(error)
        if state in ("2BP01", "42809"):
            return not_a_table(table, self._text(error))
        if state == "42501":
            return UsageError(f"no permission on {table} in {self.address}", found=self._text(error))
        return unreadable(table, error)

    def _away(self, error: Exception) -> SeamUnavailable:
        return SeamUnavailable(
            f"the warehouse PostgreSQL at {self.address} is away or locked",
            found=self._text(error),
            expected="a server that answers",
            next_step=to_reach(self._url, "start the server, or correct BELLWETHER_WAREHOUSE_URL"),
        )

    def _text(self, error: Exception) -> str:
        text = " ".join(str(error).split())[:400]
        return text.replace(str(self._secret), "***") if self._secret else text


def _selected(name: str, kind: str) -> str:
    """A column as ADBC can carry it: exact numbers as doubles, enumerations and fixed-width text as text."""
    column = quoted(name)
    if kind.startswith("numeric"):
        return f"{column}::float8 AS {column}"
    if kind.startswith(("enum ", "character(", "uuid", "citext")):
        return f"{column}::text AS {column}"
    return column


def _condition(when: str | None, until: datetime | None) -> str:
    if when is None or until is None:
        return ""
    return f" WHERE {quoted(when)} < TIMESTAMP '{until.isoformat(sep=' ')}' OR {quoted(when)} IS NULL"


def _same_columns(cursor: Any, name: str, schema: pa.Schema) -> bool:
    cursor.execute("SELECT to_regclass($1) IS NOT NULL", (quoted(name),))
    if not cursor.fetchone()[0]:
        return False
    cursor.execute(f"SELECT * FROM {quoted(name)} LIMIT 0")
    return bool(cursor.fetch_arrow_table().schema.equals(schema.remove_metadata()))
