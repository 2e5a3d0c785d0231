"""Load a public data set or the simulated world into the warehouse, or into a folder of Parquet files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from ml.contracts import TABLES
from ml.contracts.base import arrow_schema
from ml.errors import UsageError, usable
from ml.seams.dialects import published
from ml.seams.warehouse import LOADED, Warehouse, connect
from ml.sources import WORLD, source
from ml.sources import load as read_source

_PLANS = ("promotions", "events")
Rows: TypeAlias = "pa.Table | pa.RecordBatchReader"
Progress = Callable[[str, int], None]


def tables_of(
    name: str, *, path: Path | None = None, size: str = "small", seed: int = 7, end: date | None = None
) -> tuple[dict[str, Rows], Mapping[str, int]]:
    """The contract tables of the world or of a public data set, and the rows left out by reason.

    A source without promotions or events has these tables, empty: a plan may hold nothing.
    """
    if name == WORLD:
        from ml.world import DEFAULT_END, readers

        tables: dict[str, Rows] = dict(readers(size, seed, end or DEFAULT_END))
        dropped: Mapping[str, int] = {}
    else:
        read = read_source(name, _given(name, path))
        tables, dropped = dict(read.tables), read.dropped
    for plan in _PLANS:
        tables.setdefault(plan, arrow_schema(TABLES[plan]).empty_table())
    return tables, dropped


def _given(name: str, path: Path | None) -> Path:
    origin = source(name).ORIGIN
    if path is None:
        raise UsageError(
            f"{name} is a public data set, read from files",
            expected="--path DIR, the folder with its files",
            next_step=f"get the original from {origin}",
        )
    return path


def load(
    url: str,
    name: str,
    tables: Mapping[str, Rows],
    *,
    replace: bool = False,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Make the warehouse hold these contract tables and no others; returns the rows written by table.

    Raises UsageError, before anything is written, if it holds contract tables that Bellwether did not load and
    `replace` is not set.
    """
    with connect(url) as warehouse:
        there = _present(warehouse)
        others = sorted(there & set(TABLES))
        if others and published(LOADED) not in there and not replace:
            raise UsageError(
                "the warehouse holds contract tables that Bellwether did not load",
                found=f"{', '.join(others)} in {warehouse.address}",
                expected="an empty warehouse, or one that `bellwether load` filled",
                next_step="set BELLWETHER_WAREHOUSE_URL to another database, or add --replace to overwrite them",
            )
        rows = _write(warehouse, name, tables, progress or _silent)
        stale = [table for table in others if table not in tables]
        if stale:
            warehouse.remove(stale)
        return rows


def _present(warehouse: Warehouse) -> set[str]:
    try:
        return warehouse.tables()
    except UsageError:  # a DuckDB file that is not there yet: the first write makes it
        return set()


def _write(warehouse: Warehouse, name: str, tables: Mapping[str, Rows], progress: Progress) -> dict[str, int]:
    warehouse.mark_loaded(name)
    written = {}
    for table, rows in tables.items():
        stream = Counted(rows)
        warehouse.write(table, stream.reader)
        written[table] = stream.rows
        progress(table, stream.rows)
    return written


class Counted:
    """A stream of batches that counts the rows that pass."""

    def __init__(self, rows: Rows) -> None:
        source = rows.to_reader() if isinstance(rows, pa.Table) else rows
        self.rows = 0
        self.reader = pa.RecordBatchReader.from_batches(source.schema, self._passing(source))

    def _passing(self, source: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        for batch in source:
            self.rows += batch.num_rows
            yield batch


def _silent(_table: str, _rows: int) -> None:
    """Progress for nobody."""


def write_folder(folder: Path, tables: Mapping[str, Rows]) -> dict[str, int]:
    """One Parquet file a table, as `bellwether score --tables` reads them; returns the rows written by table."""
    with usable(folder, "name another folder: --to DIR"):
        folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for name, rows in tables.items():
        stream = Counted(rows)
        with pq.ParquetWriter(folder / f"{name}.parquet", stream.reader.schema, compression="zstd") as writer:
            for batch in stream.reader:
                writer.write_batch(batch)
        written[name] = stream.rows
    return written
