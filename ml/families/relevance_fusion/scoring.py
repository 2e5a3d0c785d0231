"""From a model and a matrix to predictions: one row per candidate at the origin."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.families.relevance_fusion.columns import KEY, NO_QUERY
from ml.families.relevance_fusion.history import outcomes, with_history
from ml.families.relevance_fusion.model import Model, mix_name, score_rows
from ml.families.relevance_fusion.rankers import RANKERS
from ml.families.relevance_fusion.sheet import Sheet, sheet

Floats = NDArray[np.float64]


def schema(mixes: Iterable[float]) -> pa.Schema:
    """Key, score at the operating point, chances by ranker, and one score per mixture of labels."""
    key = [
        ("query", pa.string()),
        ("product_id", pa.string()),
        ("modality", pa.string()),
        ("day", pa.date32()),
    ]
    numbers = ["score", *RANKERS, *(mix_name(weight) for weight in mixes)]
    return pa.schema([*key, *((name, pa.float64()) for name in numbers)])


def score(model: Model, matrix: ibis.Table, as_of: date) -> pa.Table:
    """Scores of every candidate from `as_of` on, sorted by key; products that the model never saw included."""
    known = candidates_at(model, matrix, as_of)
    made = score_rows(model, known.seen)
    mixed = {mix_name(weight): made.mixed.get(weight, made.score) for weight in model.mixes}
    return table(known.rows, {"score": made.score, **made.chances, **mixed}, model.mixes)


def candidates_at(model: Model, matrix: ibis.Table, as_of: date) -> Sheet:
    """The rows from `as_of` on (a window of the backtest has those of later periods) with all that the rankers see."""
    asked = matrix.filter(matrix.query != NO_QUERY)
    rows = with_history(outcomes(asked, model.examination))
    return sheet(rows.filter(rows.day >= ibis.date(as_of)), model.catalogue, model.usual)


def table(rows: pa.Table, columns: dict[str, Floats], mixes: Iterable[float]) -> pa.Table:
    """Predictions of some rows, which have the key's columns."""
    wanted = schema(mixes)
    given = [rows.column(name) if name in KEY else pa.array(columns[name]) for name in wanted.names]
    return pa.table(dict(zip(wanted.names, given, strict=True)), schema=wanted)
