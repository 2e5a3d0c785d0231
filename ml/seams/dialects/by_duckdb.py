"""A warehouse that is a DuckDB file: read natively, read-only, and streamed; views over Parquet included."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
from sqlalchemy import Table
from sqlalchemy.engine import URL

from ml.contracts.base import event_time
from ml.errors import DataRejected, SeamUnavailable, UsageError
from ml.seams.dialects import LOCK_WAIT_S, flat, is_time, keeping_class, not_a_table, quoted, unreadable

BATCH_ROWS = 122_880
LIMITS = {"threads": 2, "memory_limit": "2GB"}
MEMORY = ":memory:"


def create_table(connection: duckdb.DuckDBPyConnection, table: str, rows: pa.RecordBatchReader) -> None:
    """Create or replace a table from a stream of batches."""
    with keeping_class(rows) as stream:
        connection.register("incoming_rows", stream)
        connection.execute(f"CREATE OR REPLACE TABLE {quoted(table)} AS FROM incoming_rows")
        connection.unregister("incoming_rows")


class DuckDB:
    """`duckdb:///path/to/file.duckdb`, or `duckdb:///:memory:` for tests."""

    def __init__(self, url: URL) -> None:
        self.address = url.render_as_string()
        self._file = url.database or MEMORY
        self._connection: duckdb.DuckDBPyConnection | None = None

    def tables(self) -> set[str]:
        """Tables and views of the default schema."""
        rows = self._ask(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
        )
        return {str(name) for (name,) in rows}

    def columns(self, table: str) -> dict[str, str]:
        """Names and types, of views too."""
        with self._told(table):
            return {str(row[0]): str(row[1]) for row in self._ask(f"DESCRIBE {quoted(table)}")}

    def count(self, table: str) -> int:
        """How many rows it has."""
        with self._told(table):
            return int(str(self._ask(f"SELECT count(*) FROM {quoted(table)}")[0][0]))

    def scan(self, contract: Table, names: Sequence[str], until: datetime | None) -> pa.RecordBatchReader:
        """Stream the columns in batches of a fixed number of rows."""
        where, values = self._condition(contract, until)
        wanted = ", ".join(quoted(name) for name in names)
        with self._told(contract.name):
            result = self._reading().execute(f"SELECT {wanted} FROM {quoted(contract.name)} {where}", values)
            reader = result.to_arrow_reader(BATCH_ROWS)
        return pa.RecordBatchReader.from_batches(reader.schema, self._watched(contract.name, reader))

    def write(self, table: str, rows: pa.RecordBatchReader) -> None:
        """Replace a table in one transaction."""
        with self._writing() as connection, self._told(table):
            create_table(connection, table, rows)

    def swap(self, tables: Mapping[str, pa.Table]) -> None:
        """Replace all tables in one transaction; readers wait for the file's lock or see the old ones."""
        with self._writing() as connection:
            for name, table in tables.items():
                with self._told(name):
                    create_table(connection, name, flat(table).to_reader())

    def remove(self, tables: Sequence[str]) -> None:
        """Drop all these tables in one transaction."""
        with self._writing() as connection:
            for table in tables:
                with self._told(table):
                    connection.execute(f"DROP TABLE IF EXISTS {quoted(table)}")

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _condition(self, contract: Table, until: datetime | None) -> tuple[str, list[datetime]]:
        when = event_time(contract)
        if until is None or when is None or not is_time(self.columns(contract.name)[when]):
            return "", []
        return f"WHERE {quoted(when)} < ? OR {quoted(when)} IS NULL", [until]

    def _watched(self, table: str, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        with self._told(table):
            yield from reader

    def _ask(self, query: str) -> list[tuple[object, ...]]:
        rows: list[tuple[object, ...]] = self._reading().execute(query).fetchall()
        return rows

    def _reading(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            self._require_file()
            self._connection = self._open(read_only=self._file != MEMORY)
        return self._connection

    def _require_file(self) -> None:
        if self._file != MEMORY and not Path(self._file).is_file():
            raise UsageError(
                f"no warehouse at {self.address}",
                found="no such file",
                expected="a DuckDB database file",
                next_step="set BELLWETHER_WAREHOUSE_URL, or fill one: bellwether load world --size small",
            )

    @contextmanager
    def _writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        connection = self._for_writing()
        try:
            connection.begin()
            yield connection
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
        finally:
            if connection is not self._connection:
                connection.close()

    def _for_writing(self) -> duckdb.DuckDBPyConnection:
        if self._file == MEMORY:
            return self._reading()
        self.close()
        Path(self._file).parent.mkdir(parents=True, exist_ok=True)
        return self._open(read_only=False)

    def _open(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        """Open the file; another process that writes holds it alone, so wait for a while."""
        give_up = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                return duckdb.connect(self._file, read_only=read_only, config=LIMITS)
            except (duckdb.IOException, duckdb.ConnectionException) as error:
                if not _is_lock(error) or time.monotonic() > give_up:
                    raise self._away(error) from error
                time.sleep(0.2)

    def _away(self, error: Exception) -> SeamUnavailable | UsageError:
        if "not a valid DuckDB" in str(error):
            return UsageError(
                f"warehouse {self.address}", found=str(error), expected="a DuckDB database file"
            )
        return SeamUnavailable(
            f"the warehouse {self.address} cannot be opened",
            found=" ".join(str(error).split()),
            expected="a file that no other process is writing",
            next_step="wait for the other process, or use PostgreSQL where many write at once",
        )

    @contextmanager
    def _told(self, table: str) -> Iterator[None]:
        try:
            yield
        except duckdb.CatalogException as error:
            raise not_a_table(table, str(error).splitlines()[0]) from error
        except (duckdb.TransactionException, duckdb.IOException) as error:
            raise self._away(error) from error
        except duckdb.InvalidInputException as error:
            raise _garbled(table, error) if "UTF" in str(error) else unreadable(table, error) from error
        except duckdb.Error as error:
            raise unreadable(table, error) from error


def _is_lock(error: Exception) -> bool:
    return "Could not set lock" in str(error) or "different configuration" in str(error)


def _garbled(table: str, error: Exception) -> DataRejected:
    return DataRejected(
        f"table {table}: text that is not UTF-8",
        found=" ".join(str(error).split())[:400],
        expected="UTF-8",
        next_step="write the file again as UTF-8, or read the column as BLOB in a view and decode it there",
    )
