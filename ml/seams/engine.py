"""The engine that computes Ibis expressions: DuckDB in the process (Spark would be another class of this shape)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import ibis

from ml.config import FeaturesParams


class Engine(Protocol):
    """Opens Parquet folders lazily, and writes an expression as one."""

    def table(self, name: str, folder: Path) -> ibis.Table:
        """The rows of a folder of Parquet shards, lazily."""

    def write(self, rows: ibis.Table, folder: Path, order: Sequence[str]) -> None:
        """Write `rows` sorted by `order` as one Parquet file; what was in the folder is replaced at once."""


class DuckDBEngine:
    """Ibis on an in-process DuckDB that spills to `scratch`."""

    def __init__(self, params: FeaturesParams, scratch: Path) -> None:
        self._connection = ibis.duckdb.connect(
            memory_limit=params.memory_limit,
            threads=params.threads,
            temp_directory=str(scratch),
            preserve_insertion_order=False,  # what is written is sorted; unsorted steps need less memory so
        )

    def table(self, name: str, folder: Path) -> ibis.Table:
        """The rows of a folder of Parquet shards, lazily."""
        return self._connection.read_parquet(f"{folder}/*.parquet", table_name=name)

    def write(self, rows: ibis.Table, folder: Path, order: Sequence[str]) -> None:
        """Write `rows` sorted by `order` as one Parquet file; what was in the folder is replaced at once."""
        fresh = folder.with_name(f".{folder.name}.tmp")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        query = ibis.to_sql(rows.order_by(list(order)), dialect="duckdb")
        target = str(fresh / "part-000.parquet").replace("'", "''")
        self._connection.raw_sql(
            f"COPY ({query}) TO '{target}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"
        )
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)

    def close(self) -> None:
        """Close the connection."""
        self._connection.disconnect()


@contextmanager
def open_engine(params: FeaturesParams, scratch: Path) -> Iterator[DuckDBEngine]:
    """The engine that `params` name; `scratch` is emptied when done."""
    engine = DuckDBEngine(params, scratch)
    try:
        yield engine
    finally:
        engine.close()
        shutil.rmtree(scratch, ignore_errors=True)
