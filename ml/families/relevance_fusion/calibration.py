"""Scores made chances by one logistic step (Platt 1999), fitted on rows that the ranker has not seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_ENOUGH = 50
_LEAST_SLOPE = 0.1


@dataclass(frozen=True, slots=True)
class Logistic:
    """chance = 1 / (1 + exp(-(slope * logit(raw) + intercept))); the order of scores is never changed."""

    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, raw: Floats) -> Floats:
        """Calibrated chances."""
        out: Floats = 1 / (1 + np.exp(-(self.slope * logit(raw) + self.intercept)))
        return out


def logit(chance: Floats) -> Floats:
    """Logarithm of the odds, bounded."""
    inside = np.clip(chance, 1e-6, 1 - 1e-6)
    out: Floats = np.log(inside / (1 - inside))
    return out


def calibrate(raw: Floats, label: Floats, weight: Floats) -> Logistic:
    """Fit on labels between 0 and 1; with less than _ENOUGH rows, or labels all alike, nothing is changed."""
    from sklearn.linear_model import LogisticRegression

    if len(raw) < _ENOUGH or label.min() == label.max():
        return Logistic()
    seen = np.tile(logit(raw), 2)[:, None]
    happened = np.repeat([1, 0], len(raw))
    times = np.concatenate([weight * label, weight * (1 - label)])
    fitted = LogisticRegression(C=1e4).fit(seen, happened, sample_weight=times / weight.mean())
    return Logistic(max(float(fitted.coef_[0, 0]), _LEAST_SLOPE), float(fitted.intercept_[0]))
