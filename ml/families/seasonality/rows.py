"""From the matrix to arrays: a panel of products by steps, and the rows of the origins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml.families.seasonality.columns import HISTORY

Floats = NDArray[np.float64]
Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Panel:
    """Columns of the matrix as products (sorted) x steps from `first` on; NaN where there is no row."""

    products: NDArray[np.str_]
    first: date
    step: int
    values: dict[str, NDArray[np.float32]]

    def rows_of(self, products: Sequence[str]) -> Places:
        """Row numbers of the named products, all of which must be there."""
        return np.searchsorted(self.products, np.asarray(products, dtype=str))

    def place_of(self, day: date) -> int:
        """Column number of a day."""
        return (day - self.first).days // self.step

    def units_before(self, products: Sequence[str], origin: date, steps: int) -> Floats:
        """Units of the `steps` steps before an origin; 0 where nothing was sold, or before the panel."""
        known = self.values["units"][self.rows_of(products), : self.place_of(origin)][:, -steps:]
        missing = steps - known.shape[1]
        return np.pad(np.nan_to_num(known).astype(np.float64), ((0, 0), (missing, 0)))


def step_days(matrix: ibis.Table) -> int:
    """Days of a step of this matrix (1 if it is empty)."""
    return int(
        matrix.aggregate(step=matrix.step_days.max().fill_null(1)).to_pyarrow().column("step")[0].as_py()
    )


def first_day(matrix: ibis.Table, as_of: date) -> date:
    """The first day of the matrix; `as_of` if it is empty."""
    return matrix.aggregate(first=matrix.day.min()).to_pyarrow().column("first")[0].as_py() or as_of


def read_panel(
    matrix: ibis.Table, as_of: date, step: int, back: int, ahead: int, columns: Sequence[str] = ("units",)
) -> Panel:
    """Columns of the matrix from at most `back` steps before `as_of` until `ahead` steps after."""
    back = min(back, (as_of - first_day(matrix, as_of)).days // step)
    first, after = as_of - timedelta(days=back * step), as_of + timedelta(days=ahead * step)
    within = matrix.filter((matrix.day >= ibis.date(first)) & (matrix.day < ibis.date(after)))
    place = (within.day.delta(ibis.date(first), unit="day") // step).cast("int32")
    chosen = {f"of_{name}": within[name].cast("float32") for name in columns}
    found = within.select("product_id", place=place, **chosen).to_pyarrow()
    products, row = _numbered(found.column("product_id"))
    where = found.column("place").to_numpy()
    values = {
        name: _placed(found.column(f"of_{name}"), row, where, (len(products), back + ahead))
        for name in columns
    }
    return Panel(products, first, step, values)


def _numbered(names: pa.ChunkedArray) -> tuple[NDArray[np.str_], Places]:
    """The distinct names, sorted, and the number of each row's name."""
    encoded = names.combine_chunks().dictionary_encode()
    distinct = np.asarray(encoded.dictionary.to_pylist(), dtype=str)
    order = np.argsort(distinct)
    rank = np.empty(len(order), dtype=np.intp)
    rank[order] = np.arange(len(order))
    return distinct[order], rank[encoded.indices.to_numpy()]


def _placed(
    column: pa.ChunkedArray, row: Places, place: NDArray[np.int32], shape: tuple[int, int]
) -> NDArray[np.float32]:
    out = np.full(shape, np.nan, dtype=np.float32)
    out[row, place] = column.to_numpy()
    return out


def at_origins(matrix: ibis.Table, origins: Sequence[date]) -> pa.Table:
    """The matrix rows of the origins themselves (product, origin, what is known then), sorted by origin and product."""
    rows = matrix.filter(matrix.day.isin([ibis.date(origin) for origin in origins]))
    columns = ["product_id", "title", "category", "price", *HISTORY]
    return rows.select(*columns, origin=rows.day).order_by("origin", "product_id").to_pyarrow()


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
