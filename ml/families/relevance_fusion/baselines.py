"""What a sceptic would use: the words alone, the sales alone, what was bought before, and each ranker alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.families.relevance_fusion import model as fitted
from ml.families.relevance_fusion.catalogue import numbers
from ml.families.relevance_fusion.columns import KEY, NO_QUERY
from ml.families.relevance_fusion.examination import Examination
from ml.families.relevance_fusion.history import outcomes, with_history
from ml.families.relevance_fusion.params import RelevanceFusionParams
from ml.families.relevance_fusion.rankers import RANKERS
from ml.families.relevance_fusion.scoring import candidates_at, table


def baselines(matrix: ibis.Table, as_of: date, params: RelevanceFusionParams) -> Mapping[str, pa.Table]:
    """`bm25`; `popularity` (units of three periods); `bought_before` (purchases per impression of the pair, then
    units); and each ranker alone, as grown by the same recipe. One score stands for all columns."""
    rows = _plain(matrix, as_of)
    bought = numbers(rows, "pair_purchased") / (numbers(rows, "pair_exposure") + 5.0)
    scores = {
        "bm25": numbers(rows, "bm25"),
        "popularity": numbers(rows, "units_3"),
        "bought_before": bought + 1e-9 * numbers(rows, "units_3"),
        **_alone(matrix, as_of, params),
    }
    return {name: _same(rows, score, params) for name, score in scores.items()}


def _plain(matrix: ibis.Table, as_of: date) -> pa.Table:
    asked = matrix.filter(matrix.query != NO_QUERY)
    known = with_history(outcomes(asked, Examination({})))
    wanted = ["bm25", "units_3", "pair_purchased", "pair_exposure"]
    return known.filter(known.day >= ibis.date(as_of)).select(*KEY, *wanted).order_by(*KEY).to_pyarrow()


def _alone(matrix: ibis.Table, as_of: date, params: RelevanceFusionParams) -> dict[str, NDArray[np.float64]]:
    model = fitted.fit_rankers(matrix, as_of, params)
    made = fitted.score_rows(model, candidates_at(model, matrix, as_of).seen)
    return {f"only_{name}": made.chances[name] for name in RANKERS if name in model.boosters}


def _same(rows: pa.Table, score: NDArray[np.float64], params: RelevanceFusionParams) -> pa.Table:
    names = ["score", *RANKERS, *(fitted.mix_name(weight) for weight in params.mixes)]
    return table(rows, {name: np.nan_to_num(score) for name in names}, params.mixes)
