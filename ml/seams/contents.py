"""What a published table holds, in one digest: the same for the rows as they were made and as any database reads them.

The digest does not depend on the order of rows, which databases do not keep: it is the sum of the rows' digests. A row
is digested as text, each value in one form: whole numbers and booleans as digits, numbers by their 64 bits (not a
number is null, as it is in SQLite, and zero has no sign), times in microseconds of UTC.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types
from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Double, MetaData, Table, Text

from ml.seams.conform import conform
from ml.seams.dialects import BATCH_ROWS, flat

OTHER = "other"
"""A kind of column that not every database gives back as it was; its values are left out."""
_KINDS: Mapping[str, Any] = {
    "text": Text, "whole": BigInteger, "number": Double, "truth": Boolean, "moment": DateTime, "day": Date,
}  # fmt: skip
_IS = (
    ("text", lambda kind: types.is_string(kind) or types.is_large_string(kind)),
    ("whole", lambda kind: types.is_integer(kind) and kind != pa.uint64()),
    ("number", types.is_floating),
    ("truth", types.is_boolean),
    ("moment", types.is_timestamp),
    ("day", types.is_date),
)
_NULL, _BETWEEN = "\\N", "\x1f"
_MODULUS = 1 << 256


@dataclass(frozen=True, slots=True)
class Contents:
    """Names and kinds of a table's columns, and the digest of its rows."""

    columns: Mapping[str, str]
    digest: str

    def as_json(self) -> dict[str, Any]:
        """As the ledger keeps it."""
        return {"columns": dict(self.columns), "digest": self.digest}


def contents_of(table: pa.Table) -> Contents:
    """What a table will hold when it is in a warehouse."""
    rows = flat(table)
    columns = {field.name: _kind(field.type) for field in rows.schema}
    return Contents(columns, digest(columns, rows.to_batches(max_chunksize=BATCH_ROWS)))


def as_contract(name: str, columns: Mapping[str, str]) -> Table:
    """How to read those columns that are digested."""
    kept = (Column(column, _KINDS[kind]()) for column, kind in sorted(columns.items()) if kind != OTHER)
    return Table(name, MetaData(), *kept, info={"event_time": None})


def digest(columns: Mapping[str, str], batches: Iterable[pa.RecordBatch]) -> str:
    """Order-free digest of rows. Raises DataRejected where they are not of those kinds any more."""
    total = 0
    for batch in conform(as_contract("publication", columns), batches):
        total += sum(_number(line) for line in _lines(batch))
    return f"{total % _MODULUS:064x}"


def _kind(of: pa.DataType) -> str:
    return next((kind for kind, fits in _IS if fits(of)), OTHER)


def _number(line: str) -> int:
    return int.from_bytes(hashlib.sha256(line.encode()).digest(), "big")


def _lines(batch: pa.RecordBatch) -> Iterator[str]:
    """Each row as a text that no other row has."""
    if not batch.num_columns:
        return
    texts = [pc.fill_null(_text(column), _NULL) for column in batch.columns]
    joined = pc.binary_join_element_wise(*texts, pa.scalar(_BETWEEN, pa.large_string()))
    yield from joined.to_pylist()


def _text(column: pa.Array) -> pa.Array:
    kind = column.type
    if kind == pa.string():
        for sign, instead in (("\\", "\\\\"), (_BETWEEN, "\\_")):
            column = pc.replace_substring(column, sign, instead)
    elif kind == pa.float64():
        column = pc.if_else(pc.is_nan(column), None, pc.add(column, 0.0)).view(pa.int64())
    elif kind == pa.timestamp("us"):
        column = column.cast(pa.int64())
    elif kind == pa.date32():
        column = column.cast(pa.int32())
    elif kind == pa.bool_():
        column = column.cast(pa.int8())
    return column.cast(pa.large_string())
