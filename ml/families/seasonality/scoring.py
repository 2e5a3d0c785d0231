"""From a model and a matrix to the rows of `forecasts`."""

from __future__ import annotations

from datetime import date, timedelta

import ibis
import numpy as np
import pyarrow as pa

from ml.families.seasonality.model import Forecast, Model, forecast
from ml.families.seasonality.sheet import Sheet, open_source, sheet

SCHEMA = pa.schema(
    [
        ("product_id", pa.string()),
        ("day", pa.date32()),
        *((name, pa.float64()) for name in ("mean", "q10", "q50", "q90")),
    ]
)


def score(model: Model, matrix: ibis.Table, as_of: date) -> pa.Table:
    """Forecasts of every product that is on the shelf at `as_of`, also of products that the model never saw."""
    return forecast_rows(*forecast_at(model, matrix, as_of))


def forecast_at(model: Model, matrix: ibis.Table, as_of: date) -> tuple[Sheet, Forecast]:
    """The sheet of `as_of` and its forecast."""
    source = open_source(matrix, as_of, model.step, model.horizon, seasoned=model.seasoned)
    known = sheet(source, [as_of], model.space)
    return known, forecast(model, known)


def forecast_rows(known: Sheet, made: Forecast) -> pa.Table:
    """One row per product and day, sorted."""
    days = [known.source.as_of + timedelta(days=ahead * known.source.step) for ahead in range(known.horizon)]
    product = known.rows.column("product_id").to_numpy(zero_copy_only=False)
    columns = [
        pa.array(np.repeat(product, known.horizon), pa.string()),
        pa.array(days * len(known.rows), pa.date32()),
        pa.array(made.mean.ravel()),
        *(pa.array(made.quantiles[:, :, place].ravel()) for place in range(3)),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)
