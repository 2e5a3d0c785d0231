"""What serving remembers of queries and products that it may be asked about again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.families.relevance_fusion.catalogue import parted
from ml.families.relevance_fusion.columns import NO_QUERY
from ml.families.relevance_fusion.history import SUMS, totals
from ml.families.relevance_fusion.params import RelevanceFusionParams
from ml.toolkit import arrays

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Memory:
    """Sums of exposure, engagement and purchases of pairs ("query\\tproduct") and products, and what annotators found
    relevant for each query."""

    pairs: Mapping[str, int]
    pair_sums: Floats
    products: Mapping[str, int]
    product_sums: Floats
    relevant: Mapping[str, tuple[str, ...]]

    def history(self, query: str, products: Sequence[str]) -> dict[str, Floats]:
        """The columns of history of some products for a query; zeros where nothing is remembered."""
        pair = _looked_up(self.pair_sums, [self.pairs.get(f"{query}\t{product}", -1) for product in products])
        product = _looked_up(self.product_sums, [self.products.get(product, -1) for product in products])
        return {f"pair_{what}": pair[:, number] for number, what in enumerate(SUMS)} | {
            f"product_{what}": product[:, number] for number, what in enumerate(SUMS)
        }


def _looked_up(sums: Floats, places: list[int]) -> Floats:
    padded = np.vstack([sums, np.zeros((1, len(SUMS)))])
    return padded[places] if places else np.zeros((0, len(SUMS)))


def remember(matrix: ibis.Table, summed: ibis.Table, as_of: date, params: RelevanceFusionParams) -> Memory:
    """The `memory_pairs` pairs that were looked at most, all products, the relevant ones of every judged query."""
    pairs = totals(summed, ("query", "product_id"))
    pairs = pairs.filter(pairs.exposure > 0).order_by(pairs.exposure.desc(), "query", "product_id")
    some = pairs.limit(params.memory_pairs).to_pyarrow()
    products = totals(summed, ("product_id",)).order_by("product_id").to_pyarrow()
    names = [
        f"{q}\t{p}" for q, p in zip(some["query"].to_pylist(), some["product_id"].to_pylist(), strict=True)
    ]
    return Memory(
        {name: place for place, name in enumerate(names)},
        _sums(some),
        {name: place for place, name in enumerate(products["product_id"].to_pylist())},
        _sums(products),
        _relevant(matrix, as_of),
    )


def _sums(table: pa.Table) -> Floats:
    return (
        np.column_stack([table[what].to_numpy() for what in SUMS]).astype(np.float64).reshape(-1, len(SUMS))
    )


def _relevant(matrix: ibis.Table, as_of: date) -> dict[str, tuple[str, ...]]:
    rows = matrix.filter(
        (matrix.day <= ibis.date(as_of)) & (matrix.query != NO_QUERY) & matrix.relevant.notnull()
    )
    newest = ibis.window(group_by="query", order_by=[rows.day.desc(), rows.product_id, rows.modality])
    last = rows.mutate(place=ibis.row_number().over(newest)).filter(lambda t: t.place == 0)
    found = last.select("query", "relevant").order_by("query").to_pyarrow()
    return {row["query"]: parted(row["relevant"]) for row in found.to_pylist()}


def write(memory: Memory, folder: Path) -> None:
    """Save as `memory.json` and `memory.safetensors`."""
    names = {
        "pairs": list(memory.pairs), "products": list(memory.products),
        "relevant": {query: list(some) for query, some in memory.relevant.items()},
    }  # fmt: skip
    (folder / "memory.json").write_text(json.dumps(names, ensure_ascii=False))
    arrays.write(folder / "memory", {"pairs": memory.pair_sums, "products": memory.product_sums})


def read(folder: Path) -> Memory:
    """Load what `write` saved."""
    names, sums = json.loads((folder / "memory.json").read_text()), arrays.read(folder / "memory")
    return Memory(
        {name: place for place, name in enumerate(names["pairs"])},
        sums["pairs"],
        {name: place for place, name in enumerate(names["products"])},
        sums["products"],
        {query: tuple(some) for query, some in names["relevant"].items()},
    )
