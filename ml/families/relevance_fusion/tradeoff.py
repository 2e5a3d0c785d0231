"""The trade-off curve: relevance, purchases and engagement at the first place for every weight, with intervals."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ml.families.record import Trial
from ml.families.relevance_fusion import fusing, judge
from ml.families.relevance_fusion.worth import Board


def trials(predictions: pa.Table, truth: pa.Table) -> dict[str, Trial]:
    """Every ranking of the sweep over the weight of relevance, for both fusions."""
    both = judge.side_by_side(predictions, truth)
    out = {}
    for point, score in judge.curve(both).items():
        worth = {f"{aim}_at_1": value for aim, value in both.at_first(score).items() if np.isfinite(value)}
        out[point.name] = Trial({"fusion": point.fusion, "weight": point.weight}, worth)
    return out


def tradeoff(both: Board, draws: int, seed: int) -> pa.Table:
    """The curve of the sweep that predictions carry; see `fusing.curve`."""
    return fusing.curve(both, judge.curve(both), draws, seed)
