"""Worlds of any size as folders of Parquet, written day by day in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ml.errors import UsageError
from ml.world.blueprint import DEFAULT_END, blueprint
from ml.world.chunks import Chunk, chunks
from ml.world.rows import ORDER_LINES, names_of
from ml.world.shelves import small_tables
from ml.world.truth import DEMAND, DIRTY
from ml.world.world import small_truth

_DICTIONARY = {
    "order_lines": ["line_no", "customer_id", "product_id", "quantity", "unit_price"],
    "demand": ["product_id", "day"],
    "dirty": ["kind"],
}


def write(
    size: str,
    seed: int,
    folder: Path,
    end: date = DEFAULT_END,
    days: int | None = None,
    lines: int | None = None,
) -> None:
    """Write `<folder>/<table>/part-*.parquet` and `<folder>/truth/<table>/part-*.parquet`; see `blueprint`.

    Raises UsageError where the folder holds something already.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty", next_step="name a new folder, or clear this one")
    plan = blueprint(size, seed, end, days, lines)
    names = names_of(plan)
    for name, table in small_tables(plan, names).items():
        _write_table(table, folder / name)
    for name, table in small_truth(plan, names).items():
        _write_table(table, folder / "truth" / name)
    with _open_shards(folder) as shards:
        for chunk in chunks(plan, names):
            shards.add(chunk)


def _write_table(table: pa.Table, folder: Path) -> None:
    folder.mkdir(parents=True)
    pq.write_table(table, folder / "part-000.parquet")


class _Shards:
    """One open file of each growing table: the month's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._month: date | None = None
        self._writers: dict[str, pq.ParquetWriter] = {}

    def add(self, chunk: Chunk) -> None:
        if chunk.month != self._month:
            self.close()
            self._month = chunk.month
        if chunk.order_lines is not None:
            batch = pa.Table.from_batches([chunk.order_lines])
            self._append("order_lines", self._folder / "order_lines", ORDER_LINES, batch)
        truth = self._folder / "truth"
        self._append("demand", truth / "demand", DEMAND, chunk.demand)
        self._append("dirty", truth / "dirty", DIRTY, pa.Table.from_batches([chunk.dirty]))

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _append(self, name: str, folder: Path, schema: pa.Schema, rows: pa.Table) -> None:
        if name not in self._writers:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"part-{self._month:%Y-%m}-000.parquet"
            self._writers[name] = pq.ParquetWriter(path, schema, use_dictionary=_DICTIONARY[name])
        self._writers[name].write_table(rows)


@contextmanager
def _open_shards(folder: Path) -> Iterator[_Shards]:
    shards = _Shards(folder)
    try:
        yield shards
    finally:
        shards.close()
