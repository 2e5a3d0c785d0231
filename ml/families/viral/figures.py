"""Pictures of one window of the backtest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ml.families.viral.judge import Judged, auc, first_posts, first_window, side_by_side

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BINS = 10


def figures(predictions: pa.Table, truth: pa.Table) -> Mapping[str, Figure]:
    """`roc`, `calibration`, `size`, `lead`."""
    both = side_by_side(predictions, truth)
    first = both.of(first_posts(both))
    return {"roc": _roc(both), "calibration": _calibration(both), "size": _size(first), "lead": _lead(first)}


def _blank(title: str, across: str, up: str) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.add_subplot(xlabel=across, ylabel=up)
    figure.suptitle(title)
    return figure, axes


def _roc(both: Judged) -> Figure:
    from sklearn.metrics import roc_curve

    figure, axes = _blank("Will it double?", "false alarms", "found")
    axes.plot([0, 1], [0, 1], color="0.7")
    for name, some in (("by posts", first_posts(both)), ("by hours", first_window(both))):
        part = both.of(some)
        if 0 < part.doubled.sum() < len(part.doubled):
            false, true, _ = roc_curve(part.doubled, part.doubles)
            axes.plot(false, true, label=f"first look {name}: AUC {auc(part):.3f}")
            axes.legend()
    return figure


def _calibration(both: Judged) -> Figure:
    figure, axes = _blank("Chance of doubling", "predicted", "came true")
    axes.plot([0, 1], [0, 1], color="0.7")
    place = np.minimum((both.doubles * _BINS).astype(int), _BINS - 1)
    some = [number for number in range(_BINS) if (place == number).any()]
    means = [(both.doubles[place == n].mean(), both.doubled[place == n].mean()) for n in some]
    axes.plot(*zip(*means, strict=True) if means else ([], []), "o-")
    return figure


def _size(first: Judged) -> Figure:
    figure, axes = _blank("Final size at the first look", "predicted", "came true")
    axes.loglog(2**first.log2_size, first.size, ".", base=2)
    axes.axline((10, 10), (20, 20), color="0.7")
    return figure


def _lead(first: Judged) -> Figure:
    """Hours between the first look and the peak, of those called likely."""
    figure, axes = _blank(
        "Time before the peak, where doubling was likelier than not", "hours (log10)", "cascades"
    )
    some = (first.doubles > 0.5) & np.isfinite(first.ahead) & (first.ahead > 0)
    axes.hist(np.log10(first.ahead[some] + 0.01), bins=20)
    return figure
