"""How far people who label the same things agree, beyond chance, with intervals.

Several raters per item are given as counts: one row per item, one column per category, the number of people who chose
it. Who they were does not matter to these measures, so raters may differ from item to item, and in number. An item that
fewer than two people rated tells nothing of agreement itself; it does count in the shares of the categories (Gwet 2014,
Handbook of Inter-Rater Reliability, 4th ed., ch. 5), except for Krippendorff's alpha, which leaves it out.

Every measure takes optional weights of the items, which is how the bootstrap draws them. NaN where nothing can be said:
no item with two ratings, or (of a measure corrected for chance) a single category in all ratings.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ml.toolkit.intervals import Interval

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Weights = Literal["none", "linear", "quadratic"]
Level = Literal["nominal", "ordinal", "interval"]
Measure = Callable[[Floats, Floats], float]


def counts_of(items: Ints, labels: Ints, n_items: int, n_categories: int) -> Floats:
    """Ratings (item, category) as counts, n_items x n_categories; items and categories are numbered from 0."""
    flat = np.bincount(items * n_categories + labels, minlength=n_items * n_categories)
    return flat.reshape(n_items, n_categories).astype(np.float64)


def percent_agreement(counts: Floats, weights: Floats | None = None) -> float:
    """Share of the pairs of people on the same item who chose the same category, averaged over items."""
    pairs, heavy = _agreeing_pairs(counts), _weights(counts, weights)
    rated = counts.sum(axis=1) >= 2
    return _ratio(float(pairs[rated] @ heavy[rated]), float(heavy[rated].sum()))


def fleiss_kappa(counts: Floats, weights: Floats | None = None) -> float:
    """Fleiss' kappa (Psychological Bulletin 76(5), 1971, 378-382); items may have different numbers of raters."""
    shares = _shares(counts, weights)
    return _beyond(percent_agreement(counts, weights), float(shares @ shares))


def gwet_ac1(counts: Floats, weights: Floats | None = None) -> float:
    """Gwet's AC1 (British J. of Math. and Stat. Psychology 61, 2008, 29-48): unlike kappa, not ruined by a rare label.

    Chance is sum_k p_k (1 - p_k) / (K - 1), with K the number of columns: give every category a column, chosen or not.
    """
    shares = _shares(counts, weights)
    chance = float(shares @ (1 - shares)) / max(counts.shape[1] - 1, 1)
    return _beyond(percent_agreement(counts, weights), chance)


def krippendorff_alpha(counts: Floats, weights: Floats | None = None, level: Level = "nominal") -> float:
    """Krippendorff's alpha (Computing Krippendorff's Alpha-Reliability, 2011); categories in rising order.

    1 - observed / expected disagreement; `level` says how far apart two categories are: nominal all alike, interval
    by the square of their distance in columns, ordinal by the square of the ratings between them.
    """
    rated = counts.sum(axis=1) >= 2
    some, heavy = counts[rated], _weights(counts, weights)[rated]
    each = heavy / np.maximum(some.sum(axis=1) - 1, 1)
    together = (some * each[:, None]).T @ some - np.diag(each @ some)
    totals = together.sum(axis=1)
    apart = _distance(totals, level)
    expected = float(totals @ apart @ totals)
    return 1 - _ratio(float((together * apart).sum()) * (float(totals.sum()) - 1), expected)


def cohen_kappa(first: Ints, second: Ints, n_categories: int, weights: Weights = "none") -> float:
    """Cohen's kappa of two people on the same items (Educational and Psychological Measurement 20, 1960, 37-46).

    `linear` and `quadratic` forgive near misses on an ordered scale (Psychological Bulletin 70, 1968, 213-220).
    """
    table = np.bincount(first * n_categories + second, minlength=n_categories**2).reshape(-1, n_categories)
    apart = _disagreement(n_categories, weights)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / max(len(first), 1)
    return 1 - _ratio(float((table * apart).sum()), float((expected * apart).sum()))


def interval(
    measure: Measure,
    counts: Floats,
    clusters: NDArray[np.generic],
    draws: int = 1000,
    confidence: float = 0.95,
    seed: int = 7,
) -> Interval:
    """A measure with its percentile bootstrap interval (Efron and Tibshirani 1993, ch. 13) over clusters of items.

    Items of one cluster (the turns of a dialogue) are drawn together. Draws for which the measure is not defined are
    left out. `measure` is any function of (counts, weights) here.
    """
    names, place = np.unique(clusters, return_inverse=True)
    random = np.random.default_rng(seed)
    even = np.full(len(names), 1 / max(len(names), 1))
    found = [
        measure(counts, random.multinomial(len(names), even)[place].astype(np.float64)) for _ in range(draws)
    ]
    tail, known = (1 - confidence) / 2, np.asarray(found)[np.isfinite(found)]
    low, high = np.quantile(known, [tail, 1 - tail]) if len(known) else (np.nan, np.nan)
    return Interval(measure(counts, np.ones(len(counts))), float(low), float(high))


def paired_interval(
    first: Ints,
    second: Ints,
    n_categories: int,
    clusters: NDArray[np.generic],
    draws: int = 1000,
    confidence: float = 0.95,
    seed: int = 7,
    weights: Weights = "none",
) -> Interval:
    """Cohen's kappa with its bootstrap interval over clusters of items."""
    names, place = np.unique(clusters, return_inverse=True)
    cells = np.zeros((len(names), n_categories**2))
    np.add.at(cells, (place, first * n_categories + second), 1.0)
    random = np.random.default_rng(seed)
    drawn = random.multinomial(len(names), np.full(len(names), 1 / max(len(names), 1)), size=draws) @ cells
    found = _kappas(drawn.reshape(draws, n_categories, n_categories), _disagreement(n_categories, weights))
    tail, known = (1 - confidence) / 2, found[np.isfinite(found)]
    low, high = np.quantile(known, [tail, 1 - tail]) if len(known) else (np.nan, np.nan)
    return Interval(cohen_kappa(first, second, n_categories, weights), float(low), float(high))


def _kappas(tables: Floats, apart: Floats) -> Floats:
    """Kappa of each table of draws x K x K."""
    total = tables.sum(axis=(1, 2))
    expected = np.einsum("ij,ik,jk->i", tables.sum(axis=2), tables.sum(axis=1), apart) / np.maximum(total, 1)
    observed = (tables * apart).sum(axis=(1, 2))
    unknown = np.full(len(tables), np.nan)
    kappas: Floats = 1 - np.divide(observed, expected, out=unknown, where=expected > 0)
    return kappas


def _agreeing_pairs(counts: Floats) -> Floats:
    n = counts.sum(axis=1)
    pairs: Floats = (counts * (counts - 1)).sum(axis=1) / np.maximum(n * (n - 1), 1)
    return pairs


def _shares(counts: Floats, weights: Floats | None) -> Floats:
    """Mean over the rated items of each item's share of every category."""
    n = counts.sum(axis=1)
    heavy = _weights(counts, weights) * (n > 0)
    shares: Floats = (heavy / np.maximum(n, 1)) @ counts / max(float(heavy.sum()), 1e-300)
    return shares


def _weights(counts: Floats, weights: Floats | None) -> Floats:
    return np.ones(len(counts)) if weights is None else weights


def _beyond(observed: float, chance: float) -> float:
    return _ratio(observed - chance, 1 - chance)


def _distance(totals: Floats, level: Level) -> Floats:
    """Squared distance of every two categories, K x K."""
    if level == "nominal":
        return 1 - np.eye(len(totals))
    place = np.arange(len(totals), dtype=np.float64)
    if level == "ordinal":
        place = np.cumsum(totals) - totals / 2
    squared: Floats = (place[:, None] - place[None, :]) ** 2
    return squared


def _disagreement(n_categories: int, weights: Weights) -> Floats:
    apart = np.abs(np.subtract.outer(np.arange(n_categories), np.arange(n_categories))).astype(np.float64)
    if weights == "none":
        return (apart > 0).astype(np.float64)
    return apart if weights == "linear" else apart**2


def _ratio(top: float, bottom: float) -> float:
    return top / bottom if bottom > 1e-12 else float("nan")
