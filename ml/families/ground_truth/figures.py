"""Pictures for the run's page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.families.ground_truth.judge import DECISION, NAME, PROBABILITY, YES, Judged, side_by_side

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
_MOST_LABELS = 12


def figures(predictions: pa.Table, truth: pa.Table) -> Mapping[str, Figure]:
    """Calibration, precision against coverage, and confusion, for each kind that people annotated."""
    both = side_by_side(predictions, truth)
    kinds = [kind for kind in NAME if both.counted(kind).any()]
    return {
        "calibration": _drawn(both, kinds, _calibration, "Found against stated probability"),
        "coverage": _drawn(both, kinds, _coverage, "Precision of the labels, most confident first"),
        "confusion": _drawn(
            both, kinds, _confusion, "What people said (down) and what was labelled (across)"
        ),
    }


def _drawn(both: Judged, kinds: list[str], draw: object, title: str) -> Figure:
    from matplotlib.figure import Figure

    count = max(1, len(kinds))
    figure = Figure(figsize=(4 * count, 3.6), layout="constrained")
    figure.suptitle(title)
    for axes, kind in zip(figure.subplots(1, count, squeeze=False)[0], kinds, strict=False):
        draw(axes, both, kind)  # type: ignore[operator]
        axes.set_title(NAME[kind])
    return figure


def _stated(both: Judged, kind: str) -> tuple[Floats, NDArray[np.bool_], Floats, NDArray[np.bool_]]:
    """Probability and whether it happened; confidence and whether the label was right."""
    counted = both.counted(kind)
    labels = both.agreed[kind].labels[counted]
    if kind == "intent":
        sure = both.column("intent_confidence")[counted].astype(float)
        right = both.column("intent")[counted] == labels
        return sure, right, sure, right
    probability = np.clip(both.column(PROBABILITY[kind])[counted].astype(float), 0, 1)
    said, yes = both.column(DECISION[kind])[counted].astype(bool), labels == YES[kind]
    return probability, yes, np.where(said, probability, 1 - probability), said == yes


def _calibration(axes: Axes, both: Judged, kind: str) -> None:
    probability, happened, *_ = _stated(both, kind)
    place = np.minimum((probability * 10).astype(int), 9)
    count = np.maximum(np.bincount(place, minlength=10), 1)
    some = np.bincount(place, minlength=10) > 0
    axes.plot([0, 1], [0, 1], color="0.8")
    axes.plot(
        (np.bincount(place, probability, 10) / count)[some],
        (np.bincount(place, happened, 10) / count)[some],
        "o-",
    )
    axes.set(xlabel="stated", ylabel="found", xlim=(0, 1), ylim=(0, 1))


def _coverage(axes: Axes, both: Judged, kind: str) -> None:
    *_, sure, right = _stated(both, kind)
    order = np.argsort(-sure, kind="stable")
    shares = np.arange(1, len(order) + 1) / max(len(order), 1)
    axes.plot(shares, np.cumsum(right[order]) / np.arange(1, len(order) + 1))
    axes.set(xlabel="share labelled", ylabel="precision", xlim=(0, 1))


def _confusion(axes: Axes, both: Judged, kind: str) -> None:
    counted = both.counted(kind)
    labels = both.agreed[kind].labels[counted]
    said = _labels_said(both, kind)[counted]
    names, counts = np.unique(labels, return_counts=True)
    names = np.sort(names[np.argsort(-counts, kind="stable")][:_MOST_LABELS])
    table = np.array([[np.sum((labels == one) & (said == other)) for other in names] for one in names])
    axes.imshow(table / np.maximum(table.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)


def _labels_said(both: Judged, kind: str) -> NDArray[np.str_]:
    if kind in ("satisfaction", "intent"):
        return np.asarray(both.column("grade" if kind == "satisfaction" else "intent"), dtype=str)
    return np.where(both.column(DECISION[kind]).astype(bool), "yes", "no")
