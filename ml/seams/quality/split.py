"""Puts the rows that broke a rule aside, with the reasons, and lets the others pass; repairs nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ml.seams.quality.predicates import literal, quoted
from ml.seams.quality.rows import FILE, NUMBER, Database, Shards, place

BROKEN = "broken_rows"
ROW_ID = "row_id"
PARQUET = "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"
"""How a shard is written."""


def find_broken(database: Database, table: str, reasons: Mapping[str, str]) -> int:
    """Make the table `BROKEN` of the places of rows for which a condition holds, with reasons; how many."""
    flags = ", ".join(
        f"CASE WHEN {condition} THEN {literal(reason)} END" for reason, condition in reasons.items()
    )
    database.run(
        f"CREATE TABLE {BROKEN} AS SELECT {FILE}, {NUMBER}, reasons FROM ("
        f"SELECT {FILE}, {NUMBER}, list_filter([{flags}], lambda reason: reason IS NOT NULL) AS reasons "
        f"FROM {quoted(table + '_at')}) WHERE len(reasons) > 0"
    )
    return int(database.run(f"SELECT count(*) FROM {BROKEN}")[0][0])


def write_parts(
    database: Database, shards: Shards, schema: pa.Schema, passed: Path, quarantine: Path, broken: int
) -> None:
    """Write each shard's rows into `passed` or `quarantine`; a shard without broken rows passes as it is."""
    for file in shards.files:
        if broken and _broken_in(database, file):
            _write_passed(database, file, schema, passed / file.name)
            _write_broken(database, shards.table, file, schema, quarantine / file.name)
        else:
            link(file, passed / file.name)
    if not any(quarantine.iterdir()):
        pq.write_table(_with_reasons(schema).empty_table(), quarantine / "part-000.parquet")


def _broken_in(database: Database, file: Path) -> bool:
    return bool(database.run(f"SELECT 1 FROM {BROKEN} WHERE {place(file)} LIMIT 1"))


def _write_passed(database: Database, file: Path, schema: pa.Schema, target: Path) -> None:
    columns = _columns(schema)
    broken = f"SELECT {NUMBER} FROM {BROKEN} WHERE {place(file)}"
    shard = f"read_parquet({literal(str(file))}, file_row_number = true)"
    rows = f"SELECT {columns} FROM {shard} WHERE file_row_number NOT IN ({broken})"
    database.run(f"COPY ({rows}) TO {literal(str(target))} {PARQUET}")


def _write_broken(database: Database, table: str, file: Path, schema: pa.Schema, target: Path) -> None:
    joined = f"{quoted(table + '_at')} JOIN {BROKEN} USING ({FILE}, {NUMBER})"
    named = f"{_columns(schema)}, reasons, {row_id(schema.names)} AS {ROW_ID}"
    rows = f"SELECT {named} FROM {joined} WHERE {place(file)} ORDER BY {NUMBER}"
    database.run(f"COPY ({rows}) TO {literal(str(target))} {PARQUET}")


def row_id(columns: Collection[str]) -> str:
    """SQL: 16 hexadecimal digits of the SHA-256 of a row's values; rows that are equal in every column share them."""
    values = ", ".join(f"{quoted(name)} := {quoted(name)}" for name in columns)
    return f"substr(sha256(to_json(struct_pack({values}))::VARCHAR), 1, 16)"


def _columns(schema: pa.Schema) -> str:
    return ", ".join(quoted(field.name) for field in schema)


def _with_reasons(schema: pa.Schema) -> pa.Schema:
    return schema.append(pa.field("reasons", pa.list_(pa.string()))).append(pa.field(ROW_ID, pa.string()))


def link(source: Path, target: Path) -> None:
    """The same bytes at another place, without copying them where the file system can."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


def rows_in(folder: Path) -> int:
    """Rows of a folder of shards, from their footers."""
    return sum(pq.read_metadata(file).num_rows for file in folder.glob("*.parquet"))


def swap_in(folders: Sequence[tuple[Path, Path]]) -> None:
    """Put finished folders in their places; what was there goes."""
    for fresh, target in folders:
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh.rename(target)
