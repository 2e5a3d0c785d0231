"""Files of a public data set as DuckDB tables, whatever their container; and query results as contract tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from ml.contracts import TABLES
from ml.contracts.base import arrow_schema
from ml.errors import UsageError

KINDS = (".parquet", ".csv")


def files(path: Path, stem: str) -> list[Path]:
    """The file itself, or in a folder: files called `stem`, else its only kind of data files."""
    if path.is_file():
        return [path]
    found = [file for file in sorted(path.glob("*")) if file.suffix in KINDS]
    return [file for file in found if file.stem == stem] or found


def register(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    found: Sequence[Path],
    columns: Sequence[str],
    told: str,
    order: str = "position",
) -> None:
    """A table `name` of the files' rows with their order in the column `order`.

    Raises UsageError naming what is missing.
    """
    if not found:
        raise UsageError(
            f"nothing to load for {name}",
            found="no such file",
            expected=told,
            next_step="give the folder that holds it: --path DIR",
        )
    query = " UNION ALL BY NAME ".join(f"SELECT * FROM {_reader(file)}" for file in found)
    present = {str(row[0]) for row in connection.execute(f"DESCRIBE {query}").fetchall()}
    if missing := [column for column in columns if column not in present]:
        raise UsageError(
            f"{found[0].name} is not a file of this data set",
            found=f"no column {', '.join(missing)} among {', '.join(sorted(present))}",
            expected=told,
        )
    connection.execute(f"CREATE TABLE {name} AS SELECT *, row_number() OVER () AS {order} FROM ({query})")


def contract_table(connection: duckdb.DuckDBPyConnection, table: str, query: str) -> pa.Table:
    """The rows of a query in the schema of a contract table; optional columns that it lacks are null."""
    schema = arrow_schema(TABLES[table])
    rows = connection.execute(query).to_arrow_table()
    given = [rows[f.name] if f.name in rows.column_names else pa.nulls(rows.num_rows, f.type) for f in schema]
    return pa.table([column.cast(f.type) for column, f in zip(given, schema, strict=True)], schema=schema)


def database() -> duckdb.DuckDBPyConnection:
    """DuckDB in memory with two threads; order is kept, so that the same files give the same tables."""
    return duckdb.connect(config={"threads": 2})


def count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """Rows of a query."""
    row = connection.execute(f"SELECT count(*) FROM ({query})").fetchone()
    return int(row[0]) if row else 0


def _reader(file: Path) -> str:
    escaped = str(file).replace("'", "''")
    if file.suffix == ".parquet":
        return f"read_parquet('{escaped}')"
    return f"read_csv('{escaped}', all_varchar = true, header = true, encoding = '{_encoding(file)}')"


def _encoding(file: Path) -> str:
    try:
        file.read_bytes().decode()
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"
