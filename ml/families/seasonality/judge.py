"""How forecasts are judged: the loss of each product's total, and the metrics that are reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.toolkit import metrics as m

Floats = NDArray[np.float64]
RANKED = 100
NEW_DAYS = 84


@dataclass(frozen=True, slots=True)
class Judged:
    """Truth and forecast of n products side by side, n x steps; a product that was not forecast counts as zero."""

    products: NDArray[np.str_]
    actual: Floats
    mean: Floats
    quantiles: Mapping[float, Floats]
    titles: NDArray[np.str_]
    category: NDArray[np.str_]
    price: Floats
    usual: Floats
    recent: Floats
    selling_days: Floats


def side_by_side(predictions: pa.Table, truth: pa.Table) -> Judged:
    """Join by product and day. `truth` is dense: every product has the same days."""
    columns = ["product_id", "day", "units", "title", "category", "price", "usual", "recent", "selling_days"]
    joined = truth.select(columns).join(predictions, ["product_id", "day"], join_type="left outer")
    joined = joined.sort_by([("product_id", "ascending"), ("day", "ascending")])
    steps = len(joined.column("day").unique()) or 1
    first = joined.take(pa.array(np.arange(0, len(joined), steps)))
    return Judged(
        products=_strings(first, "product_id"),
        actual=_numbers(joined, "units").reshape(-1, steps),
        mean=_numbers(joined, "mean").reshape(-1, steps),
        quantiles={
            level: _numbers(joined, f"q{round(100 * level)}").reshape(-1, steps) for level in (0.1, 0.5, 0.9)
        },
        titles=_strings(first, "title"),
        category=_strings(first, "category"),
        price=_numbers(first, "price"),
        usual=_numbers(first, "usual"),
        recent=_numbers(first, "recent"),
        selling_days=_numbers(first, "selling_days", missing=-1.0),
    )


def _numbers(table: pa.Table, name: str, missing: float = 0.0) -> Floats:
    values: Floats = np.nan_to_num(table.column(name).to_numpy().astype(np.float64), nan=missing)
    return values


def _strings(table: pa.Table, name: str) -> NDArray[np.str_]:
    return np.asarray(table.column(name).to_pylist(), dtype=str)


def losses(predictions: pa.Table, truth: pa.Table) -> pa.Table:
    """One case per product: loss |actual - forecast| of the horizon's total, weight the actual total.

    Sum of losses over sum of weights is the WAPE of totals. Slices: volume (tertile of recent units), category, age.
    """
    both = side_by_side(predictions, truth)
    actual, forecast = both.actual.sum(axis=1), both.mean.sum(axis=1)
    return pa.table(
        {
            "case": pa.array(both.products.tolist(), pa.string()),
            "entity": pa.array(both.products.tolist(), pa.string()),
            "loss": pa.array(np.abs(actual - forecast)),
            "weight": pa.array(actual),
            "slice_volume": pa.array(_tertile(both.recent), pa.string()),
            "slice_category": pa.array(both.category.tolist(), pa.string()),
            "slice_age": pa.array(
                ["new" if days < NEW_DAYS else "old" for days in both.selling_days], pa.string()
            ),
        }
    )


def _tertile(volume: Floats) -> list[str]:
    if not len(volume):
        return []
    low, high = np.quantile(volume, [1 / 3, 2 / 3])
    return ["low" if v <= low else "middle" if v <= high else "high" for v in volume]


def metrics(predictions: pa.Table, truth: pa.Table) -> Mapping[str, float]:
    """Metrics of one window; NaN where one cannot be computed (nothing sold, no quantiles)."""
    both = side_by_side(predictions, truth)
    actual, forecast = both.actual.sum(axis=1), both.mean.sum(axis=1)
    naive = np.repeat(both.usual[:, None], both.actual.shape[1], axis=1)
    return {
        "wape_total": m.wape(actual, forecast),
        "wql": m.wql(both.actual, both.quantiles),
        "coverage_80": m.coverage(
            both.actual.ravel(), both.quantiles[0.1].ravel(), both.quantiles[0.9].ravel()
        ),
        **_ranking(both),
        "rmsse_revenue": _rmsse(both, naive),
        "bias_total": float(forecast.sum() / actual.sum() - 1) if actual.sum() else float("nan"),
        "wape_day": m.wape(both.actual, both.mean),
        "mape_step": m.mape(both.actual, both.mean),
        "mase_day": m.mase(
            both.actual, both.mean, np.abs(both.actual - naive).mean(axis=1, keepdims=True) + 0 * naive
        ),
    }


def lift(total: Floats, usual: Floats, steps: int) -> Floats:
    """Total of the horizon over the product's normal, pulled towards 1 by one prior sale of five units."""
    return (total + 5) / (usual * steps + 5)


def _ranking(both: Judged) -> dict[str, float]:
    steps = both.actual.shape[1]
    true, made = (lift(total.sum(axis=1), both.usual, steps) for total in (both.actual, both.mean))
    return {
        "precision_at_100": m.precision_at(RANKED, true, made),
        "ndcg_at_100": m.ndcg_at(RANKED, np.maximum(true - 1, 0), made),
    }


def _rmsse(both: Judged, naive: Floats) -> float:
    """Revenue-weighted RMSSE; the scale is the error of the product's normal, over the same steps."""
    scale = np.mean((both.actual - naive) ** 2, axis=1)
    revenue = both.price * both.actual.sum(axis=1)
    some = (scale > 0) & (revenue > 0)
    if not some.any():
        return float("nan")
    return float(np.average(m.rmsse(both.actual[some], both.mean[some], scale[some]), weights=revenue[some]))
