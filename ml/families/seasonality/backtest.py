"""The windows of the backtest: what was known at each origin, and what came true."""

from __future__ import annotations

from datetime import date, timedelta

import ibis
import numpy as np
import pyarrow as pa

from ml.families.record import Fold
from ml.families.seasonality import rows
from ml.families.seasonality.clock import clock
from ml.families.seasonality.columns import HISTORY
from ml.families.seasonality.params import SeasonalityParams
from ml.toolkit.splits import rolling_origins

_OF_PRODUCT = ("title", "category", "price", "usual", "recent", "selling_days")


def folds(matrix: ibis.Table, as_of: date, params: SeasonalityParams) -> tuple[Fold, ...]:
    """`windows` folds spaced by the horizon, oldest first; the last one ends where the matrix's knowledge ends."""
    step = rows.step_days(matrix)
    days = clock(as_of, step, params).horizon * step
    return tuple(fold(matrix, origin, days) for origin in rolling_origins(as_of, days, params.windows))


def fold(matrix: ibis.Table, origin: date, days: int) -> Fold:
    """The fold of one origin."""
    known = as_it_stood(matrix, origin, days)
    return Fold(f"origin-{origin.isoformat()}", origin, known, known, truth(matrix, origin, days))


def as_it_stood(matrix: ibis.Table, origin: date, days: int) -> ibis.Table:
    """The matrix at an earlier origin: target hidden from it on, history hidden after it, nothing past its horizon."""
    seen = matrix.filter(matrix.day < ibis.date(origin + timedelta(days=days)))
    past = seen.day <= ibis.date(origin)
    hidden = {name: ibis.ifelse(past, seen[name], None) for name in HISTORY}
    return seen.mutate(units=ibis.ifelse(seen.day < ibis.date(origin), seen.units, None), **hidden)


def truth(matrix: ibis.Table, origin: date, days: int) -> ibis.Table:
    """What came true for the products on the shelf at the origin, with what slices and scales need.

    product_id, day, units; title (the id of a product without one); category; price; usual (units per step in the
    year before the origin), recent (units in the 84 days before), selling_days (null: never sold before).
    """
    start = matrix.filter(matrix.day == ibis.date(origin))
    selling = start.selling_days.cast("float64")
    span = ibis.greatest(ibis.least(selling, 364.0), 28.0)
    shelf = start.select(
        "product_id", "category", "price",
        title=start.title.fill_null(start.product_id),
        usual=(start.tamed_364 / span * start.step_days).cast("float64").fill_null(0.0),
        recent=start.units_84.cast("float64"), selling_days=selling,
    )  # fmt: skip
    step = rows.step_days(matrix)
    ahead = ibis.memtable(pa.table({"ahead": np.arange(0, days, step)}))
    day = (ibis.timestamp(str(origin)) + ahead.ahead.as_interval("D")).date()
    every = shelf.cross_join(ahead.select(day=day))
    sold = matrix.filter(matrix.day >= ibis.date(origin)).select("product_id", "day", "units")
    joined = every.left_join(sold, ["product_id", "day"]).select(
        *(every[name] for name in every.columns), units=sold.units.fill_null(0.0)
    )
    return joined.select("product_id", "day", "units", *_OF_PRODUCT).order_by("product_id", "day")
