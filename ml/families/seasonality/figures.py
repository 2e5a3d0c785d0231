"""Pictures of one window of the backtest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ml.families.seasonality.judge import Judged, lift, side_by_side

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def figures(predictions: pa.Table, truth: pa.Table) -> Mapping[str, Figure]:
    """`calibration`, `totals`, `examples`, `lift_ranking`."""
    both = side_by_side(predictions, truth)
    return {
        "calibration": _calibration(both),
        "totals": _totals(both),
        "examples": _examples(both),
        "lift_ranking": _lift_ranking(both),
    }


def _blank(rows: int = 1, title: str = "") -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 2.2 * rows + 2), layout="constrained")
    figure.suptitle(title)
    return figure, [figure.add_subplot(rows, 1, row + 1) for row in range(rows)]


def _calibration(both: Judged) -> Figure:
    figure, (axes,) = _blank(title="Share of days at or below each quantile")
    levels = list(both.quantiles)
    axes.plot([0, 1], [0, 1], color="0.7")
    axes.plot(
        levels,
        [float(np.mean(both.actual <= both.quantiles[level])) for level in levels],
        "o-",
        label="all days",
    )
    selling = both.recent > np.median(both.recent) if len(both.recent) else both.recent > 0
    if selling.any():
        shares = [float(np.mean(both.actual[selling] <= both.quantiles[level][selling])) for level in levels]
        axes.plot(levels, shares, "s--", label="products that sell more than the median")
    axes.set(xlabel="quantile", ylabel="share")
    axes.legend()
    return figure


def _totals(both: Judged) -> Figure:
    figure, (axes,) = _blank(title="Units in the horizon: forecast and actual")
    made, actual = both.mean.sum(axis=1) + 1, both.actual.sum(axis=1) + 1
    axes.loglog(made, actual, ".", alpha=0.3)
    top = float(max(made.max(initial=1), actual.max(initial=1)))
    axes.plot([1, top], [1, top], color="0.5")
    axes.set(xlabel="forecast + 1", ylabel="actual + 1")
    return figure


def _examples(both: Judged, count: int = 3) -> Figure:
    figure, all_axes = _blank(count, "The products that sold most, with the band from .1 to .9")
    best = np.argsort(-both.actual.sum(axis=1), kind="stable")[:count]
    for axes, number in zip(all_axes, best, strict=False):
        steps = np.arange(both.actual.shape[1])
        axes.fill_between(steps, both.quantiles[0.1][number], both.quantiles[0.9][number], alpha=0.3)
        axes.plot(steps, both.mean[number], label="forecast")
        axes.plot(steps, both.actual[number], "k.", label="actual")
        axes.set_title(str(both.titles[number]))
        axes.set(ylabel="units")
        axes.legend()
    all_axes[-1].set(xlabel="steps of the forecast")
    return figure


def _lift_ranking(both: Judged) -> Figure:
    figure, (axes,) = _blank(title="True lift of the products ranked by forecast lift")
    steps = both.actual.shape[1]
    true, made = (lift(total.sum(axis=1), both.usual, steps) for total in (both.actual, both.mean))
    ranked = true[np.argsort(-made, kind="stable")]
    axes.plot(np.arange(1, len(ranked) + 1), np.cumsum(ranked) / np.arange(1, len(ranked) + 1))
    axes.axhline(float(true.mean()) if len(true) else 1.0, color="0.7")
    axes.set(xlabel="products shown", ylabel="mean true lift", xscale="log")
    return figure
