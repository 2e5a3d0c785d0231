"""Pictures of one window of the backtest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ml.families.relevance_fusion import fusing, judge, study
from ml.families.relevance_fusion.examination import of_places
from ml.families.relevance_fusion.tradeoff import tradeoff

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DRAWS, SEED = 200, 7


def figures(predictions: pa.Table, truth: pa.Table) -> Mapping[str, Figure]:
    """`tradeoff`: relevance against purchases and engagement at the first place; `gains`: NDCG of the cases;
    `strategies`, `factors`: the study of the window's searches; `examination`: how far customers looked."""
    both = judge.side_by_side(predictions, truth)
    known = truth.drop_columns(["grade"]).rename_columns({"known_grade": "grade"})
    return {
        "tradeoff": draw_tradeoff(tradeoff(both, draws=DRAWS, seed=SEED)),
        "gains": _gains(predictions, truth),
        "strategies": draw_strategies(study.strategies(known, DRAWS, SEED)),
        "factors": draw_factors(study.factors(known, DRAWS, SEED)),
        "examination": _examination(truth),
    }


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


def draw_strategies(rows: pa.Table) -> Figure:
    """What each way to choose the first result earns, against the best."""
    figure, both = blank(2, "The first result: five ways to choose it")
    some = rows.to_pandas()
    some = some[some.modality == "all"]
    for axes, aim in zip(both, ("purchase", "engagement"), strict=True):
        bars = some[some.aim == aim]
        error = [bars.ratio - bars.low, bars.high - bars.ratio]
        axes.bar(bars.strategy, bars.ratio, yerr=error, capsize=3)
        axes.set(ylabel=f"{aim} against Optimal", ylim=(0, 1.05))
    return figure


def draw_factors(rows: pa.Table) -> Figure:
    """What makes irrelevant results sell: rates with the property over rates without, on a log scale."""
    figure, both = blank(2, "What makes irrelevant results wanted")
    some = rows.to_pandas()
    for axes, aim in zip(both, ("purchase", "engagement"), strict=True):
        bars = some[(some.aim == aim) & (some.effect > 0) & (some.low > 0)]
        error = [bars.effect - bars.low, bars.high - bars.effect]
        axes.errorbar(bars.effect, bars.factor, xerr=error, fmt="o", capsize=3)
        axes.axvline(1, color="0.6")
        axes.set(xlabel=f"{aim}: times as often", xscale="log")
    return figure


def _examination(truth: pa.Table) -> Figure:
    """The estimated curve of each modality with its band; dashed: engagement by place, which falls too steeply."""
    figure, (axes,) = blank(title="How far customers look")
    for modality, (found, clicked) in of_places(truth).items():
        place = np.arange(1, len(found.relative) + 1)
        axes.fill_between(place, found.low, found.high, alpha=0.2)
        (line,) = axes.plot(place, found.relative, "o-", label=modality)
        axes.plot(place, clicked, "--", color=line.get_color())
    axes.set(xlabel="place", ylabel="against the first place", ylim=(0, 1.1))
    axes.legend()
    return figure
