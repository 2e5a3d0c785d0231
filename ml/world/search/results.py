"""Results of searches as numbers, and from numbers to the contract table `searches`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ml.contracts import TABLES
from ml.contracts.base import arrow_schema
from ml.world.arrays import Flags, Ints, Ints32
from ml.world.rows import Names, customer_ids, fixed_text, long_codes, product_ids
from ml.world.search.wants import MODALITIES

SEARCHES = arrow_schema(TABLES["searches"])


@dataclass(frozen=True, slots=True)
class Results:
    """One entry a result; `searched_at` in microseconds since 1970; query, modality and product by their places."""

    search: Ints
    position: Ints
    searched_at: Ints
    customer: Ints32
    query: Ints
    modality: Ints
    product: Ints
    engaged: Flags
    purchased: Flags

    def __len__(self) -> int:
        return len(self.search)


def join(parts: Sequence[Results]) -> Results:
    """Results one after the other."""
    return Results(*(np.concatenate([getattr(part, name) for part in parts]) for name in Results.__slots__))


def searches_batch(results: Results, texts: pa.Array, names: Names) -> pa.RecordBatch:
    """Results as a batch of the contract table; `texts` holds the queries by place."""
    columns = [
        search_ids(results.search),
        pa.array(results.position),
        pa.array(results.searched_at).view(pa.timestamp("us")),
        customer_ids(names, results.customer),
        texts.take(pa.array(results.query)),
        pa.array(MODALITIES).take(pa.array(results.modality)),
        product_ids(names, results.product),
        pa.array(results.engaged),
        pa.array(results.purchased),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SEARCHES)


def search_ids(numbers: Ints) -> pa.Array:
    """`S` and eleven digits."""
    return fixed_text(long_codes("S", numbers))
