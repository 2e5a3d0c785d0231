"""From the matrix to arrays: series of units, rows at an origin, and rows of the days that are forecast from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml.families.seasonality.columns import HISTORY, PLAN

Floats = NDArray[np.float64]
MEMORY_DAYS = 400


@dataclass(frozen=True, slots=True)
class Series:
    """Units of each product (rows, sorted by product) on the steps before an origin; NaN before its first step."""

    products: NDArray[np.str_]
    units: Floats

    def rows_of(self, products: Sequence[str]) -> NDArray[np.intp]:
        """Row numbers of the named products, all of which must be there."""
        return np.searchsorted(self.products, np.asarray(products))


def step_days(matrix: ibis.Table) -> int:
    """Days of a step of this matrix (1 if it is empty)."""
    return int(
        matrix.aggregate(step=matrix.step_days.max().fill_null(1)).to_pyarrow().column("step")[0].as_py()
    )


def read_series(matrix: ibis.Table, origin: date, step: int) -> Series:
    """Units before `origin`, at most the last MEMORY_DAYS days."""
    steps = MEMORY_DAYS // step
    first = origin - timedelta(days=steps * step)
    known = matrix.filter((matrix.day < ibis.date(origin)) & (matrix.day >= ibis.date(first)))
    place = (known.day.delta(ibis.date(first), unit="day") // step).cast("int32")
    found = known.select("product_id", place=place, units=known.units.cast("float64")).to_pyarrow()
    names = np.asarray(found.column("product_id").to_numpy(zero_copy_only=False), dtype=str)
    products, row = np.unique(names, return_inverse=True)
    units = np.full((len(products), steps), np.nan)
    units[row, found.column("place").to_numpy()] = found.column("units").to_numpy()
    return Series(products, units)


def at_origins(
    matrix: ibis.Table, origins: Sequence[date], products: Sequence[str] | None = None
) -> pa.Table:
    """The matrix rows of the origins themselves (product, origin, what is known then), sorted by origin and product."""
    rows = matrix.filter(matrix.day.isin([ibis.date(origin) for origin in origins]))
    if products is not None:
        rows = rows.semi_join(ibis.memtable(pa.table({"product_id": list(products)})), "product_id")
    columns = ["product_id", "title", "category", "price", *HISTORY, "age_days"]
    return rows.select(*columns, origin=rows.day).order_by("origin", "product_id").to_pyarrow()


def ahead(matrix: ibis.Table, rows: pa.Table, horizon: int, step: int) -> pa.Table:
    """For each row of `at_origins` its `horizon` steps in order: plan columns and units (null without a row)."""
    pairs = rows.select(["product_id", "origin"]).append_column("pair", pa.array(np.arange(len(rows))))
    wanted = ibis.memtable(pairs).cross_join(ibis.memtable(pa.table({"ahead": np.arange(horizon)})))
    day = (wanted.origin.cast("timestamp") + (wanted.ahead * step).as_interval("D")).date()
    wanted = wanted.mutate(day=day)
    known = matrix.select("product_id", "day", "units", *PLAN)
    joined = wanted.left_join(known, ["product_id", "day"])
    chosen = joined.select("pair", "ahead", "day", "units", *PLAN)
    return chosen.order_by("pair", "ahead").to_pyarrow()


def sample(rows: pa.Table, limit: int, seed: int) -> pa.Table:
    """At most `limit` rows, drawn without replacement, in their order."""
    if len(rows) <= limit:
        return rows
    picked = np.sort(np.random.default_rng(seed).choice(len(rows), size=limit, replace=False))
    return rows.take(pa.array(picked))


def column(rows: pa.Table, name: str) -> Floats:
    """A numeric column as floats, NaN for null."""
    values = pc.cast(rows.column(name), pa.float64()).to_numpy()
    return np.asarray(values, dtype=np.float64)
