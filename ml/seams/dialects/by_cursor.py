"""Any other database that SQLAlchemy speaks to: a server-side cursor, turned into Arrow batches here.

Such databases may be loosely typed (SQLite keeps any value in any column): it is values that are checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ml.contracts.base import arrow_schema, event_time
from ml.errors import BellwetherError, DataRejected, SeamUnavailable
from ml.seams.conform import WORDS
from ml.seams.dialects import LOCK_WAIT_S, flat, not_a_table, unreadable

BATCH_ROWS = 20_000


def _number(value: Any) -> float:
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return float(value)
    raise ValueError(value)


def _whole(value: Any) -> int:
    if isinstance(value, int | Decimal) and not isinstance(value, bool) and value == int(value):
        return int(value)
    raise ValueError(value)


def _truth(value: Any) -> bool:
    if value in (0, 1):
        return bool(value)
    raise ValueError(value)


def _moment(value: Any) -> datetime:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        raise ValueError(value)
    return value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)


def _day(value: Any) -> date:
    moment = _moment(value)
    if moment.time() != time():
        raise ValueError(value)
    return moment.date()


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, bytes):
        return value
    raise ValueError(value)


_READ: Mapping[pa.DataType, Callable[[Any], object]] = {
    pa.string(): _bytes,
    pa.int64(): _whole,
    pa.float64(): _number,
    pa.bool_(): _truth,
    pa.timestamp("us"): _moment,
    pa.date32(): _day,
}

"""What is not UTF-8 travels on, to be counted and shown."""

_SQL: tuple[tuple[Callable[[pa.DataType], bool], type[Any]], ...] = (
    (pa.types.is_boolean, sa.Boolean),
    (pa.types.is_integer, sa.BigInteger),
    (pa.types.is_floating, sa.Double),
    (pa.types.is_timestamp, sa.DateTime),
    (pa.types.is_date, sa.Date),
    (pa.types.is_string, sa.Text),
)


class Cursor:
    """Reads with `yield_per`, writes with `executemany`."""

    def __init__(self, url: URL) -> None:
        self.address = url.render_as_string()
        self._engine = sa.create_engine(url, pool_pre_ping=True, connect_args=_arguments(url))
        self._writer = self._engine.execution_options(writes=True)
        if url.get_backend_name() == "sqlite":
            sa.event.listen(self._engine, "connect", _sqlite_connected)
            sa.event.listen(self._engine, "begin", _sqlite_begun)

    def tables(self) -> set[str]:
        """Tables and views of the default schema."""
        with self._told("the catalogue"):
            found = sa.inspect(self._engine)
            return {*found.get_table_names(), *found.get_view_names()}

    def columns(self, table: str) -> dict[str, str]:
        """Names and declared types."""
        with self._told(table):
            return {str(c["name"]): str(c["type"]) for c in sa.inspect(self._engine).get_columns(table)}

    def count(self, table: str) -> int:
        """How many rows it has."""
        with self._told(table), self._engine.connect() as connection:
            return int(connection.scalar(sa.select(sa.func.count()).select_from(sa.table(table))) or 0)

    def scan(self, contract: sa.Table, names: Sequence[str], until: datetime | None) -> pa.RecordBatchReader:
        """Read raw values, and turn them into the contract's types one batch at a time."""
        schema = pa.schema([arrow_schema(contract).field(name) for name in names])
        table = sa.table(contract.name, *[sa.column(name) for name in names])
        query = sa.select(table).where(_condition(contract, until))
        return pa.RecordBatchReader.from_batches(schema, self._batches(contract.name, schema, query))

    def write(self, table: str, rows: pa.RecordBatchReader) -> None:
        """Replace a table in one transaction."""
        with self._told(table), self._writer.begin() as connection:
            _replace(connection, table, rows)

    def swap(self, tables: Mapping[str, pa.Table]) -> None:
        """Replace all tables in one transaction."""
        with self._told(", ".join(tables)), self._writer.begin() as connection:
            for name, table in tables.items():
                _replace(connection, name, flat(table).to_reader(BATCH_ROWS))

    def remove(self, tables: Sequence[str]) -> None:
        """Drop all these tables in one transaction."""
        with self._told(", ".join(tables)), self._writer.begin() as connection:
            for table in tables:
                sa.Table(table, sa.MetaData()).drop(connection, checkfirst=True)

    def close(self) -> None:
        """Let go of connections."""
        self._engine.dispose()

    def _batches(self, table: str, schema: pa.Schema, query: sa.Select[Any]) -> Iterator[pa.RecordBatch]:
        with self._told(table), self._engine.connect() as connection:
            result = connection.execution_options(yield_per=BATCH_ROWS).execute(query)
            for part in result.partitions():
                columns = zip(*part, strict=True)
                arrays = [_array(table, f, values) for f, values in zip(schema, columns, strict=True)]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    @contextmanager
    def _told(self, table: str) -> Iterator[None]:
        try:
            yield
        except BellwetherError:
            raise
        except DBAPIError as error:
            raise self._explained(table, error) from error
        except SQLAlchemyError as error:
            raise unreadable(table, error) from error

    def _explained(self, table: str, error: DBAPIError) -> BellwetherError:
        text = " ".join(str(error.orig).split())[:400]
        if "use DROP VIEW" in text:
            return not_a_table(table, text)
        if isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError):
            return SeamUnavailable(
                f"the warehouse {self.address} is away or locked",
                found=text,
                expected="a database that answers",
                next_step="start it, wait for the process that holds it, or correct BELLWETHER_WAREHOUSE_URL",
            )
        return unreadable(table, error.orig if isinstance(error.orig, Exception) else error)


def _condition(contract: sa.Table, until: datetime | None) -> sa.ColumnElement[bool]:
    when = event_time(contract)
    if when is None or until is None:
        return sa.true()
    kind = contract.columns[when].type
    column: sa.ColumnClause[Any] = sa.column(when, kind)
    return (column < (until if isinstance(kind, sa.DateTime) else until.date())) | column.is_(None)


def _arguments(url: URL) -> dict[str, Any]:
    return {"timeout": LOCK_WAIT_S} if url.get_backend_name() == "sqlite" else {}


def _sqlite_connected(connection: Any, _record: object) -> None:
    """Keep the bytes of text that is not UTF-8, and leave transactions to us (DDL is part of them then)."""
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    connection.isolation_level = None


def _sqlite_begun(connection: sa.Connection) -> None:
    """Writers take the lock at once: two that began as readers could not both go on."""
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _array(table: str, field: pa.Field, values: Sequence[Any]) -> pa.Array:
    read = _READ[field.type]
    kept = [None if value is None else _value(table, field, read, value) for value in values]
    if field.type == pa.string():
        return pc.cast(
            pa.array(kept, pa.binary()), options=pc.CastOptions(pa.string(), allow_invalid_utf8=True)
        )
    return pa.array(kept, field.type)


def _value(table: str, field: pa.Field, read: Callable[[Any], object], value: Any) -> object:
    try:
        return read(value)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise DataRejected(
            f"table {table}: wrong type in column {field.name}",
            found=f"{type(value).__name__} {value!r:.80}",
            expected=WORDS[field.type],
            next_step=f"mend the rows, or cast the column in a view named {table}",
        ) from error


def _replace(connection: sa.Connection, name: str, rows: pa.RecordBatchReader) -> None:
    table = sa.Table(name, sa.MetaData(), *[sa.Column(f.name, _sql_type(f.type)) for f in rows.schema])
    table.drop(connection, checkfirst=True)
    table.create(connection)
    for batch in rows:
        for start in range(0, batch.num_rows, BATCH_ROWS):
            connection.execute(sa.insert(table), batch.slice(start, BATCH_ROWS).to_pylist())


def _sql_type(kind: pa.DataType) -> type[Any]:
    return next(sql for fits, sql in _SQL if fits(kind))
