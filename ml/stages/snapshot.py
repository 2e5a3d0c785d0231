"""Stage `snapshot`: one table of the warehouse as it stood at `as_of`, as sorted Parquet and a manifest.

`data/snapshot/<table>/part-YYYY-MM-NNN.parquet` holds the rows of one calendar month of event time
(`part-none-NNN` where there is no time, `part-all-NNN` where the whole table is small), at most `rows_per_shard`
each. Rows are in a total order and the
writer's settings are fixed, so equal tables give equal bytes whatever database they came from, and new rows
leave old months as they were.

Rows are first spooled to a DuckDB file, then sorted there month by month: memory stays bounded.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Table

from ml.config import Params, SnapshotParams, load_params, settings
from ml.contracts import TABLES
from ml.contracts.base import event_time, sort_order
from ml.errors import DataRejected, UsageError
from ml.seams.conform import nullable_schema
from ml.seams.dialects import quoted
from ml.seams.dialects.by_duckdb import create_table
from ml.seams.pictures import with_images
from ml.seams.warehouse import Survey, Warehouse, connect
from ml.stages import run_stage_main

log = logging.getLogger(__name__)

ROW_GROUP = 131_072
"""Rows of a row group, whatever the batches were in which rows arrived."""

SPOOL = "spool"
ALL = "all"


@dataclass(frozen=True, slots=True)
class Shard:
    """One file of a snapshot."""

    file: str
    rows: int
    bytes: int


def snapshot(name: str) -> None:
    """Write `data/snapshot/<name>` anew from the warehouse of the settings."""
    params = load_params()
    contract = _contract(name, params)
    target = Path("data/snapshot") / name
    with connect(settings().warehouse) as warehouse, _built_beside(target) as folder:
        manifest = write_snapshot(warehouse, contract, params, folder)
    log.info("%s: %d rows in %d shards", target, manifest["rows"], len(manifest["shards"]))


def write_snapshot(warehouse: Warehouse, contract: Table, params: Params, folder: Path) -> dict[str, Any]:
    """Write shards and manifest into an empty folder; the manifest is returned too."""
    survey = warehouse.survey(contract)
    with _spool(folder, params.snapshot) as spool:
        rows = warehouse.read(contract, params.as_of)
        create_table(spool, SPOOL, with_images(contract, rows, settings().images, params.snapshot.image_side))
        _require_rows(spool, contract, params, warehouse.address)
        shards = [
            shard
            for month in _months(spool, contract, params.snapshot)
            for shard in _write_month(spool, contract, month, folder, params.snapshot)
        ]
        manifest = _manifest(spool, contract, params, survey, shards)
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    return manifest


def _contract(name: str, params: Params) -> Table:
    if name in TABLES and name in params.tables:
        return TABLES[name]
    raise UsageError(
        "unknown table", found=name, expected=", ".join(params.tables), next_step="see params.yaml"
    )


@contextmanager
def _built_beside(target: Path) -> Iterator[Path]:
    """A fresh folder that takes the target's place when all went well, and else leaves no trace."""
    building = target.with_name(f".{target.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    try:
        yield building
        shutil.rmtree(target, ignore_errors=True)
        building.rename(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)


@contextmanager
def _spool(folder: Path, params: SnapshotParams) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB file inside the folder, deleted when done; sorting spills beside it."""
    room = folder / ".spool"
    room.mkdir()
    limits = {
        "memory_limit": params.memory_limit,
        "threads": params.threads,
        "temp_directory": str(room / "spill"),
    }
    connection = duckdb.connect(room / "spool.duckdb", config={**limits, "preserve_insertion_order": False})
    try:
        yield connection
    finally:
        connection.close()
        shutil.rmtree(room)


def _require_rows(spool: duckdb.DuckDBPyConnection, contract: Table, params: Params, address: str) -> None:
    """Only a plan (promotions, events) may be empty: then nothing is planned."""
    if contract.info["known_ahead"] or _one(spool, f"SELECT count(*) FROM {SPOOL}")[0]:
        return
    raise DataRejected(
        f"table {contract.name} in {address} has no rows known before {params.as_of}",
        found="0 rows",
        expected="at least one",
        next_step="check that the table is filled, and that as_of is not before its first row",
    )


def _months(spool: duckdb.DuckDBPyConnection, contract: Table, params: SnapshotParams) -> list[str | None]:
    """Months of event time as `YYYY-MM`, in order (None: rows without a time), or only `all` for a small table."""
    when = event_time(contract)
    if when is None:
        return [None]
    if _one(spool, f"SELECT count(*) FROM {SPOOL}")[0] < params.months_from:
        return [ALL]
    rows = spool.execute(
        f"SELECT DISTINCT strftime({quoted(when)}, '%Y-%m') AS m FROM {SPOOL} ORDER BY m NULLS FIRST"
    )
    return [month for (month,) in rows.fetchall()] or [None]


def _write_month(
    spool: duckdb.DuckDBPyConnection, contract: Table, month: str | None, folder: Path, params: SnapshotParams
) -> list[Shard]:
    rows = _sorted(spool, contract, month)
    groups = _row_groups(rows, params.rows_per_shard)
    return list(
        _write_shards(groups, nullable_schema(contract), folder, month or "none", params.rows_per_shard)
    )


def _sorted(spool: duckdb.DuckDBPyConnection, contract: Table, month: str | None) -> pa.RecordBatchReader:
    order = ", ".join(f"{quoted(name)} NULLS FIRST" for name in sort_order(contract))
    columns = ", ".join(quoted(column.name) for column in contract.columns)
    query = f"SELECT {columns} FROM {SPOOL} WHERE {_in_month(contract, month)} ORDER BY {order}"
    return spool.execute(query).to_arrow_reader(ROW_GROUP)


def _in_month(contract: Table, month: str | None) -> str:
    when = event_time(contract)
    if when is None or month == ALL:
        return "true"
    if month is None:
        return f"{quoted(when)} IS NULL"
    first = f"DATE '{month}-01'"
    return f"{quoted(when)} >= {first} AND {quoted(when)} < {first} + INTERVAL 1 MONTH"


def _row_groups(batches: pa.RecordBatchReader, rows_per_shard: int) -> Iterator[pa.Table]:
    """Cut batches anew so that each piece is one whole row group: full, or the last of its shard.

    Without rows there is one empty piece, so that there always is a shard with the schema.
    """
    waiting, written = batches.schema.empty_table(), 0
    for batch in batches:
        waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch])])
        while waiting.num_rows >= (wanted := min(ROW_GROUP, rows_per_shard - written % rows_per_shard)):
            yield waiting.slice(0, wanted).combine_chunks()
            waiting, written = waiting.slice(wanted), written + wanted
    if waiting.num_rows or not written:
        yield waiting.combine_chunks()


def _write_shards(
    groups: Iterator[pa.Table], schema: pa.Schema, folder: Path, month: str, rows_per_shard: int
) -> Iterator[Shard]:
    group = next(groups, None)
    number = 0
    while group is not None:
        file, rows = folder / f"part-{month}-{number:03d}.parquet", 0
        with _writer(file, schema) as writer:
            while group is not None and rows < rows_per_shard:
                writer.write_table(group.cast(schema), row_group_size=ROW_GROUP)
                rows += group.num_rows
                group = next(groups, None)
        yield Shard(file.name, rows, file.stat().st_size)
        number += 1


def _writer(file: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """The fixed settings: equal rows, equal bytes."""
    return pq.ParquetWriter(
        file,
        schema,
        version="2.6",
        compression="zstd",
        compression_level=3,
        store_schema=False,
        write_statistics=True,
    )


def _manifest(
    spool: duckdb.DuckDBPyConnection, contract: Table, params: Params, survey: Survey, shards: list[Shard]
) -> dict[str, Any]:
    schema = {field.name: str(field.type) for field in nullable_schema(contract)}
    earliest, latest = _span(spool, contract)
    return {
        "table": contract.name,
        "as_of": params.as_of.isoformat(),
        "rows": sum(shard.rows for shard in shards),
        "bytes": sum(shard.bytes for shard in shards),
        "schema": schema,
        "schema_digest": hashlib.sha256(json.dumps(list(schema.items())).encode()).hexdigest(),
        "event_time": {"column": event_time(contract), "min": earliest, "max": latest},
        "missing_optional_columns": list(survey.missing_optional),
        "extra_columns": list(survey.extra),
        "shards": [{"file": shard.file, "rows": shard.rows, "bytes": shard.bytes} for shard in shards],
    }


def _span(spool: duckdb.DuckDBPyConnection, contract: Table) -> tuple[str | None, str | None]:
    when = event_time(contract)
    if when is None:
        return None, None
    earliest, latest = _one(spool, f"SELECT min({quoted(when)}), max({quoted(when)}) FROM {SPOOL}")
    return earliest and earliest.isoformat(), latest and latest.isoformat()


def _one(spool: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row = spool.execute(query).fetchone()
    assert row is not None
    return tuple(row)


if __name__ == "__main__":
    run_stage_main(snapshot)
