"""Uncertainty of a mean of losses: paired, clustered bootstrap. Pure functions of arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A point estimate and its two-sided interval."""

    point: float
    low: float
    high: float


def weighted_mean(loss: Floats, weight: Floats) -> float:
    """sum(loss) / sum(weight)."""
    total = float(weight.sum())
    return float(loss.sum()) / total if total else float("nan")


def paired_difference(
    ours: Floats,
    theirs: Floats,
    weight: Floats,
    cluster: NDArray[np.generic],
    draws: int,
    confidence: float,
    seed: int,
) -> Interval:
    """Interval of mean(ours) - mean(theirs) on the same cases, clusters drawn with replacement.

    The percentile bootstrap over clusters (Efron and Tibshirani 1993, ch. 8 and 13): cases of one cluster (a product's
    windows, say) are drawn together, so that their dependence does not pass for evidence.
    """
    difference, weights = per_cluster(ours - theirs, cluster), per_cluster(weight, cluster)
    samples = bootstrap_means(difference, weights, draws, seed)
    tail = (1 - confidence) / 2
    low, high = np.quantile(samples, [tail, 1 - tail])
    return Interval(weighted_mean(difference, weights), float(low), float(high))


def per_cluster(values: Floats, cluster: NDArray[np.generic]) -> Floats:
    """Sum of the values of each cluster, in the order of the sorted cluster names."""
    names, place = np.unique(cluster, return_inverse=True)
    return np.asarray(np.bincount(place, weights=values, minlength=len(names)), dtype=np.float64)


def bootstrap_means(loss: Floats, weight: Floats, draws: int, seed: int) -> Floats:
    """`draws` resampled weighted means; one multinomial count per row, in blocks of bounded memory."""
    count = len(loss)
    random = np.random.default_rng(seed)
    block = max(1, 4_000_000 // max(count, 1))
    means = []
    for start in range(0, draws, block):
        size = min(block, draws - start)
        picked = random.multinomial(count, np.full(count, 1 / count), size=size)
        means.append((picked @ loss) / np.maximum(picked @ weight, 1e-300))
    return np.concatenate(means)
