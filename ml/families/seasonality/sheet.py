"""Everything that the parts of the model need for a set of origins, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.families.seasonality import design, rows
from ml.toolkit.intermittent import tame, tsb_path
from ml.toolkit.text import TextSpace

Floats = NDArray[np.float64]
DENSE = 0.9
DAY_ORIGIN = (
    "rate_7", "rate_28", "rate_84", "share_28", "typical_28", "growth_7", "growth_28", "growth_84", "promoted_28",
    "price",
    "paid", "category_growth_28", "days_since_sale", "selling_days", "basket", "festive", "uplift",
    "plain_growth",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sheet:
    """n origin rows with `horizon` days each.

    `origin` and `over` are columns of n values, `day` columns of n * horizon; `units` is n x horizon (NaN where
    unknown); `base` and `tsb` are expectations of the horizon's total.
    """

    step: int
    seasoned: bool
    rows: pa.Table
    days: pa.Table
    origin: design.Columns
    over: design.Columns
    day: design.Columns
    units: Floats
    base: Floats
    tsb: Floats

    @property
    def horizon(self) -> int:
        """Steps per origin row."""
        return int(self.units.shape[1])

    @property
    def dense(self) -> bool:
        """Whether nearly every step has a sale: then steps can be forecast one by one, in logarithms."""
        there = self.units[~np.isnan(self.units)]
        return bool(len(there)) and float(np.mean(there > 0)) > DENSE

    @property
    def plain(self) -> Floats:
        """Logarithm of a step's units + 1 without promotions; n * horizon values."""
        return np.repeat(design.plain_level(self.rows), self.horizon)

    @property
    def level_columns(self) -> design.Columns:
        """What the models of the total see: n values each."""
        return {**self.origin, **{f"over_{name}": values for name, values in self.over.items()}}

    @property
    def day_columns(self) -> design.Columns:
        """What the models of the day see: n * horizon values each."""
        spread = {name: np.repeat(self.origin[name], self.horizon) for name in DAY_ORIGIN}
        return {**spread, **self.day}

    def take(self, keep: NDArray[np.intp]) -> Sheet:
        """The sheet of some of its origin rows."""
        every = (keep[:, None] * self.horizon + np.arange(self.horizon)).ravel()
        return Sheet(
            self.step, self.seasoned, self.rows.take(pa.array(keep)), self.days.take(pa.array(every)),
            _take(self.origin, keep), _take(self.over, keep), _take(self.day, every),
            self.units[keep], self.base[keep], self.tsb[keep],
        )  # fmt: skip

    @property
    def recent(self) -> Floats:
        """Units of the horizon if the last four weeks went on."""
        months = self.horizon * self.step / design.MONTH
        return np.asarray(np.expm1(self.origin["rate_28"]) * months, dtype=np.float64)

    @property
    def totals(self) -> Floats:
        """Units of the whole horizon; 0 for days without a row."""
        return np.asarray(np.nan_to_num(self.units).sum(axis=1), dtype=np.float64)


def _take(columns: design.Columns, keep: NDArray[np.intp]) -> design.Columns:
    return {name: values[keep] for name, values in columns.items()}


@dataclass(frozen=True, slots=True)
class Source:
    """A matrix with what is read from it once: its series, and their smoothed levels before every step."""

    matrix: ibis.Table
    as_of: date
    step: int
    horizon: int
    seasoned: bool
    products: NDArray[np.str_]
    levels: Floats


def open_source(matrix: ibis.Table, as_of: date, step: int, horizon: int, *, seasoned: bool) -> Source:
    """Read the series of a matrix, and smooth them."""
    series = rows.read_series(matrix, as_of, step)
    return Source(matrix, as_of, step, horizon, seasoned, series.products, tsb_path(tame(series.units)))


def sheet(source: Source, origins: Sequence[date], space: TextSpace) -> Sheet:
    """The sheet of all products on the shelf at these origins."""
    return sheet_of(source, rows.at_origins(source.matrix, origins), space)


def sheet_of(source: Source, found: pa.Table, space: TextSpace) -> Sheet:
    """The sheet of origin rows that were already chosen."""
    days = rows.ahead(source.matrix, found, source.horizon, source.step)
    day = design.on_day(days, seasoned=source.seasoned)
    month = source.horizon * source.step / design.MONTH
    return Sheet(
        step=source.step,
        seasoned=source.seasoned,
        rows=found,
        days=days,
        origin=design.at_origin(found, space, seasoned=source.seasoned),
        over=design.over_horizon(day, source.horizon),
        day=day,
        units=rows.column(days, "units").reshape(-1, source.horizon),
        base=design.base(found) * month,
        tsb=_smoothed(source, found) * source.horizon,
    )


def _smoothed(source: Source, found: pa.Table) -> Floats:
    """The smoothed level of each row's product just before its origin; 0 for a product without a past."""
    ids = np.asarray(found.column("product_id").to_pylist(), dtype=str)
    back = [(source.as_of - origin).days // source.step for origin in found.column("origin").to_pylist()]
    if not len(source.products):
        return np.zeros(len(ids))
    row = np.minimum(np.searchsorted(source.products, ids), len(source.products) - 1)
    known = source.products[row] == ids
    last = source.levels.shape[1] - 1
    place = np.clip(last - np.asarray(back, dtype=int), 0, last)
    return np.where(known, source.levels[row, place], 0.0)
