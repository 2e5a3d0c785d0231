"""Confidence that means what it says: isotonic maps, expected calibration error, thresholds at a precision.

What happened, or was right, is 0 or 1, or a share where several people judged it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_SAME = 1e-12
"""Difference of heights up to which it is rounding."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A monotone, piecewise linear map from scores to probabilities; `scores` ascend."""

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]

    def of(self, scores: Floats) -> Floats:
        """Probabilities of scores; beyond the ends, the ends' own."""
        return np.interp(scores, self.scores, self.probabilities)


def learn_calibration(scores: Floats, happened: Floats, least: int = 40) -> Calibration:
    """Isotonic regression (Zadrozny & Elkan 2002) on the means of `least` or more neighbours, so that no end is 0 or 1.

    Neighbours of one height are one point of the map, at their middle (centred: Oron & Flournoy 2017), so that scores
    between two such points keep their order; flat steps would make ties of them.
    Of few cases there are up to five groups of ten or more: one group would tell nothing apart.
    `scores` must be of cases that the model did not learn from. Each end is shrunk as if one more case of either kind
    had been there (Laplace). Without cases: the score itself, held within [0, 1].
    """
    from sklearn.isotonic import isotonic_regression

    if not len(scores):
        return Calibration((0.0, 1.0), (0.0, 1.0))
    order = np.argsort(scores, kind="stable")
    count = max(min(200, len(order) // least), min(5, len(order) // 10), 1)
    groups = np.array_split(order, count)
    centre = np.array([scores[group].mean() for group in groups])
    share = np.array([(happened[group].sum() + 0.5) / (len(group) + 1) for group in groups])
    sizes = np.array([len(group) for group in groups], dtype=np.float64)
    made = isotonic_regression(share, sample_weight=sizes, y_min=0, y_max=1)
    step = np.cumsum(np.append(False, np.diff(made) > _SAME))
    cases = np.bincount(step, sizes)
    middle, height = (np.bincount(step, sizes * values) / cases for values in (centre, made))
    kept, first = np.unique(middle, return_index=True)
    return Calibration(tuple(kept.tolist()), tuple(height[first].tolist()))


def among_beliefs(
    scores: Floats, belief: Floats, prior: float | Floats, rounds: int = 30
) -> tuple[Calibration, Floats]:
    """A calibration on what votes and scores say together, and that (Raykar et al. 2010, "Learning from crowds").

    `belief`: from votes alone, that it happened; `prior`: how often it does, of all cases or of each. A belief from few
    votes is drawn towards the prior; averaged over cases that look alike it still is. So the votes' odds are taken
    against what the scores say of the case instead of the prior, which the calibration says, in turn.
    """
    votes = _log_odds(belief) - _log_odds(np.broadcast_to(prior, belief.shape))
    both = belief
    for _ in range(rounds):
        calibration = learn_calibration(scores, both)
        both = 1 / (1 + np.exp(-(_log_odds(calibration.of(scores)) + votes)))
    return calibration, both


def _log_odds(probability: Floats) -> Floats:
    held = np.clip(probability, 1e-3, 1 - 1e-3)
    return np.asarray(np.log(held / (1 - held)), dtype=np.float64)


def expected_calibration_error(probability: Floats, happened: Floats, bins: int = 10) -> float:
    """Mean distance between stated and found frequency over `bins` bins of equal width (Naeini et al. 2015)."""
    if not len(probability):
        return float("nan")
    place = np.minimum((probability * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    gap = np.bincount(place, probability, minlength=bins) - np.bincount(place, happened, minlength=bins)
    return float(np.abs(gap).sum() / count.sum())


def threshold_at(precision: float, confidence: Floats, right: Floats) -> float:
    """The lowest confidence such that labels at or above it are right at least as often as `precision`; inf if none is.

    Labels of equal confidence are taken together.
    """
    order = np.argsort(-confidence, kind="stable")
    sorted_confidence = confidence[order]
    reached = np.cumsum(right[order]) / np.arange(1, len(order) + 1) >= precision
    last_of_ties = np.append(sorted_confidence[1:] != sorted_confidence[:-1], True)[: len(order)]
    good = np.flatnonzero(reached & last_of_ties)
    return float(sorted_confidence[good[-1]]) if len(good) else float("inf")


def coverage_at(precision: float, confidence: Floats, right: Floats) -> float:
    """The largest share of cases, most confident first, that are right at least as often as `precision`."""
    if not len(confidence):
        return float("nan")
    return float(np.mean(confidence >= threshold_at(precision, confidence, right)))
