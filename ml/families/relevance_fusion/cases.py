"""Rankings side by side: candidates sorted by case, so that what stands first in each case is one lookup.

A case is a query in a modality on a day. Candidates that were neither judged nor shown are not compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cases:
    """m rows in k cases: `start` (k) is the first row of each case, `case` (m) the number of each row's case."""

    case: Places
    start: Places

    @property
    def number(self) -> int:
        """How many cases there are."""
        return len(self.start)

    def best(self, score: Floats) -> Places:
        """Row of the highest score of each case; of equals the first."""
        order = np.lexsort((np.arange(len(score)), -score, self.case))
        return order[self.start]

    def ranks(self, score: Floats) -> Places:
        """Rank from 0 of each row within its case; of equals the first is ahead."""
        order = np.lexsort((np.arange(len(score)), -score, self.case))
        ranks = np.empty(len(score), dtype=np.int64)
        ranks[order] = np.arange(len(score)) - self.start[self.case[order]]
        return ranks

    def sums(self, values: Floats) -> Floats:
        """Sum over each case."""
        summed: Floats = np.bincount(self.case, weights=values, minlength=self.number).astype(np.float64)
        return summed

    def highest(self, values: Floats) -> Floats:
        """Maximum over each case."""
        return np.maximum.reduceat(values, self.start) if len(values) else np.zeros(0)

    def spread(self, score: Floats) -> float:
        """Typical standard deviation of a score within a case: the unit in which scores are added."""
        size = np.maximum(self.sums(np.ones(len(score))), 1)
        mean = self.sums(score) / size
        variance = self.sums((score - mean[self.case]) ** 2) / size
        return float(np.sqrt(np.average(variance, weights=size))) if len(score) else 0.0

    def ndcg(self, gain: Floats, score: Floats, k: int) -> Floats:
        """NDCG at k of each case: sum of gain / log2(rank + 2) over the first k, over its maximum; NaN without gain."""
        best = self._discounted(gain, gain, k)
        made = self._discounted(gain, score, k)
        return np.where(best > 0, made / np.where(best > 0, best, 1), np.nan)

    def _discounted(self, gain: Floats, score: Floats, k: int) -> Floats:
        rank = self.ranks(score)
        return self.sums(np.where(rank < k, gain / np.log2(rank + 2), 0.0))


def cases_of(names: NDArray[np.str_]) -> Cases:
    """Cases of rows that are sorted by case name."""
    if not len(names):
        return Cases(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    first = np.r_[True, names[1:] != names[:-1]]
    return Cases(np.cumsum(first) - 1, np.flatnonzero(first))
