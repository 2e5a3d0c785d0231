"""Uncertainty of a weighted mean by the clustered bootstrap (Efron and Tibshirani 1993, ch. 8), of arrays.

Cases of one cluster (a visitor's impressions, say) are drawn together, so that their dependence does not pass for
evidence.
"""

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
