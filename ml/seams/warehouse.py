"""The warehouse: whatever database a user has, seen as contract tables that travel as Arrow batches.

PostgreSQL goes through ADBC, DuckDB natively, everything else through a SQLAlchemy cursor; the URL decides.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from types import TracebackType

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import BigInteger, Column, Date, DateTime, MetaData, Table, Text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from ml.contracts import TABLES
from ml.contracts.base import event_time
from ml.errors import DataRejected, UsageError
from ml.seams.conform import check_types, conform, known_before, known_until, nullable_schema
from ml.seams.contents import as_contract, digest
from ml.seams.dialects import Driver, published

_DAY = timedelta(days=1)


LOADED = "loaded"
_LOADED = Table(
    published(LOADED),
    MetaData(),
    Column("name", Text),
    Column("loaded_at", DateTime),
    info={"event_time": None},
)


@dataclass(frozen=True, slots=True)
class Label:
    """What the publications of a family in the warehouse say of themselves; swapped in with them."""

    family: str
    version: str
    as_of: date
    data_digest: str
    run_id: str
    rows: Mapping[str, int]

    @property
    def name(self) -> str:
        """The publication that holds it."""
        return f"{self.family}_publication"

    def table(self) -> pa.Table:
        """One row a publication."""
        said = {
            "version": self.version,
            "as_of": self.as_of,
            "data_digest": self.data_digest,
            "run_id": self.run_id,
        }
        rows = [{"publication": name, "rows": count, **said} for name, count in sorted(self.rows.items())]
        return pa.Table.from_pylist(rows, _LABEL)


_LABEL = pa.schema(
    {
        "publication": pa.string(),
        "rows": pa.int64(),
        "version": pa.string(),
        "as_of": pa.date32(),
        "data_digest": pa.string(),
        "run_id": pa.string(),
    }
)


@dataclass(frozen=True, slots=True)
class Survey:
    """How a table of the warehouse differs from its contract, within what is allowed."""

    present: tuple[str, ...]
    missing_optional: tuple[str, ...]
    extra: tuple[str, ...]


class Warehouse:
    """Reads contract tables, replaces them (`load`), and swaps publications in. Made by `connect`."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.address = driver.address

    def __enter__(self) -> Warehouse:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of connections."""
        self._driver.close()

    def tables(self) -> set[str]:
        """Names of tables and views."""
        return self._driver.tables()

    def columns(self, table: str) -> dict[str, str]:
        """Column names with the database's own names of their types."""
        return self._driver.columns(table)

    def survey(self, contract: Table) -> Survey:
        """Compare a table's columns with its contract. Raises DataRejected when it cannot be read as one."""
        if contract.name not in (known := self.tables()):
            raise _no_table(contract.name, known, self.address)
        found = self.columns(contract.name)
        wanted = {column.name: column.nullable for column in contract.columns}
        required = [name for name, nullable in wanted.items() if not nullable and name not in found]
        if required:
            raise _no_columns(contract.name, required, found)
        return Survey(
            present=tuple(name for name in wanted if name in found),
            missing_optional=tuple(name for name in wanted if name not in found),
            extra=tuple(sorted(set(found) - set(wanted))),
        )

    def read(self, contract: Table, before: date) -> pa.RecordBatchReader:
        """The contract's columns of all rows known before that day began (UTC), in the database's order.

        Known are rows with an earlier event time, plans up to `known_ahead` beyond it, and rows without
        time (whether these may stay is for validation to say; all columns are nullable here for that reason).
        """
        names = self.survey(contract).present
        until = known_until(contract, before)
        called = self.columns(contract.name)
        raw = self._driver.scan(contract, names, until and until + _DAY)
        check_types(contract, raw.schema, called)
        # databases compare times by their own zone, so theirs is only a first cut
        rows = (known_before(contract, batch, before) for batch in conform(contract, raw))
        return pa.RecordBatchReader.from_batches(nullable_schema(contract), rows)

    def rows_by_day(self, contract: Table, before: date) -> dict[date, int]:
        """How many rows have their event time on each day before `before`; reads that one column.

        Raises DataRejected as `read` does.
        """
        when = event_time(contract)
        if when is None:
            return {}
        self.survey(contract)
        called = self.columns(contract.name)
        raw = self._driver.scan(contract, [when], datetime.combine(before, time()))
        check_types(contract, raw.schema, called, only=(when,))
        counts: Counter[date] = Counter()
        for batch in raw:
            days = pc.value_counts(batch.column(when).cast(pa.timestamp("us")).cast(pa.date32(), safe=False))
            counts.update({item["values"]: item["counts"] for item in days.to_pylist() if item["values"]})
        return {day: count for day, count in sorted(counts.items()) if day < before}

    def write(self, name: str, rows: pa.Table | pa.RecordBatchReader) -> None:
        """Replace a contract table by these rows: all of them, or on any error none."""
        contract = TABLES[name]
        reader = rows.to_reader() if isinstance(rows, pa.Table) else rows
        check_types(contract, reader.schema, {})
        schema = nullable_schema(contract)
        self._driver.write(name, pa.RecordBatchReader.from_batches(schema, conform(contract, reader)))

    def swap(self, publications: Mapping[str, pa.Table], label: Label | None = None) -> None:
        """Replace the tables `bellwether_<name>` in one transaction; lists are stored as JSON text.

        With a label, the warehouse says from then on what they are of.
        """
        named = {**publications, **({label.name: label.table()} if label else {})}
        self._driver.swap({published(name): table for name, table in named.items()})

    def label(self, family: str) -> Label | None:
        """What the family's publications say of themselves; None where there are none."""
        name = published(f"{family}_publication")
        if name not in self.tables():
            return None
        kinds = (Text, BigInteger, Text, Date, Text, Text)
        columns = (Column(column, kind) for column, kind in zip(_LABEL.names, kinds, strict=True))
        table = Table(name, MetaData(), *columns, info={"event_time": None})
        rows = self._driver.scan(table, _LABEL.names, None).read_all().to_pylist()
        if not rows:
            return None
        said = {key: rows[0][key] for key in ("version", "as_of", "data_digest", "run_id")}
        return Label(family, **said, rows={row["publication"]: row["rows"] for row in rows})

    def count(self, publication: str) -> int | None:
        """How many rows a publication has in the warehouse; None where it is not there."""
        name = published(publication)
        return self._driver.count(name) if name in self.tables() else None

    def digest(self, publication: str, columns: Mapping[str, str]) -> str | None:
        """The digest of the rows that a publication has now (`ml.seams.contents`); None if it has other columns."""
        name = published(publication)
        if set(self.columns(name)) != set(columns):
            return None
        contract = as_contract(name, columns)
        try:
            return digest(columns, self._driver.scan(contract, list(contract.columns.keys()), None))
        except DataRejected:
            return None

    def loaded(self) -> bool:
        """Whether `bellwether load` filled it: such a shop does not grow by itself."""
        return published(LOADED) in self.tables()

    def mark_loaded(self, name: str) -> None:
        """Note that `bellwether load` fills the contract tables now: they hold another shop than before."""
        loaded_at = datetime.now(UTC).replace(tzinfo=None)
        self.swap({LOADED: pa.table({"name": [name], "loaded_at": [loaded_at]})})

    def shop(self) -> str:
        """Whose data this is: the address, and what was loaded when, if `bellwether load` did."""
        if published(LOADED) not in self.tables():
            return self.address
        rows = self._driver.scan(_LOADED, ["name", "loaded_at"], None).read_all().to_pylist()
        return " ".join([self.address, *(f"{row['name']} {row['loaded_at']}" for row in rows)])

    def remove(self, names: Sequence[str]) -> None:
        """Drop these contract tables, all or none. Raises UsageError if one of them is a view."""
        self._driver.remove([TABLES[name].name for name in names])


def connect(url: str) -> Warehouse:
    """The warehouse at a SQLAlchemy URL; connects when first asked for something."""
    return Warehouse(_driver(_parsed(url)))


def _driver(url: URL) -> Driver:
    match url.get_backend_name():
        case "postgresql":
            from ml.seams.dialects.by_adbc import PostgreSQL

            return PostgreSQL(url)
        case "duckdb":
            from ml.seams.dialects.by_duckdb import DuckDB

            return DuckDB(url)
        case _:
            from ml.seams.dialects.by_cursor import Cursor

            return Cursor(url)


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
        parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise UsageError(
            "the warehouse's address cannot be used",
            found=str(error) if isinstance(error, ImportError | NoSuchModuleError) else "not a URL",
            expected="a SQLAlchemy URL such as postgresql+psycopg://user@host/db or duckdb:///file.duckdb",
            next_step="correct BELLWETHER_WAREHOUSE_URL, or install that database's driver",
        ) from error
    if "password" in parsed.query:
        raise UsageError(
            "the warehouse's address has its password after the question mark, where messages would show it",
            expected="user:password@host, whose password is never shown",
            next_step="move it in BELLWETHER_WAREHOUSE_URL",
        )
    return parsed


def _no_table(name: str, known: set[str], address: str) -> DataRejected:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
    listed = ", ".join(sorted(known)[:20]) or "no table at all"
    return DataRejected(
        f"table {name} is missing in the warehouse {address}",
        found=f"{near[0]} (is that the one?)" if near else listed,
        expected=f"a table or view named {name}",
        next_step=f"create a view named {name} over your own table; `docs/contracts.md` lists its columns",
    )


def _no_columns(table: str, missing: list[str], found: Mapping[str, str]) -> DataRejected:
    noun = "column" if len(missing) == 1 else "columns"
    return DataRejected(
        f"table {table}: required {noun} {', '.join(missing)} missing",
        found=", ".join(found) or "no columns",
        expected=", ".join(column.name for column in TABLES[table].columns),
        next_step=f"add the {noun} to the table, or make a view named {table} that has all of them",
    )
