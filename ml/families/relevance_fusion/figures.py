"""Pictures of one window of the backtest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from ml.families.relevance_fusion import fusing, judge
from ml.families.relevance_fusion.tradeoff import tradeoff

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def figures(predictions: pa.Table, truth: pa.Table) -> Mapping[str, Figure]:
    """`tradeoff`: relevance against purchases and engagement at the first place; `gains`: NDCG of the cases."""
    both = judge.side_by_side(predictions, truth)
    return {"tradeoff": draw_tradeoff(tradeoff(both, draws=200, seed=7)), "gains": _gains(predictions, truth)}


def blank(columns: int = 1, title: str = "") -> tuple[Figure, list[Axes]]:
    """A figure with `columns` axes side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6 * columns, 4.5), layout="constrained")
    figure.suptitle(title)
    return figure, [figure.add_subplot(1, columns, column + 1) for column in range(columns)]


def draw_tradeoff(points: pa.Table) -> Figure:
    """The trade-off of both fusions with the band of the weighted sums."""
    figure, both = blank(2, "What stands first: relevant, and wanted")
    rows = points.to_pandas()
    for axes, aim in zip(both, ("purchase", "engagement"), strict=True):
        for fusion, style in ((fusing.SCORES, "o-"), (fusing.LABELS, "s--")):
            some = rows[rows.fusion == fusion].sort_values("weight")
            axes.plot(some.relevance, some[aim], style, ms=3, label=f"fusion of {fusion}")
            if fusion == fusing.SCORES:
                line = some.sort_values("relevance")
                axes.fill_between(line.relevance, line[f"{aim}_low"], line[f"{aim}_high"], alpha=0.2)
        axes.set(xlabel="relevance at the first place", ylabel=f"{aim} at the first place")
        axes.legend()
    return figure


def _gains(predictions: pa.Table, truth: pa.Table) -> Figure:
    figure, (axes,) = blank(title="Loss of the cases")
    loss = judge.losses(predictions, truth).column("loss").to_numpy()
    axes.hist(loss, bins=20, range=(0, 1))
    axes.set(xlabel="1 - mean NDCG@10 of relevance and purchases", ylabel="cases")
    return figure
