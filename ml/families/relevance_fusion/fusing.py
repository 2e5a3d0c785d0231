"""Relevance and demand made one score, how far each way goes, and which one the policy picks.

Two fusions. `scores`: weight * relevance + (1 - weight) * wanted, each in units of its own spread within a query, with
wanted = purchase and a share of engagement. `labels`: one ranker whose every training row draws its label from
relevance with chance `weight`, from wanted otherwise (stochastic label aggregation, Carmel et al. 2020).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.families.relevance_fusion.params import RelevanceFusionParams
from ml.families.relevance_fusion.rankers import ENGAGEMENT, PURCHASE, RANKERS, RELEVANCE
from ml.families.relevance_fusion.worth import AIMS, Board, intervals

Floats = NDArray[np.float64]
SCORES, LABELS = "scores", "labels"
CURVE = ("fusion", "weight", "in_service", *(f"{aim}{end}" for aim in AIMS for end in ("", "_low", "_high")))


@dataclass(frozen=True, slots=True)
class Point:
    """One ranking of the sweep: how it was fused, at which weight of relevance."""

    fusion: str
    weight: float

    @property
    def name(self) -> str:
        """A name for runs and plots."""
        return f"{self.fusion}-{self.weight:.2f}"


@dataclass(frozen=True, slots=True)
class Units:
    """The spread within a query of each ranker's chances, and the share of engagement in what is wanted."""

    relevance: float
    engagement: float
    purchase: float
    share: float

    def fused(self, chances: Mapping[str, Floats], weight: float) -> Floats:
        """The fused score; a ranker that is not there counts nothing."""
        wanted = (1 - self.share) * self._scaled(chances, PURCHASE) + self.share * self._scaled(
            chances, ENGAGEMENT
        )
        return weight * self._scaled(chances, RELEVANCE) + (1 - weight) * wanted

    def _scaled(self, chances: Mapping[str, Floats], ranker: str) -> Floats:
        unit = getattr(self, ranker)
        return chances[ranker] / unit if unit > 0 else 0.0 * chances[ranker]


def units_of(board: Board, chances: Mapping[str, Floats], share: float) -> Units:
    """Measured on the candidates of a board; the chances are over its rows."""
    from ml.families.relevance_fusion.cases import cases_of

    cases = cases_of(board.names)
    spreads = {ranker: cases.spread(chances[ranker]) for ranker in RANKERS}
    return Units(**spreads, share=share)


def sweep(
    chances: Mapping[str, Floats], mixed: Mapping[float, Floats], units: Units, params: RelevanceFusionParams
) -> dict[Point, Floats]:
    """Every ranking of the sweep with its score; `mixed` are those of `labels` by weight."""
    weights = np.linspace(0, 1, params.weights + 1)
    out = {Point(SCORES, round(float(w), 4)): units.fused(chances, float(w)) for w in weights}
    return out | {Point(LABELS, weight): score for weight, score in mixed.items()}


def choose(board: Board, scored: Mapping[Point, Floats], params: RelevanceFusionParams) -> Point:
    """The policy: the most purchases (engagement, where nothing was purchased) at the first place such that relevance
    stays above `relevance_floor` of what the relevance ranker reaches; without searches relevance alone."""
    allowed = [point for point in scored if params.fusion in ("better", point.fusion)] or list(scored)
    aim = next((aim for aim in ("purchase", "engagement") if aim in board.sides), None)
    if aim is None:
        return Point(SCORES, 1.0)
    if RELEVANCE not in board.sides:
        return max(allowed, key=lambda point: board.mean(aim, scored[point]))
    reached = {point: board.mean(RELEVANCE, scored[point]) for point in allowed}
    floor = params.relevance_floor * board.mean(RELEVANCE, scored[Point(SCORES, 1.0)])
    good = [point for point in allowed if reached[point] >= floor] or [max(allowed, key=reached.__getitem__)]
    return max(good, key=lambda point: board.mean(aim, scored[point]))


def curve(
    board: Board, scored: Mapping[Point, Floats], draws: int, seed: int, chosen: Point | None = None
) -> pa.Table:
    """fusion, weight, in_service, and for each of AIMS the mean at the first place with `_low` and `_high`.

    Intervals of 95 % are a percentile bootstrap over queries; NaN where an aim cannot be measured.
    """
    columns: dict[str, object] = {
        "fusion": [point.fusion for point in scored], "weight": [point.weight for point in scored],
        "in_service": [point == chosen for point in scored],
    }  # fmt: skip
    query = np.asarray(board.table.column("query").to_pylist(), dtype=str)
    for aim in AIMS:
        side = board.sides.get(aim)
        values = np.full((3, len(scored)), np.nan)
        if side is not None:
            first = np.column_stack([side.first(score) for score in scored.values()])
            values = intervals(side, first, query, draws, seed, confidence=0.95)
        columns |= {aim: values[0], f"{aim}_low": values[1], f"{aim}_high": values[2]}
    return pa.table(columns)


def hypervolume(points: Sequence[tuple[float, float]]) -> float:
    """Area that the points dominate above and to the right of (0, 0) (Zitzler and Thiele 1999)."""
    area, height = 0.0, 0.0
    for x, y in sorted(points, reverse=True):
        if y > height:
            area += x * (y - height)
            height = y
    return area
