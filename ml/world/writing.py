"""Worlds of any size as folders of Parquet, written day by day in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ml.errors import UsageError
from ml.world.blueprint import DEFAULT_END, blueprint
from ml.world.chunks import Chunk, chunks
from ml.world.parts import Rows, tables_beside, truth_beside
from ml.world.rows import ORDER_LINES, names_of
from ml.world.truth import DEMAND, DIRTY
from ml.world.world import readers

_SHARD_ROWS = 2_000_000
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
    for name, rows in tables_beside(plan, names).items():
        _write_rows(rows, folder / name)
    for name, rows in truth_beside(plan, names).items():
        _write_rows(rows, folder / "truth" / name)
    with _open_shards(folder) as shards:
        for chunk in chunks(plan, names):
            shards.add(chunk)


def write_tables(
    size: str,
    seed: int,
    folder: Path,
    tables: Iterable[str],
    end: date = DEFAULT_END,
    days: int | None = None,
) -> None:
    """Write `<folder>/<table>/part-*.parquet` of these contract tables alone: the rows of `write`, and no truth.

    Dialogues are nearly all the work of a large world; who needs none of them need not wait for them.
    """
    streams = readers(size, seed, end, days)
    for name in tables:
        _write_rows(streams[name], folder / name)


def _write_rows(rows: Rows, folder: Path) -> None:
    """Shards of at most `_SHARD_ROWS` rows and a batch."""
    folder.mkdir(parents=True)
    batches = rows.to_batches() if isinstance(rows, pa.Table) else rows
    writer, written, number = pq.ParquetWriter(folder / "part-000.parquet", rows.schema), 0, 0
    for batch in batches:
        if written >= _SHARD_ROWS:
            writer.close()
            number, written = number + 1, 0
            writer = pq.ParquetWriter(folder / f"part-{number:03d}.parquet", rows.schema)
        writer.write_batch(batch)
        written += batch.num_rows
    writer.close()


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
