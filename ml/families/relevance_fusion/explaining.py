"""Why a candidate scores as it does: exact contributions, named in words."""

from __future__ import annotations

from datetime import date

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.families.relevance_fusion import fusing
from ml.families.relevance_fusion.columns import FEATURES, KEY
from ml.families.relevance_fusion.model import Model, mix_name, told_relevance
from ml.families.relevance_fusion.params import RelevanceFusionParams
from ml.families.relevance_fusion.rankers import ENGAGEMENT, PURCHASE, RELEVANCE
from ml.families.relevance_fusion.scoring import candidates_at, schema
from ml.toolkit import boosting

Floats = NDArray[np.float64]
NAMED = 6
EXPLAINED = 20_000


def explain(model: Model, matrix: ibis.Table, as_of: date, params: RelevanceFusionParams) -> pa.Table:
    """The NAMED largest contributions of each candidate, then the `rest` and the `start`, which add up.

    Of a weighted sum the contributions are to the weighted sum of the rankers' log odds, before calibration; of a
    mixture of labels to its score. At most EXPLAINED candidates, in the order of the key.
    """
    known = candidates_at(model, matrix, as_of)
    known = known.take(np.arange(min(len(known.seen), EXPLAINED)))
    given = contributions(model, known.seen)
    order = np.argsort(-np.abs(given[:, :-1]), axis=1, kind="stable")[:, :NAMED]
    top = np.take_along_axis(given, order, axis=1)
    rest = given[:, :-1].sum(axis=1) - top.sum(axis=1)
    contribution = np.column_stack([top, rest, given[:, -1]])
    value = np.column_stack([np.take_along_axis(known.seen, order, axis=1), np.full((len(order), 2), np.nan)])
    names = list(FEATURES)
    feature = [[*(names[i] for i in row), "rest", "start"] for row in order.tolist()]
    return _table(known.rows, feature, value.astype(np.float64), contribution)


def _table(rows: pa.Table, feature: list[list[str]], value: Floats, contribution: Floats) -> pa.Table:
    width = NAMED + 2
    repeated = rows.select(list(KEY)).take(pa.array(np.repeat(np.arange(rows.num_rows), width)))
    said = FEATURES | {"rest": "everything else", "start": "what is usual"}
    flat = [name for row in feature for name in row]
    columns = {
        "feature": pa.array(flat, pa.string()), "words": pa.array([said[name] for name in flat], pa.string()),
        "value": pa.array(value.ravel(), from_pandas=True), "contribution": pa.array(contribution.ravel()),
    }  # fmt: skip
    keys = {name: repeated.column(name).cast(schema(()).field(name).type) for name in KEY}
    return pa.table({**keys, **columns})


def contributions(model: Model, seen: NDArray[np.float32]) -> Floats:
    """Contributions of each feature to the score at the operating point (n x features + 1, the last: the start)."""
    total = np.zeros((len(seen), len(FEATURES) + 1))
    if not len(seen):
        return total
    seen = told_relevance(model.boosters, seen)
    for name, weight in parts(model).items():
        total += weight * boosting.contributions(model.boosters[name], list(FEATURES), seen)
    return total


def parts(model: Model) -> dict[str, float]:
    """The boosters that the operating point is made of, with their weights (a purchase is an engagement first)."""
    point, share = model.fusion.point, model.fusion.units.share
    if point.fusion == fusing.LABELS:
        return {mix_name(point.weight): 1.0}
    wanted = 1 - point.weight
    weights = {RELEVANCE: point.weight, PURCHASE: wanted * (1 - share), ENGAGEMENT: wanted}
    return {name: weight for name, weight in weights.items() if weight > 0 and name in model.boosters}
