"""From numbers to Arrow: ids are written as fixed-width text straight into Arrow's buffers, never in a Python loop."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ml.contracts import TABLES
from ml.contracts.base import arrow_schema
from ml.world.arrays import Flags, Ints, Ints32
from ml.world.blueprint import Blueprint
from ml.world.dirt import UNKNOWN_PRODUCTS
from ml.world.orders import GUEST, Lines

Codes = npt.NDArray[np.void]

_ID_DIGITS = 7
_UNKNOWN_FROM = 9_000_000  # product numbers that no catalogue reaches
ORDER_LINES = arrow_schema(TABLES["order_lines"])


@dataclass(frozen=True, slots=True)
class Names:
    """Eight-byte ids by position: of products (then the unknown ones, then a blank), and of customers."""

    products: Codes
    customers: Codes


def names_of(plan: Blueprint) -> Names:
    """The ids of a world."""
    unknown = _UNKNOWN_FROM + np.arange(UNKNOWN_PRODUCTS) * 37
    blank = np.frombuffer(b" " * (_ID_DIGITS + 1), dtype="V8")
    products = [short_codes("P", np.arange(len(plan.catalogue))), short_codes("P", unknown), blank]
    return Names(np.concatenate(products), short_codes("C", np.arange(plan.size.customers)))


def product_ids(names: Names, positions: Ints) -> pa.Array:
    """Product ids as text."""
    return fixed_text(names.products[positions])


def customer_ids(names: Names, positions: Ints | Ints32) -> pa.Array:
    """Customer ids as text; null for guests."""
    return fixed_text(names.customers[np.maximum(positions, 0)], positions != GUEST)


def order_lines_batch(lines: Lines, names: Names) -> pa.RecordBatch:
    """Lines as a batch of the contract table `order_lines`."""
    columns = [
        order_ids(lines.order),
        pa.array(lines.line_no),
        pa.array(lines.ordered_at).view(pa.timestamp("us")),
        customer_ids(names, lines.customer),
        fixed_text(names.products[lines.product]),
        pa.array(lines.quantity),
        pa.array(lines.unit_price),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=ORDER_LINES)


def order_ids(numbers: Ints) -> pa.Array:
    """Order numbers of up to eleven digits as `O` and eleven digits."""
    return fixed_text(long_codes("O", numbers))


def long_codes(letter: str, numbers: Ints) -> Codes:
    """Numbers of up to eleven digits as the letter and eleven digits, four characters at a time."""
    heads, fours = _pieces(letter)
    upper, lower = np.divmod(numbers, 100_000_000)
    middle, last = np.divmod(lower.astype(np.uint32), np.uint32(10_000))
    codes = np.empty((len(numbers), 3), dtype=np.uint32)
    codes[:, 0], codes[:, 1], codes[:, 2] = heads[upper], fours[middle], fours[last]
    return codes.view("V12")[:, 0]


@cache
def _pieces(letter: str) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    heads = np.array([f"{letter}{n:03d}" for n in range(1_000)], dtype="S4").view(np.uint32)
    fours = np.array([f"{n:04d}" for n in range(10_000)], dtype="S4").view(np.uint32)
    return heads, fours


def short_codes(letter: str, numbers: Ints) -> Codes:
    """Numbers of up to seven digits as the letter and seven digits."""
    digits = numbers[:, None] // 10 ** np.arange(_ID_DIGITS - 1, -1, -1) % 10 + ord("0")
    codes = np.empty((len(numbers), _ID_DIGITS + 1), dtype=np.uint8)
    codes[:, 0], codes[:, 1:] = ord(letter), digits
    return codes.view(f"V{_ID_DIGITS + 1}")[:, 0]


def fixed_text(codes: Codes, valid: Flags | None = None) -> pa.Array:
    """Fixed-width ids as an Arrow string array without a copy; null where not `valid`."""
    n, width = len(codes), codes.dtype.itemsize
    offsets = np.arange(0, (n + 1) * width, width, dtype=np.int32)
    mask = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
    data = pa.py_buffer(np.ascontiguousarray(codes).view(np.uint8))
    return pa.StringArray.from_buffers(n, pa.py_buffer(offsets), data, mask)
