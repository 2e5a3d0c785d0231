"""Contract tables that a user gives as files: `bellwether score --tables DIR`, without a warehouse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds

from ml.contracts import TABLES
from ml.errors import DataRejected, UsageError
from ml.seams.conform import check_types, conform, nullable_schema


def read_folder(folder: Path, names: Iterable[str] = ()) -> Mapping[str, pa.Table]:
    """Tables of a folder: `<table>.parquet`, or a folder `<table>/` of Parquet shards.

    `names` are the tables that must be there (none: whatever is). Missing optional columns are null, zone-aware
    times become naive UTC, whole numbers become doubles where a double is wanted; columns that the contract does
    not know are left out. Raises UsageError for a table that is not there, DataRejected for one that is unlike its
    contract.
    """
    wanted = list(names) or [name for name in TABLES if _files(folder, name)]
    if not wanted:
        raise _nothing(folder, TABLES)
    return {name: _read(folder, name) for name in wanted}


def _files(folder: Path, name: str) -> list[str]:
    single = folder / f"{name}.parquet"
    return (
        [str(single)]
        if single.is_file()
        else [str(file) for file in sorted((folder / name).glob("*.parquet"))]
    )


def _read(folder: Path, name: str) -> pa.Table:
    contract = TABLES[name]
    files = _files(folder, name)
    if not files:
        raise _nothing(folder, [name])
    try:
        rows = ds.dataset(files, format="parquet")
        _require_columns(name, rows.schema)
        check_types(contract, rows.schema, {})
        present = [column for column in nullable_schema(contract).names if column in rows.schema.names]
        return pa.Table.from_batches(
            conform(contract, rows.to_batches(columns=present)), nullable_schema(contract)
        )
    except pa.ArrowInvalid as error:
        raise DataRejected(
            f"table {name} in {folder} cannot be read",
            found=str(error).splitlines()[0],
            expected="Parquet files of one schema",
            next_step="write the files again",
        ) from error


def _require_columns(name: str, found: pa.Schema) -> None:
    missing = [c.name for c in TABLES[name].columns if not c.nullable and c.name not in found.names]
    if missing:
        raise DataRejected(
            f"table {name}: required columns missing: {', '.join(missing)}",
            found=", ".join(found.names),
            expected=", ".join(c.name + ("?" if c.nullable else "") for c in TABLES[name].columns),
            next_step=f"write {name}.parquet with these columns (those with ? may be left out)",
        )


def _nothing(folder: Path, names: Iterable[str]) -> UsageError:
    held = (
        ", ".join(sorted(file.name for file in folder.iterdir())[:20])
        if folder.is_dir()
        else "no such folder"
    )
    return UsageError(
        f"no table {' or '.join(names)} in {folder}",
        found=held or "an empty folder",
        expected="one Parquet file a table, such as order_lines.parquet",
        next_step="name the folder that holds the contract tables: --tables DIR",
    )
