"""Rows as they arrive, in a contract's Arrow types: lossless casts only, everything else is rejected.

Accepted besides the type itself: any integer or decimal for a number, any resolution of a time, zone-aware
times (they become naive UTC), a day for a time (its midnight), a time at midnight for a day, and dictionaries
for their values.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import date, datetime, time
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types
from sqlalchemy import Table

from ml.contracts.base import arrow_schema, event_time
from ml.errors import DataRejected

Rows = TypeVar("Rows", pa.Table, pa.RecordBatch)

WORDS: Mapping[pa.DataType, str] = {
    pa.string(): "text",
    pa.int64(): "whole number (BIGINT)",
    pa.float64(): "number (DOUBLE PRECISION)",
    pa.bool_(): "BOOLEAN",
    pa.timestamp("us"): "TIMESTAMP",
    pa.date32(): "DATE",
}
"""What to call a contract's Arrow type in a message."""


def _texts(kind: pa.DataType) -> bool:
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _times(kind: pa.DataType) -> bool:
    return bool(types.is_timestamp(kind) or types.is_date(kind))


_ACCEPTED: Mapping[pa.DataType, Callable[[pa.DataType], bool]] = {
    pa.string(): _texts,
    pa.int64(): types.is_integer,
    pa.float64(): lambda kind: types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind),
    pa.bool_(): types.is_boolean,
    pa.timestamp("us"): _times,
    pa.date32(): _times,
}


def nullable_schema(contract: Table) -> pa.Schema:
    """The contract's schema, every column nullable: rows as they are, before validation."""
    return pa.schema([field.with_nullable(True) for field in arrow_schema(contract)])


def check_types(
    contract: Table, found: pa.Schema, called: Mapping[str, str], only: Collection[str] = ()
) -> None:
    """Reject a table whose columns (or `only` these) cannot be cast; `called`: the source's own names of its types."""
    fields = [field for field in arrow_schema(contract) if not only or field.name in only]
    wrong = [field for field in fields if not _fits(found, field)]
    if not wrong:
        return
    raise DataRejected(
        f"table {contract.name}: wrong type in {_names([field.name for field in wrong])}",
        found=", ".join(f"{f.name} is {called.get(f.name, found.field(f.name).type)}" for f in wrong),
        expected=", ".join(f"{f.name} as {WORDS[f.type]}" for f in wrong),
        next_step=f"cast the column in a view named {contract.name}, or mend the table",
    )


def _fits(found: pa.Schema, wanted: pa.Field) -> bool:
    position = found.get_field_index(wanted.name)
    if position < 0:
        return bool(wanted.nullable)
    kind = found.field(position).type
    kind = kind.value_type if types.is_dictionary(kind) else kind
    return types.is_null(kind) or _ACCEPTED[wanted.type](kind)


def conform(contract: Table, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Every batch with exactly the contract's columns, in its types; a column that is not there becomes null.

    Text that is not UTF-8 anywhere rejects the table: the rest is then read for its count alone.
    """
    schema = nullable_schema(contract)
    garbled = Garbled(contract.name)
    for batch in batches:
        garbled.count(batch)
        if not garbled.found:
            yield _conformed(contract.name, schema, batch)
    garbled.reject()


class Garbled:
    """Counts the cells of text columns that are not UTF-8; keeps the first of each column as an example."""

    def __init__(self, table: str) -> None:
        self.table = table
        self.found: dict[str, tuple[int, bytes]] = {}

    def count(self, batch: pa.RecordBatch) -> None:
        """Add the garbled cells of one batch."""
        for field, column in zip(batch.schema, batch.columns, strict=True):
            if _texts(field.type) and not _is_utf8(column):
                self._add(field.name, [cell for cell in _raw(column) if not _decodes(cell)])

    def _add(self, name: str, cells: list[bytes]) -> None:
        count, example = self.found.get(name, (0, cells[0]))
        self.found[name] = (count + len(cells), example)

    def reject(self) -> None:
        """Raise DataRejected if there was any."""
        if not self.found:
            return
        told = [f"{name}: {n} rows, such as {example[:60]!r}" for name, (n, example) in self.found.items()]
        raise DataRejected(
            f"table {self.table}: text that is not UTF-8 in {_names(list(self.found))}",
            found="; ".join(told),
            expected="UTF-8",
            next_step="find the encoding of these rows (often cp1252) and convert them in the warehouse",
        )


def _is_utf8(column: pa.Array) -> bool:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _raw(column: pa.Array) -> list[bytes]:
    wide = pa.large_binary() if types.is_large_string(column.type) else pa.binary()
    return [cell for cell in column.cast(wide).to_pylist() if cell is not None]


def _decodes(cell: bytes) -> bool:
    try:
        cell.decode()
    except UnicodeDecodeError:
        return False
    return True


def _conformed(table: str, schema: pa.Schema, batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = [_column(table, batch, field) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _column(table: str, batch: pa.RecordBatch, field: pa.Field) -> pa.Array:
    position = batch.schema.get_field_index(field.name)
    if position < 0:
        return pa.nulls(batch.num_rows, field.type)
    column = batch.column(position)
    if column.type == field.type:
        return column
    try:
        return _cast(column, field.type)
    except pa.ArrowInvalid as error:
        raise DataRejected(
            f"table {table}, column {field.name}: a value does not fit its type",
            found=str(error).splitlines()[0],
            expected=WORDS[field.type],
            next_step=f"mend the rows, or cast the column in a view named {table}",
        ) from error


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if types.is_timestamp(kind) and types.is_timestamp(column.type):
        return _naive_utc(column)
    if types.is_date(kind) and types.is_timestamp(column.type):
        return _day(_naive_utc(column))
    return column.cast(kind)


def _naive_utc(column: pa.Array) -> pa.Array:
    """Microseconds without a zone (Arrow keeps UTC when it drops the zone); finer parts are cut."""
    return column.cast(options=pc.CastOptions(pa.timestamp("us"), allow_time_truncate=True))


def _day(column: pa.Array) -> pa.Array:
    day = column.cast(pa.date32())
    later = pc.not_equal(day.cast(pa.timestamp("us")), column)
    if pc.any(later).as_py():
        example = column.filter(later)[0].as_py()
        raise pa.ArrowInvalid(f"{example} is not at midnight")
    return day


def _names(names: list[str]) -> str:
    return f"column {names[0]}" if len(names) == 1 else f"columns {', '.join(names)}"


def known_until(contract: Table, as_of: date) -> datetime | None:
    """Before which event time a row is known as of that day (plans: `known_ahead` later); None without a time."""
    if event_time(contract) is None:
        return None
    until: datetime = datetime.combine(as_of, time()) + contract.info["known_ahead"]
    return until


def known_before(contract: Table, rows: Rows, as_of: date) -> Rows:
    """The rows that a snapshot as of that day holds; rows without a time are kept, for validation to judge."""
    when, until = event_time(contract), known_until(contract, as_of)
    if when is None:
        return rows
    known = pc.less(rows.column(when).cast(pa.timestamp("us")), pa.scalar(until, pa.timestamp("us")))
    return rows.filter(pc.fill_null(known, True))
