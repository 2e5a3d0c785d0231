"""The trade-off curve: relevance, purchases and engagement at the first place for every weight, with intervals."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.families.record import Trial
from ml.families.relevance_fusion import judge
from ml.families.relevance_fusion.worth import AIMS, Board, Side

Floats = NDArray[np.float64]


def trials(predictions: pa.Table, truth: pa.Table) -> dict[str, Trial]:
    """Every ranking of the sweep over the weight of relevance, for both fusions."""
    both = judge.side_by_side(predictions, truth)
    out = {}
    for point, score in judge.curve(both).items():
        worth = {f"{aim}_at_1": value for aim, value in both.at_first(score).items() if np.isfinite(value)}
        out[point.name] = Trial({"fusion": point.fusion, "weight": point.weight}, worth)
    return out


def tradeoff(both: Board, draws: int, seed: int, confidence: float = 0.95) -> pa.Table:
    """fusion, weight, and for each of AIMS its mean with `_low` and `_high` (percentile bootstrap over queries)."""
    scored = judge.curve(both)
    columns: dict[str, object] = {
        "fusion": [point.fusion for point in scored], "weight": [point.weight for point in scored],
    }  # fmt: skip
    query = np.asarray(both.table.column("query").to_pylist(), dtype=str)
    for aim in AIMS:
        side = both.sides.get(aim)
        values = (
            intervals(
                side,
                np.column_stack([side.first(score) for score in scored.values()]),
                query,
                draws,
                seed,
                confidence,
            )
            if side
            else np.full((3, len(scored)), np.nan)
        )
        columns |= {aim: values[0], f"{aim}_low": values[1], f"{aim}_high": values[2]}
    return pa.table(columns)


def intervals(
    side: Side, first: Floats, query: NDArray[np.str_], draws: int, seed: int, confidence: float
) -> Floats:
    """Mean, low and high (3 x rankings) of worth at the first place (cases x rankings); queries drawn with
    replacement."""
    _, cluster = np.unique(query[side.rows[side.cases.start]], return_inverse=True)
    size = int(cluster.max()) + 1
    top = np.zeros((size, first.shape[1]))
    np.add.at(top, cluster, first * side.weight[:, None])
    bottom = np.bincount(cluster, weights=side.weight, minlength=size)
    times = np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), size=draws)
    drawn = (times @ top) / np.maximum(times @ bottom, 1e-300)[:, None]
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
    return np.stack([top.sum(axis=0) / bottom.sum(), low, high])
