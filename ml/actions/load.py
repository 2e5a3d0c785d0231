"""Load a public data set or the simulated world into the warehouse, or into a folder of Parquet files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ml.contracts import TABLES
from ml.contracts.base import arrow_schema
from ml.errors import UsageError
from ml.seams.warehouse import Warehouse, connect

log = logging.getLogger(__name__)
WORLD = "world"
MARKER = "loaded"
_PLANS = ("promotions", "events")
Progress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was loaded, and what the adapter left out and why."""

    name: str
    rows: Mapping[str, int]
    dropped: Mapping[str, int] = field(default_factory=dict)


def tables_of(
    name: str, *, path: Path | None = None, size: str = "small", seed: int = 7, end: date | None = None
) -> tuple[dict[str, pa.Table], Mapping[str, int]]:
    """The contract tables of the world or of a public data set, and the rows left out by reason.

    A source without promotions or events has these tables, empty: a plan may hold nothing.
    """
    if name == WORLD:
        from ml.world import simulate

        tables = dict(simulate(size, seed, **({"end": end} if end else {})).tables)
        dropped: Mapping[str, int] = {}
    else:
        from ml.sources import load as read_source

        read = read_source(name, path)
        tables, dropped = dict(read.tables), read.dropped
    for plan in _PLANS:
        tables.setdefault(plan, arrow_schema(TABLES[plan]).empty_table())
    return tables, dropped


def load(
    url: str, name: str, tables: Mapping[str, pa.Table], *, replace: bool = False, progress: Progress | None = None
) -> None:
    """Make the warehouse hold these contract tables and no others.

    Raises UsageError, before anything is written, if it holds contract tables that Bellwether did not load and
    `replace` is not set.
    """
    with connect(url) as warehouse:
        there = _present(warehouse)
        others = sorted(there & set(TABLES))
        if others and f"bellwether_{MARKER}" not in there and not replace:
            raise UsageError(
                "the warehouse holds contract tables that Bellwether did not load",
                found=f"{', '.join(others)} in {warehouse.address}",
                expected="an empty warehouse, or one that `bellwether load` filled",
                next_step="set BELLWETHER_WAREHOUSE_URL to another database, or add --replace to overwrite them",
            )
        _write(warehouse, name, tables, progress or _silent)
        stale = [table for table in others if table not in tables]
        if stale:
            warehouse.remove(stale)


def _present(warehouse: Warehouse) -> set[str]:
    try:
        return warehouse.tables()
    except UsageError:  # a DuckDB file that is not there yet: the first write makes it
        return set()


def _write(warehouse: Warehouse, name: str, tables: Mapping[str, pa.Table], progress: Progress) -> None:
    marker = pa.table({"name": [name], "loaded_at": [datetime.now(UTC).replace(tzinfo=None)]})
    warehouse.swap({MARKER: marker})
    for table, rows in tables.items():
        warehouse.write(table, rows)
        progress(table, rows.num_rows)


def _silent(_table: str, _rows: int) -> None:
    """Progress for nobody."""


def write_folder(folder: Path, tables: Mapping[str, pa.Table]) -> None:
    """One Parquet file a table, as `bellwether score --tables` reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        pq.write_table(rows, folder / f"{name}.parquet", compression="zstd")
