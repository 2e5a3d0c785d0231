"""Two models on the same cases: how much lower the one's loss is, and how sure that is.

The loss of a model is a ratio, sum(loss) / sum(weight). The relative difference of two such losses over the same
cases is again a ratio of sums; its variance is that of its linearisation, summed over clusters, because cases of one
entity (product, cascade, dialogue) are not independent (Cochran 1977, chapter 6; Cameron, Gelbach & Miller 2008).

Losses have heavy tails: a few entities carry most of the difference, and a normal quantile, or a percentile of a
bootstrap, is then far too sure. The reference is Student's t with as many degrees of freedom as there are clusters
that matter (Satterthwaite 1946), which keeps its level where one in ten thousand is asked (see the gate's tests).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special  # not `stats`, which takes half a second of every process that asks for a verdict

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Paired:
    """Relative difference of the loss (negative: the first is better), its standard error, degrees of freedom."""

    difference: float
    error: float
    freedom: float

    def interval(self, confidence: float) -> tuple[float, float]:
        """Both bounds of the two-sided interval."""
        reach = float(special.stdtrit(self.freedom, 0.5 + confidence / 2)) * self.error
        return self.difference - reach, self.difference + reach

    def chance_below(self, bound: float) -> float:
        """p-value of "the difference is `bound` or more", against "it is below"."""
        return self._tail(self.difference - bound)

    def chance_above(self, bound: float) -> float:
        """p-value of "the difference is `bound` or less", against "it is above"."""
        return self._tail(bound - self.difference)

    def _tail(self, distance: float) -> float:
        if self.error <= 0:
            return float(distance >= 0)
        return float(special.stdtr(self.freedom, distance / self.error))


def compare(losses: Floats, reference: Floats) -> Paired:
    """Compare loss sums per entity, shape (entities,); the reference's total must be above zero."""
    total, count = float(reference.sum()), len(losses)
    ratio = float(losses.sum()) / total
    part = (losses - ratio * reference) / total
    squares = part * part
    variance = float(squares.sum())
    if count < 2 or variance <= 0:
        return Paired(ratio - 1, 0.0, 1.0)
    freedom = max(variance**2 / float((squares * squares).sum()) - 1, 1.0)
    return Paired(ratio - 1, float(np.sqrt(variance * count / (count - 1))), freedom)


def holm(chances: Floats) -> Floats:
    """p-values adjusted for their number: the family-wise error holds, whatever depends on what (Holm 1979)."""
    order = np.argsort(chances, kind="stable")
    steps = chances[order] * np.arange(len(chances), 0, -1)
    adjusted = np.empty(len(chances))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def spent(look: int) -> float:
    """Share of the error budget that the `look`-th of ever more looks may spend; all shares sum to 1.

    A power law, as in alpha spending (Lan & DeMets 1983). That the shares sum to 1 bounds the error over all looks by
    the budget whatever the looks have in common (Bonferroni), and daily hold-outs have most of their days in common.
    """
    return float(look**-_POWER / _ALL_LOOKS)


_POWER = 1.5
_ALL_LOOKS = 2.6123753486854883  # the zeta function at 1.5
