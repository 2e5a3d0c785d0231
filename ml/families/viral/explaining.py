"""Why a cascade is expected to double: what each feature adds to the log-odds, in words."""

from __future__ import annotations

from datetime import date

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.families.viral.columns import FEATURES, KEY
from ml.families.viral.design import features_of, waiting
from ml.families.viral.model import Model, asked, contributions
from ml.families.viral.params import ViralParams
from ml.families.viral.wording import words

SHOWN = 8


def explain(model: Model, matrix: ibis.Table, as_of: date, params: ViralParams) -> pa.Table:
    """The features with the largest contributions to each prediction; with `all other features` they add up."""
    rows = waiting(matrix)
    known = features_of(rows)
    parts = contributions(model, "doubles", asked(model, rows))
    largest = np.argsort(-np.abs(parts[:, : len(FEATURES)]), axis=1, kind="stable")[:, :SHOWN]
    shown = np.take_along_axis(parts[:, : len(FEATURES)], largest, axis=1)
    values = np.take_along_axis(known.astype(np.float64), largest, axis=1)
    rest = parts.sum(axis=1) - shown.sum(axis=1)
    names = np.append(FEATURES, "others")
    places = np.column_stack([largest, np.full(len(rows), len(FEATURES))])
    return _rows(
        rows, names[places], np.column_stack([values, rest * np.nan]), np.column_stack([shown, rest])
    )


def _rows(
    rows: pa.Table, names: NDArray[np.str_], values: NDArray[np.float64], parts: NDArray[np.float64]
) -> pa.Table:
    flat = names.ravel().tolist()
    told = {name: "all other features" if name == "others" else words(name) for name in set(flat)}
    each = np.repeat(np.arange(len(rows)), names.shape[1])
    return pa.table(
        {
            **{name: rows.column(name).take(pa.array(each)) for name in KEY},
            "feature": pa.array(flat, pa.string()), "words": pa.array([told[name] for name in flat], pa.string()),
            "value": pa.array(values.ravel(), from_pandas=True), "contribution": pa.array(parts.ravel()),
        }
    )  # fmt: skip
