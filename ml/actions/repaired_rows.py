"""Reads the file in which a person put rows right: CSV or Parquet, as `bellwether quarantine show --out` writes it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv
from sqlalchemy import Table

from ml.contracts.base import arrow_schema
from ml.errors import UsageError, refusal
from ml.seams.quality.decided import decided_schema

ABOUT = ("reasons", "state")
"""Columns that tell a person about a row, and are not part of it."""


def write_rows(rows: pa.Table, states: list[str], file: Path) -> None:
    """Write rows that were put aside, so that a person can put them right there. By the name: .csv or .parquet."""
    said = [" | ".join(reasons) for reasons in rows.column("reasons").to_pylist()]
    told = rows.drop_columns(["reasons"]).append_column("reasons", pa.array(said, pa.string()))
    told = told.append_column("state", pa.array(states, pa.string()))
    told = told.select(["row_id", *(name for name in told.column_names if name != "row_id")])
    _required_kind(file)
    try:
        if file.suffix == ".csv":
            csv.write_csv(told, file)
        else:
            pq.write_table(told, file)
    except OSError as error:
        raise refusal(str(file), error) from error


def read_repaired(file: Path, contract: Table, aside: pa.Table) -> pa.Table:
    """The rows of `file` as the contract has them, with `row_id`. `aside`: the rows that may be repaired.

    Raises UsageError for other columns than the contract's, values of another type, a required value that is missing,
    ids that are unknown or there twice, and rows in which nothing was changed.
    """
    wanted = decided_schema(contract)
    _required_kind(file)
    if not file.is_file():
        raise UsageError(
            f"no file {file}", next_step=f"`bellwether quarantine show {contract.name} --out {file}`"
        )
    found = _typed(_read(file, wanted), wanted, file)
    for column in arrow_schema(contract):
        missing = found.filter(pc.is_null(found.column(column.name)))
        if not column.nullable and len(missing):
            raise _wrong(file, f"column {column.name} is required", missing, "a value in every row")
    twice = [one for one, count in Counter(found.column("row_id").to_pylist()).items() if count > 1]
    if twice or not len(found):
        raise UsageError(
            f"{file}: every repaired row stands once",
            found=f"{len(twice)} ids twice, e.g. {', '.join(twice[:5])}" if twice else "no row at all",
        )
    same = _unchanged(found, aside, wanted)
    if len(same):
        raise _wrong(
            file, "nothing was changed", same, "repaired rows only; accept the others without --repaired"
        )
    return found


def _required_kind(file: Path) -> None:
    if file.suffix not in (".csv", ".parquet"):
        raise UsageError(
            f"{file} is of no kind that rows are written in", expected="a name that ends in .csv or .parquet"
        )


def _read(file: Path, wanted: pa.Schema) -> pa.Table:
    try:
        if file.suffix == ".parquet":
            return pq.read_table(file)
        types = {column.name: column.type for column in wanted}
        options = csv.ConvertOptions(
            column_types=types, strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[""]
        )
        return csv.read_csv(
            file, parse_options=csv.ParseOptions(newlines_in_values=True), convert_options=options
        )
    except pa.ArrowInvalid as error:
        raise UsageError(
            f"{file} cannot be read as rows of the contract",
            found=str(error).splitlines()[0],
            expected=", ".join(f"{column.name} {column.type}" for column in wanted),
        ) from error


def _typed(found: pa.Table, wanted: pa.Schema, file: Path) -> pa.Table:
    missing = [name for name in wanted.names if name not in found.column_names]
    extra = [name for name in found.column_names if name not in (*wanted.names, *ABOUT)]
    if missing or extra:
        raise UsageError(
            f"{file}: its columns are not those of the contract",
            found=f"missing: {', '.join(missing) or 'none'}; not in the contract: {', '.join(extra) or 'none'}",
            expected=", ".join(wanted.names),
        )
    try:
        return found.select(wanted.names).cast(wanted)
    except pa.ArrowInvalid as error:
        raise UsageError(f"{file}: values of another type", found=str(error).splitlines()[0]) from error


def _unchanged(found: pa.Table, aside: pa.Table, wanted: pa.Schema) -> pa.Table:
    before = {row["row_id"]: row for row in aside.select(wanted.names).to_pylist()}
    same = [row == before.get(row["row_id"]) for row in found.to_pylist()]
    return found.filter(pa.array(same, pa.bool_()))


def _wrong(file: Path, what: str, rows: pa.Table, expected: str) -> UsageError:
    some = ", ".join(rows.column("row_id").to_pylist()[:5])
    return UsageError(f"{file}: {what}", found=f"{len(rows)} rows, e.g. {some}", expected=expected)
