"""Why a forecast is what it is: exact contributions to the logarithm of the expected total, named in words."""

from __future__ import annotations

from datetime import date

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.families.seasonality import design, levels
from ml.families.seasonality.model import Model
from ml.families.seasonality.params import SeasonalityParams
from ml.families.seasonality.sheet import Sheet, open_source, sheet
from ml.toolkit import boosting

Floats = NDArray[np.float64]
NAMED = 8
PART = levels.MEAN
SCHEMA = pa.schema(
    [
        ("product_id", pa.string()), ("day", pa.date32()), ("feature", pa.string()), ("words", pa.string()),
        ("value", pa.float64()), ("contribution", pa.float64()),
    ]
)  # fmt: skip


def explain(model: Model, matrix: ibis.Table, as_of: date, params: SeasonalityParams) -> pa.Table:
    """The NAMED largest contributions of every product on the shelf, then the `rest` and the `start`, which add up.

    Contributions are to the logarithm of the total by the booster of its mean; `day` is the origin.
    """
    known = sheet(
        open_source(matrix, as_of, model.step, model.horizon, seasoned=model.seasoned), [as_of], model.space
    )
    seen, given = contributions(model, known)
    names = list(known.level_columns)
    products = known.rows.column("product_id").to_pylist()
    rows = [
        row
        for number, product in enumerate(products)
        for row in _rows(product, names, seen[number], given[number])
    ]
    columns = [list(some) for some in zip(*rows, strict=True)] or [[] for _ in range(5)]
    columns.insert(1, [as_of] * len(rows))
    return pa.Table.from_arrays(
        [pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA
    )


def contributions(model: Model, known: Sheet) -> tuple[NDArray[np.float32], Floats]:
    """The columns seen, and their contributions (last: the offset with the bias)."""
    columns = known.level_columns
    seen = design.stack(columns)
    given = boosting.contributions(model.boosters[PART], tuple(columns), seen, np.log(known.base + 1))
    return seen, given


def seasonal(model: Model, known: Sheet) -> Floats:
    """The sum of what the columns about the time of the year contribute to each forecast, in logarithms."""
    _, given = contributions(model, known)
    mine = [design.of_the_season(name.removeprefix("over_")) for name in known.level_columns]
    return np.asarray(given[:, :-1][:, np.asarray(mine, dtype=bool)].sum(axis=1), dtype=np.float64)


def words_of(name: str) -> str:
    """A column of the total's boosters in words."""
    return design.words_of(name.removeprefix("over_"))


def _rows(
    product: str, names: list[str], seen: NDArray[np.float32], given: Floats
) -> list[tuple[str, str, str, float | None, float]]:
    order = np.argsort(-np.abs(given[:-1]), kind="stable")[:NAMED]
    named = [(product, names[i], words_of(names[i]), _value(seen[i]), float(given[i])) for i in order]
    rest = float(given[:-1].sum() - given[order].sum())
    return [
        *named,
        (product, "rest", "everything else", None, rest),
        (product, "start", "what is usual", None, float(given[-1])),
    ]


def _value(value: np.float32) -> float | None:
    return None if np.isnan(value) else float(value)
