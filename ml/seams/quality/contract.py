"""What a table must be before anybody looks at its values: its columns, their types, readable text."""

from __future__ import annotations

from collections.abc import Container, Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Table, Text

from ml.contracts.base import arrow_schema, key, references
from ml.errors import DataRejected
from ml.seams.quality.predicates import quoted
from ml.seams.quality.rows import Database, Shards
from ml.seams.quality.suites import Expectation, Severity
from ml.seams.quality.words import requirement

REPAIR = "correct it in the warehouse (or in the view of this name), and run the ingest again"


def check_columns(contract: Table, shards: Shards) -> None:
    """Raise DataRejected unless every shard has exactly the contract's columns and types, and no row is lost."""
    for file in shards.files:
        _check_schema(contract, pq.read_schema(file))
    promised = shards.manifest.get("rows", shards.rows)
    if promised != shards.rows:
        raise DataRejected(
            f"table {contract.name}: the snapshot is not whole",
            found=f"{shards.rows:,} rows in {len(shards.files)} shards",
            expected=f"{promised:,} rows, as its manifest says",
            next_step=f"delete {shards.folder} and take the snapshot again",
        )


def _check_schema(contract: Table, found: pa.Schema) -> None:
    wanted = arrow_schema(contract)
    missing = [f"{field.name} {field.type}" for field in wanted if field.name not in found.names]
    extra = [name for name in found.names if name not in wanted.names]
    wrong = [
        f"{field.name} is {found.field(field.name).type}"
        for field in wanted
        if field.name in found.names and found.field(field.name).type != field.type
    ]
    problems = [
        *_said("missing", missing),
        *_said("not in the contract", extra),
        *_said("of another type", wrong),
    ]
    if problems:
        raise DataRejected(
            f"table {contract.name}: its columns are not those of the contract",
            found="; ".join(problems),
            expected=", ".join(f"{field.name} {field.type}" for field in wanted),
            next_step=REPAIR,
        )


def _said(what: str, names: Iterable[str]) -> list[str]:
    listed = ", ".join(names)
    return [f"{what}: {listed}"] if listed else []


def read_all_text(database: Database, contract: Table) -> None:
    """Read every text once: DuckDB refuses text that is not UTF-8, but only where it looks at it."""
    texts = [column.name for column in contract.columns if isinstance(column.type, Text)]
    longest = ", ".join(f"max(strlen({quoted(name)}))" for name in texts)
    database.run(f"SELECT {longest} FROM {quoted(contract.name)}")


def expectations_of(contract: Table, tolerated: float, others: Container[str]) -> tuple[Expectation, ...]:
    """What the contract itself expects of rows: the key, required values, references to `others`."""
    mostly, identity = 1 - tolerated, list(key(contract))
    required = [column.name for column in contract.columns if not column.nullable]
    targets = {name: to for name, to in references(contract).items() if to.split(".")[0] in others}
    return (
        _rule("expect_key_to_be_unique", "which of them is right cannot be known", mostly, columns=identity),
        *(
            _rule("expect_column_values_to_not_be_null", "it is required", mostly, column=name)
            for name in required
        ),
        *(_reference(name, to, mostly) for name, to in targets.items()),
    )


def never_waved(contract: Table, others: Container[str]) -> tuple[str, ...]:
    """What the contract asks of every row by itself, in words: a row that breaks it cannot be accepted as it is."""
    own = expectations_of(contract, 0.0, others)
    return tuple(requirement(one) for one in own if one.type != "expect_key_to_be_unique")


def _reference(name: str, to: str, mostly: float) -> Expectation:
    why = "nothing is known of what it refers to"
    return _rule("expect_column_values_to_refer_to", why, mostly, column=name, refers_to=to)


def _rule(kind: str, why: str, mostly: float, **kwargs: object) -> Expectation:
    return Expectation(kind, {**kwargs, "mostly": mostly}, Severity.CRITICAL, why)


def unreadable_text(table: str, shards: Shards) -> DataRejected | None:
    """The rejection that names text which is not UTF-8, if there is any."""
    for file in shards.files:
        found = _unreadable_in(file)
        if found:
            column, values = found
            return DataRejected(
                f"table {table}: column {column} holds text that is not UTF-8",
                found=f"{len(values):,} values in {file.name}, e.g. {', '.join(repr(value) for value in values[:3])}",
                expected="UTF-8 text",
                next_step="convert it in the warehouse (the usual cause is a wrong client encoding), and ingest again",
            )
    return None


def _unreadable_in(file: Path) -> tuple[str, list[bytes]] | None:
    texts = [field.name for field in pq.read_schema(file) if pa.types.is_string(field.type)]
    for column in texts:
        values: list[bytes] = []
        for batch in pq.ParquetFile(file).iter_batches(columns=[column]):
            values += [
                raw for raw in batch.column(0).view(pa.binary()).to_pylist() if raw and not _is_utf8(raw)
            ]
        if values:
            return column, values
    return None


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
