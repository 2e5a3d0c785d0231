"""What people decided about single rows: an accepted row passes as it is, a repaired one stands in for the wrong one.

A folder holds, for tables with such decisions, three files of the contract's columns and `row_id`:

    <table>.accepted.parquet    rows that pass though they break a rule
    <table>.replaced.parquet    rows that something else stands in for
    <table>.repaired.parquet    what stands in for them; it is checked like any other row

A decision is about a row as it was seen: once the warehouse changes the row, the decision says nothing about it.
Several rows that are equal in every column are one row here: one of them comes back. What the contract itself asks
(values that are required, references, one row a key) nobody can wave through: such a row stays aside, with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
from sqlalchemy import Table

from ml.contracts.base import arrow_schema, key
from ml.seams.quality.predicates import literal, quoted
from ml.seams.quality.rows import FILE, NUMBER, Database, Shards, place
from ml.seams.quality.split import BROKEN, PARQUET, ROW_ID, link

ACCEPTED, REPLACED, REPAIRED = "accepted", "replaced", "repaired"
SHARD = "part-repaired.parquet"
KEY_TAKEN = "accepted by a person, but another row has its key"
_IDS = pa.field(ROW_ID, pa.string())


def decided_file(folder: Path, table: str, what: str) -> Path:
    """Where decisions of this kind about a table's rows lie, if there are any."""
    return folder / f"{table}.{what}.parquet"


def decided_schema(contract: Table) -> pa.Schema:
    """Columns of such a file; what the contract requires may be missing here, in a row that breaks it."""
    return pa.schema([field.with_nullable(True) for field in arrow_schema(contract)]).append(_IDS)


@dataclass(frozen=True, slots=True)
class Repairs:
    """What was done about the rows of one table: rows taken out, rows put in."""

    replaced: int = 0
    repaired: int = 0


@contextmanager
def with_repairs(
    database: Database, contract: Table, snapshot: Path, folder: Path, room: Path
) -> Iterator[tuple[Path, Repairs]]:
    """A folder of shards like `snapshot` in which repaired rows stand in for those that they replace.

    It is `snapshot` itself where nothing was repaired; else it lies in `room` (beside it, so that shards are linked)
    and is gone afterwards.
    """
    shards = Shards(contract.name, snapshot)
    replaced = decided_file(folder, contract.name, REPLACED)
    if not replaced.is_file() or not _find_replaced(database, contract, shards, replaced):
        yield snapshot, Repairs()
        return
    room.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=room, prefix=".repaired-") as scratch:
        target = Path(scratch)
        out = sum(_without_replaced(database, contract, file, target / file.name) for file in shards.files)
        repaired = decided_file(folder, contract.name, REPAIRED)
        put_in = _write_repaired(database, contract, repaired, target / SHARD)
        manifest = {**shards.manifest, "rows": shards.rows - out + put_in}
        (target / "manifest.json").write_text(json.dumps(manifest))
        yield target, Repairs(out, put_in)


def _find_replaced(database: Database, contract: Table, shards: Shards, replaced: Path) -> int:
    """Make the table `replaced_rows` of the places of rows that are replaced; how many."""
    database.view("as_read", shards, arrow_schema(contract))
    database.run(
        f"CREATE TABLE replaced_rows AS SELECT {FILE}, {NUMBER}, {ROW_ID} FROM as_read_at AS t "
        f"JOIN {_read(replaced)} AS d ON {_same(contract)}"
    )
    return int(database.run("SELECT count(*) FROM replaced_rows")[0][0])


def _without_replaced(database: Database, contract: Table, file: Path, target: Path) -> int:
    out = f"SELECT {NUMBER} FROM replaced_rows WHERE {place(file)}"
    count = len(database.run(out))
    if not count:
        link(file, target)
        return 0
    rows = f"read_parquet({literal(str(file))}, file_row_number = true)"
    kept = f"SELECT {_columns(contract)} FROM {rows} WHERE file_row_number NOT IN ({out})"
    database.run(f"COPY ({kept}) TO {literal(str(target))} {PARQUET}")
    return count


def _write_repaired(database: Database, contract: Table, repaired: Path, target: Path) -> int:
    rows = f"SELECT * FROM {_read(repaired)} WHERE {ROW_ID} IN (SELECT {ROW_ID} FROM replaced_rows)"
    database.run(
        f"COPY (SELECT {_columns(contract)} FROM ({rows}) ORDER BY {ROW_ID}) TO {literal(str(target))} {PARQUET}"
    )
    return int(database.run(f"SELECT count(*) FROM ({rows})")[0][0])


def accept(database: Database, contract: Table, folder: Path, nobody_waves: Collection[str]) -> int:
    """Take accepted rows out of the table `BROKEN`, unless they break what `nobody_waves` through; how many."""
    accepted = decided_file(folder, contract.name, ACCEPTED)
    if not accepted.is_file():
        return 0
    identity = [quoted(name) for name in key(contract)]
    keys = ", ".join(identity)
    rows, asks = quoted(contract.name + "_at"), ", ".join(literal(reason) for reason in nobody_waves)
    database.run(
        f"""CREATE TABLE accepted_rows AS SELECT {FILE}, {NUMBER}, {keys} FROM (
              SELECT t.*, row_number() OVER (PARTITION BY {ROW_ID} ORDER BY t.{FILE}, t.{NUMBER}) AS copy
              FROM {rows} AS t JOIN {BROKEN} AS b USING ({FILE}, {NUMBER})
              JOIN {_read(accepted)} AS d ON {_same(contract)}
              WHERE NOT list_has_any(b.reasons, [{asks}]::VARCHAR[]))
            WHERE copy = 1"""
    )
    database.run(
        f"""CREATE TABLE taken_keys AS
            SELECT {keys} FROM {rows} ANTI JOIN {BROKEN} USING ({FILE}, {NUMBER}) SEMI JOIN accepted_rows USING ({keys})
            UNION SELECT {keys} FROM accepted_rows GROUP BY {keys} HAVING count(*) > 1"""
    )
    at = f"({FILE}, {NUMBER})"
    free = f"SELECT {FILE}, {NUMBER} FROM accepted_rows ANTI JOIN taken_keys USING ({keys})"
    count = int(database.run(f"SELECT count(*) FROM ({free})")[0][0])
    database.run(f"DELETE FROM {BROKEN} WHERE {at} IN ({free})")
    blocked = f"SELECT {FILE}, {NUMBER} FROM accepted_rows SEMI JOIN taken_keys USING ({keys})"
    more = f"list_append(reasons, {literal(KEY_TAKEN)})"
    database.run(f"UPDATE {BROKEN} SET reasons = {more} WHERE {at} IN ({blocked})")
    return count


def _same(contract: Table) -> str:
    names = [quoted(column.name) for column in contract.columns]
    return " AND ".join(f"t.{name} IS NOT DISTINCT FROM d.{name}" for name in names)


def _columns(contract: Table) -> str:
    return ", ".join(quoted(column.name) for column in contract.columns)


def _read(file: Path) -> str:
    return f"read_parquet({literal(str(file))})"
