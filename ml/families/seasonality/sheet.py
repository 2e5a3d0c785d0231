"""Everything that the parts of the model need for a set of origins, as arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.families.seasonality import design, rows, trade
from ml.families.seasonality.columns import PLAN
from ml.families.seasonality.rows import Panel, Places
from ml.toolkit.intermittent import tame, tsb_path
from ml.toolkit.text import TextSpace

Floats = NDArray[np.float64]
DENSE = 0.8
MEMORY_DAYS = 400


@dataclass(frozen=True, slots=True)
class Source:
    """What is read of a matrix once: its panel, tamed units (0 where nothing was sold), their smoothed level.

    `levels[:, t]` is known before step t. `roots` are square roots of tamed units, summed over the products.
    """

    matrix: ibis.Table
    as_of: date
    horizon: int
    seasoned: bool
    panel: Panel
    tamed: Floats
    levels: Floats
    roots: Floats

    @property
    def step(self) -> int:
        """Days of a step."""
        return self.panel.step

    @property
    def dense(self) -> bool:
        """Whether nearly every step has a sale: then steps can be forecast one by one, in logarithms."""
        units = self.panel.values["units"]
        there = units[~np.isnan(units)]
        return bool(len(there)) and float(np.mean(there > 0)) > DENSE


def open_source(
    matrix: ibis.Table, as_of: date, step: int, horizon: int, *, seasoned: bool, days: int = MEMORY_DAYS
) -> Source:
    """Read the panel of the last `days` days and of the horizon."""
    panel = rows.read_panel(matrix, as_of, step, days // step, horizon, ("units", *PLAN))
    known = panel.place_of(as_of)
    panel.values["year_ago_lift"] = design.year_ago_lift(panel.values)
    tamed = tame(panel.values["units"][:, :known].astype(np.float64))
    return Source(matrix, as_of, horizon, seasoned, panel, tamed, tsb_path(tamed), np.sqrt(tamed).sum(axis=0))


@dataclass(frozen=True, slots=True)
class Sheet:
    """n origin rows: where they stand in the panel, what the boosters of the total see, the plain expectation."""

    source: Source
    rows: pa.Table
    product: Places
    place: Places
    level_columns: design.Columns
    base: Floats

    @property
    def horizon(self) -> int:
        """Steps per origin row."""
        return self.source.horizon

    @property
    def day_places(self) -> tuple[Places, Places]:
        """Rows and columns in the panel of each step of the horizons; n x horizon."""
        place = self.place[:, None] + np.arange(self.horizon)
        return np.repeat(self.product[:, None], self.horizon, axis=1), place

    def on_days(self, name: str) -> Floats:
        """A panel column over the horizons, n x horizon."""
        return self.source.panel.values[name][self.day_places].astype(np.float64)

    @property
    def units(self) -> Floats:
        """What was sold; NaN where there is no row or it is not known."""
        return self.on_days("units")

    @property
    def totals(self) -> Floats:
        """Units of the whole horizon; 0 for days without a row."""
        return np.asarray(np.nan_to_num(self.units).sum(axis=1), dtype=np.float64)

    @property
    def shares(self) -> Floats:
        """Share of the total for each step, by weekday; n x horizon."""
        return self._by_place(
            lambda place: trade.shares(self.source.roots, place, self.horizon, self.source.step)
        )

    @property
    def store_growth(self) -> Floats:
        """What the whole store sold in each row's horizon over the horizon before (tamed): 1 if unknown or seasoned."""
        if self.source.seasoned:
            return np.ones(len(self.product))
        sold = self.source.tamed.sum(axis=0)
        return self._by_place(lambda place: trade.growth(sold, place, self.horizon))

    def _by_place(self, of_place: Callable[[int], Floats | float]) -> Floats:
        places, which = np.unique(self.place, return_inverse=True)
        return np.asarray([of_place(int(place)) for place in places], dtype=np.float64)[which]

    def take(self, keep: Places) -> Sheet:
        """The sheet of some of its origin rows."""
        return Sheet(
            self.source, self.rows.take(pa.array(keep)), self.product[keep], self.place[keep],
            {name: values[keep] for name, values in self.level_columns.items()}, self.base[keep],
        )  # fmt: skip


def sheet(source: Source, origins: Sequence[date], space: TextSpace) -> Sheet:
    """The sheet of all products on the shelf at these origins."""
    return sheet_of(source, rows.at_origins(source.matrix, origins), space)


def sheet_of(source: Source, found: pa.Table, space: TextSpace) -> Sheet:
    """The sheet of origin rows that were already chosen."""
    product = source.panel.rows_of(found.column("product_id").to_pylist())
    days = found.column("origin").to_pylist()
    place = np.asarray([source.panel.place_of(day) for day in days], dtype=np.intp)
    columns = {
        **design.at_origin(found, space, seasoned=source.seasoned),
        **design.neighbours(found, place, space),
        "smoothed": np.log1p(design.MONTH / source.step * source.levels[product, place]),
        "largest": np.log1p(trade.largest(source.panel.values["units"], product, place, 91 // source.step)),
        **_over(source, product, place),
    }
    month = source.horizon * source.step / design.MONTH
    return Sheet(source, found, product, place, columns, design.base(found) * month)


def _over(source: Source, product: Places, place: Places) -> design.Columns:
    """The mean of what is planned over each row's horizon."""
    names = [name for name in design.planned(seasoned=source.seasoned) if name not in design.OF_THE_DAY]
    values = source.panel.values
    return {f"over_{name}": trade.ahead(values[name], product, place, source.horizon) for name in names}
