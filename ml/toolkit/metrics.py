"""Forecast and ranking metrics in the exact variants that are reported."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def wape(actual: Floats, forecast: Floats) -> float:
    """Weighted absolute percentage error: sum |actual - forecast| / sum |actual|; NaN if nothing was sold."""
    return _ratio(float(np.abs(actual - forecast).sum()), float(np.abs(actual).sum()))


def mape(actual: Floats, forecast: Floats) -> float:
    """Mean absolute percentage error in percent, over the cases whose actual is positive."""
    some = actual > 0
    return _ratio(float((np.abs(actual - forecast)[some] / actual[some]).sum()) * 100, float(some.sum()))


def pinball(actual: Floats, quantile: Floats, level: float) -> Floats:
    """Quantile loss of each case (Koenker and Bassett 1978)."""
    over = actual - quantile
    return np.maximum(level * over, (level - 1) * over)


def wql(actual: Floats, quantiles: Mapping[float, Floats]) -> float:
    """Weighted quantile loss: mean over the levels of 2 * sum pinball / sum |actual| (the GluonTS variant)."""
    total = float(np.abs(actual).sum())
    return float(
        np.mean([_ratio(2 * float(pinball(actual, q, p).sum()), total) for p, q in quantiles.items()])
    )


def coverage(actual: Floats, low: Floats, high: Floats) -> float:
    """Share of actuals within [low, high], bounds included."""
    return float(np.mean((actual >= low) & (actual <= high))) if len(actual) else float("nan")


def mase(actual: Floats, forecast: Floats, scale: Floats) -> float:
    """Mean absolute scaled error; `scale` is the in-sample error of the seasonal naive forecast, per case."""
    some = scale > 0
    return _ratio(float((np.abs(actual - forecast)[some] / scale[some]).sum()), float(some.sum()))


def rmsse(actual: Floats, forecast: Floats, scale: Floats) -> Floats:
    """Root mean squared scaled error of each series (rows x steps); `scale` is its naive mean squared error (M5)."""
    scaled: Floats = np.sqrt(np.mean((actual - forecast) ** 2, axis=1) / scale)
    return scaled


def precision_at(k: int, relevance: Floats, score: Floats) -> float:
    """Share of the true top k found among the k highest scores (ties: earlier rows first)."""
    k = min(k, len(score))
    return len(set(_top(relevance, k)) & set(_top(score, k))) / k if k else float("nan")


def ndcg_at(k: int, relevance: Floats, score: Floats) -> float:
    """Normalised discounted cumulative gain with linear gain and log2 discount over the first k."""
    k = min(k, len(score))
    discount = 1 / np.log2(np.arange(k) + 2)
    ideal = float((relevance[_top(relevance, k)] * discount).sum())
    return _ratio(float((relevance[_top(score, k)] * discount).sum()), ideal)


def _top(values: Floats, k: int) -> NDArray[np.intp]:
    return np.argsort(-values, kind="stable")[:k]


def _ratio(top: float, bottom: float) -> float:
    return top / bottom if bottom else float("nan")
