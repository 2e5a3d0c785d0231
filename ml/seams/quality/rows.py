"""The rows to check, as DuckDB views over Parquet shards: nothing is copied, the rows stay as they are."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from ml.errors import DataRejected
from ml.seams.quality.predicates import listed, literal, quoted

FILE, NUMBER = "_file", "_number"
"""Where a row lies: its shard and its place in it."""


@dataclass(frozen=True)
class Shards:
    """A table as a folder of Parquet shards."""

    table: str
    folder: Path

    @cached_property
    def files(self) -> list[Path]:
        """The shards, in order."""
        return sorted(self.folder.glob("*.parquet"))

    @cached_property
    def rows(self) -> int:
        """Rows in all shards, from their footers."""
        return sum(pq.read_metadata(file).num_rows for file in self.files)

    @property
    def manifest(self) -> dict[str, Any]:
        """What the snapshot says of itself. Raises DataRejected if there is no snapshot."""
        path = self.folder / "manifest.json"
        if not path.is_file():
            raise DataRejected(
                f"table {self.table}: no snapshot in {self.folder}",
                expected="Parquet shards and a manifest.json",
                next_step=f"run the stage snapshot@{self.table} first, or pull it with `dvc pull`",
            )
        manifest: dict[str, Any] = json.loads(path.read_text())
        return manifest

    @property
    def scan(self) -> str:
        """SQL: all shards as one relation, with the place of each row."""
        return f"read_parquet({_paths(self.files)}, filename = true, file_row_number = true)"


def _paths(files: Sequence[Path]) -> str:
    return "[" + listed(str(file) for file in files)[1:-1] + "]"


@dataclass(frozen=True)
class Limits:
    """What DuckDB may use."""

    memory: str = "2GB"
    threads: int = 2


class Database:
    """A DuckDB in a scratch folder, shared by our own SQL and Great Expectations."""

    def __init__(self, scratch: Path, limits: Limits) -> None:
        config = {
            "memory_limit": limits.memory,
            "threads": limits.threads,
            "temp_directory": str(scratch / "spill"),
        }
        self.url = f"duckdb:///{scratch / 'quality.duckdb'}"
        self.connect_args = {"config": config}
        self.engine = sa.create_engine(self.url, connect_args=self.connect_args)
        self._raw = self.engine.raw_connection()

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one statement; its rows."""
        cursor = self._raw.cursor()
        try:
            cursor.execute(sql)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []
        finally:
            cursor.close()

    def records(self, sql: str) -> list[dict[str, Any]]:
        """Run one query; its rows by name."""
        cursor = self._raw.cursor()
        try:
            cursor.execute(sql)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        finally:
            cursor.close()

    def view(self, name: str, shards: Shards, schema: pa.Schema) -> None:
        """Make view `name` with the columns of `schema`, and `<name>_at` that also has the place of each row."""
        columns = ", ".join(quoted(field.name) for field in schema)
        self.run(
            f"CREATE VIEW {quoted(name)} AS SELECT {columns} FROM {shards.scan}"
            if shards.files
            else _empty(name, schema)
        )
        if shards.files:
            places = f"filename AS {FILE}, file_row_number AS {NUMBER}"
            self.run(f"CREATE VIEW {quoted(name + '_at')} AS SELECT {columns}, {places} FROM {shards.scan}")

    def close(self) -> None:
        """Close all connections."""
        self._raw.close()
        self.engine.dispose()


def _empty(name: str, schema: pa.Schema) -> str:
    kinds = {
        "timestamp[us]": "TIMESTAMP",
        "string": "VARCHAR",
        "int64": "BIGINT",
        "double": "DOUBLE",
        "bool": "BOOLEAN",
        "date32[day]": "DATE",
    }
    columns = ", ".join(f"NULL::{kinds[str(field.type)]} AS {quoted(field.name)}" for field in schema)
    return f"CREATE VIEW {quoted(name)} AS SELECT {columns} WHERE FALSE"


@contextmanager
def database(limits: Limits) -> Iterator[Database]:
    """A DuckDB that leaves nothing behind."""
    with tempfile.TemporaryDirectory(prefix="quality-") as folder:
        opened = Database(Path(folder), limits)
        try:
            yield opened
        finally:
            opened.close()


def place(file: Path) -> str:
    """SQL: the row lies in this shard."""
    return f"{FILE} = {literal(str(file))}"
