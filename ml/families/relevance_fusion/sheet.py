"""Rows of the matrix with everything that the rankers see, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml.families.relevance_fusion.catalogue import Catalogue, numbers, parted
from ml.families.relevance_fusion.columns import COUNTS, FEATURES, KEY, KNOWN, LEARNED
from ml.families.relevance_fusion.history import SUMS

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
_BLOCK = 50_000
DECIMALS = 5  # of cosines: so that a request and a table see the same
_PAIR_PRIOR, _PRODUCT_PRIOR = 5.0, 20.0
HISTORY = tuple(f"{of}_{what}" for of in ("pair", "product") for what in SUMS)
LABELS = ("grade", "annotators", "shown", "exposure", "engaged", "purchased")


@dataclass(frozen=True, slots=True)
class Usual:
    """How often a result that is looked at is engaged with, and purchased, over all searches."""

    engaged: float
    purchased: float


@dataclass(frozen=True, slots=True)
class Sheet:
    """n rows: keys, labels (null where not known) and the columns of FEATURES (n x features)."""

    rows: pa.Table
    seen: NDArray[np.float32]

    def take(self, some: NDArray[np.intp] | Flags) -> Sheet:
        """Some of the rows."""
        places = np.flatnonzero(some) if some.dtype == bool else some
        return Sheet(self.rows.take(pa.array(places)), self.seen[places])

    def hiding(self, grades: Flags, outcomes: Flags) -> Sheet:
        """The same rows without some of the grades, and as if some of them had not been shown."""
        rows = self.rows
        for name in rows.column_names:
            if name in LABELS:
                hidden = grades if name in ("grade", "annotators") else outcomes
                empty = None if name in ("grade", "annotators") else 0
                value = pc.if_else(pa.array(hidden), pa.scalar(empty, rows[name].type), rows[name])
                rows = rows.set_column(rows.column_names.index(name), name, value)
        return Sheet(rows, self.seen.copy())

    def column(self, name: str) -> Floats:
        """A numeric column, missing values as NaN."""
        return numbers(self.rows, name)

    def texts(self, name: str) -> NDArray[np.str_]:
        """A column of strings."""
        return np.asarray(self.rows.column(name).to_pylist(), dtype=str)


def sheet(rows: ibis.Table, catalogue: Catalogue, usual: Usual) -> Sheet:
    """Read rows that carry their history (`with_history`), sorted by key."""
    wanted = [*KEY, "category", *KNOWN, *HISTORY, *LABELS, "matches", "relevant"]
    beside = [name for name in ("ips_engaged", "ips_purchased", *_layers(rows)) if name in rows.columns]
    found = rows.select(*wanted, *beside).order_by(*KEY).to_pyarrow()
    columns = {name: numbers(found, name) for name in KNOWN}
    queries, products = (found.column(name).to_pylist() for name in ("query", "product_id"))
    anchors = ([parted(some) for some in found.column(name).to_pylist()] for name in ("matches", "relevant"))
    columns |= meanings(catalogue, queries, products, *anchors)
    columns |= rates({name: numbers(found, name) for name in HISTORY}, usual)
    columns["relevance"] = np.full(found.num_rows, np.nan)  # said by the ranker of relevance, later
    return Sheet(found.drop_columns(["matches", "relevant"]), stack(columns))


def _layers(rows: ibis.Table) -> list[str]:
    return [name for name in COUNTS if name in rows.columns]


def stack(columns: dict[str, Floats]) -> NDArray[np.float32]:
    """The columns of FEATURES side by side, in their order."""
    return np.column_stack([columns[name] for name in FEATURES]).astype(np.float32)


def rates(history: dict[str, Floats], usual: Usual) -> dict[str, Floats]:
    """The learned columns of exposure, engagement and purchase; few observations are pulled towards what is usual."""
    out = {"pair_exposure": history["pair_exposure"], "product_exposure": history["product_exposure"]}
    for what, mean in (("engaged", usual.engaged), ("purchased", usual.purchased)):
        product = (history[f"product_{what}"] + _PRODUCT_PRIOR * mean) / (
            history["product_exposure"] + _PRODUCT_PRIOR
        )
        pair = (history[f"pair_{what}"] + _PAIR_PRIOR * product) / (history["pair_exposure"] + _PAIR_PRIOR)
        out |= {f"product_{what}": product, f"pair_{what}": pair}
    return out


def meanings(
    catalogue: Catalogue,
    queries: Sequence[str],
    products: Sequence[str],
    matches: Sequence[Sequence[str]],
    relevant: Sequence[Sequence[str]],
) -> dict[str, Floats]:
    """The learned columns of meaning: `semantic`, `like_matches`, `like_relevant`."""
    names, place = np.unique(np.asarray(queries, dtype=str), return_inverse=True)
    asked = catalogue.point(names.tolist())
    product = catalogue.places(products)
    points = np.vstack([catalogue.points, np.zeros((1, catalogue.points.shape[1]))])
    out = {
        "semantic": np.round(_dots(asked, place, points, product), DECIMALS),
        "like_matches": _likeness(catalogue, points, product, matches),
        "like_relevant": _likeness(catalogue, points, product, relevant),
    }
    assert set(out) < set(LEARNED)
    return out


def _dots(
    left: Floats, left_place: NDArray[np.int64], right: Floats, right_place: NDArray[np.int64]
) -> Floats:
    out = np.zeros(len(left_place))
    for start in range(0, len(out), _BLOCK):
        part = slice(start, start + _BLOCK)
        out[part] = np.einsum("ij,ij->i", left[left_place[part]], right[right_place[part]])
    return out


def _likeness(
    catalogue: Catalogue, points: Floats, product: NDArray[np.int64], anchors: Sequence[Sequence[str]]
) -> Floats:
    """Mean cosine of each product with the anchors of its row, itself left out; NaN without anchors."""
    sizes = np.asarray([len(some) for some in anchors], dtype=np.int64)
    row = np.repeat(np.arange(len(sizes)), sizes)
    anchor = catalogue.places([one for some in anchors for one in some])
    other = (anchor != product[row]) & (anchor >= 0)
    row, anchor = row[other], anchor[other]
    cosine = _dots(points, product[row], points, anchor)
    total = np.bincount(row, weights=cosine, minlength=len(sizes))
    number = np.bincount(row, minlength=len(sizes))
    return np.where(number > 0, np.round(total / np.maximum(number, 1), DECIMALS), np.nan)
