"""The columns that the rankers see, for one query and some products, from what a model carries.

`features.py` and `sheet.py` for a request instead of a table: the same numbers, to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.families.relevance_fusion import lexicon
from ml.families.relevance_fusion.catalogue import Catalogue, describe
from ml.families.relevance_fusion.columns import PRODUCT
from ml.families.relevance_fusion.memory import Memory
from ml.families.relevance_fusion.relations import ANCHORS
from ml.families.relevance_fusion.sheet import DECIMALS, Usual, rates, stack

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Candidates:
    """m products of a request: was the search spoken, row in the catalogue (or -1), what the request says of them."""

    products: Sequence[str]
    spoken: NDArray[np.bool_]
    places: Places
    told: Sequence[Mapping[str, Any]]


def ask(
    query: str, some: Candidates, catalogue: Catalogue, memory: Memory, usual: Usual
) -> NDArray[np.float32]:
    """Candidates x FEATURES for one normal query."""
    columns = _matched(query, some, catalogue)
    for name, value in lexicon.about_query(query, catalogue.rarity).items():
        columns[name] = np.full(len(some.products), value)
    columns["voice"] = some.spoken.astype(np.float64)
    columns |= _products(some, catalogue)
    best = _best(columns["bm25"], some)
    columns |= _related(some, best, catalogue, columns["price"], "matches")
    relevant = np.asarray(
        [place for place in catalogue.places(memory.relevant.get(query, ())) if place >= 0], dtype=np.int64
    )
    columns |= _related(some, relevant, catalogue, columns["price"], "relevant")
    points = _points(some, catalogue)
    columns["semantic"] = np.round(points @ catalogue.point([query])[0], DECIMALS)
    columns["like_matches"] = _alike(points, some, best, catalogue)
    columns["like_relevant"] = _alike(points, some, relevant, catalogue)
    columns |= rates(memory.history(query, some.products), usual)
    columns["relevance"] = np.full(len(some.products), np.nan)
    return stack(columns)


def _matched(query: str, some: Candidates, catalogue: Catalogue) -> dict[str, Floats]:
    known = some.places >= 0
    columns = lexicon.match(query, np.maximum(some.places, 0), catalogue.documents, catalogue.rarity)
    if not known.all():
        new = lexicon.documents([some.told[row] for row in np.flatnonzero(~known).tolist()], query)
        fresh = lexicon.match(query, np.arange(len(new)), new, catalogue.rarity)
        for name, values in columns.items():
            values[~known] = fresh[name]
    best = columns["bm25"].max(initial=0.0)
    columns["bm25_share"] = columns["bm25"] / best if best > 0 else np.zeros(len(known))
    return columns


def _products(some: Candidates, catalogue: Catalogue) -> dict[str, Floats]:
    known = np.where(some.places[:, None] >= 0, catalogue.known[np.maximum(some.places, 0)], np.nan)
    for row in np.flatnonzero(some.places < 0).tolist():
        price = some.told[row].get("price")
        known[row, list(PRODUCT).index("price")] = np.nan if price is None else float(price)
    return {name: known[:, column] for column, name in enumerate(PRODUCT)}


def _best(bm25: Floats, some: Candidates) -> Places:
    """Rows of the catalogue of the candidates whose words match best."""
    rows = np.flatnonzero((bm25 > 0) & (some.places >= 0))
    _, once = np.unique(some.places[rows], return_index=True)
    rows = rows[once]
    near = rows[np.argsort(-np.round(bm25[rows], 6), kind="stable")]
    least = np.round(bm25[near[:ANCHORS]], 6).min(initial=np.inf)
    near = near[np.round(bm25[near], 6) >= least]
    ordered = sorted(near.tolist(), key=lambda row: (-round(float(bm25[row]), 6), some.products[row]))
    return some.places[ordered[:ANCHORS]]


def _related(
    some: Candidates, anchors: Places, catalogue: Catalogue, price: Floats, to: str
) -> dict[str, Floats]:
    """price_to_, bought_with_ and category_of_ the anchors, a product not compared with itself; NaN without any."""
    column = list(PRODUCT).index("price")
    others = some.places[:, None] != anchors[None, :]
    number = others.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.log(price)[:, None] - np.log(catalogue.known[anchors, column])[None, :]
    logs = np.where(others & np.isfinite(logs), np.round(logs, 6), np.nan)
    priced = np.isfinite(logs).sum(axis=1)
    mean = np.nansum(logs, axis=1) / np.maximum(priced, 1)
    share, same = np.zeros(others.shape), np.zeros(others.shape)
    for place, anchor in enumerate(anchors.tolist()):
        beside = dict(zip(catalogue.neighbours[anchor], catalogue.shares[anchor], strict=True))
        share[:, place] = [beside.get(product, 0.0) for product in some.products]
        same[:, place] = catalogue.shelves[np.maximum(some.places, 0)] == catalogue.shelves[anchor]
    there = number > 0
    return {
        f"price_to_{to}": np.where(there & (priced > 0), np.exp(mean), np.nan),
        f"bought_with_{to}": np.where(there, np.max(share * others, axis=1, initial=0.0), np.nan),
        f"category_of_{to}": np.where(there, (same * others).sum(axis=1) / np.maximum(number, 1), np.nan),
    }


def _points(some: Candidates, catalogue: Catalogue) -> Floats:
    points = np.where(some.places[:, None] >= 0, catalogue.points[np.maximum(some.places, 0)], 0.0)
    new = np.flatnonzero(some.places < 0)
    if len(new):
        points[new] = catalogue.point([describe(some.told[row]) for row in new.tolist()])
    return points


def _alike(points: Floats, some: Candidates, anchors: Places, catalogue: Catalogue) -> Floats:
    others = some.places[:, None] != anchors[None, :]
    number = others.sum(axis=1)
    cosine = points @ catalogue.points[anchors].T
    mean = np.round((cosine * others).sum(axis=1) / np.maximum(number, 1), DECIMALS)
    return np.where(number > 0, mean, np.nan)
