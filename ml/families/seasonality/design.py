"""What the trees see: ratios and logarithms of the matrix columns, so that products of any volume are comparable."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.families.seasonality.columns import PLAN
from ml.families.seasonality.rows import column
from ml.toolkit.text import TextSpace

Floats = NDArray[np.float64]
Columns = dict[str, Floats]
MONTH = 28
FESTIVE_DAYS = 24
SEASONAL = frozenset({"year_day", "month_day", "event_now", "event_day", "event_days_to", "event_days_since"})
_OF_THE_DAY = frozenset({"ahead", "weekday", "month_day"})

WORDS: dict[str, str] = {
    "rate_7": "its sales in the last week",
    "rate_28": "its sales in the last four weeks",
    "rate_56": "its sales in the last eight weeks",
    "growth_56": "its rise over eight weeks",
    "rate_84": "its sales in the last quarter",
    "rate_364": "its sales in the last year",
    "rate_before_28": "its sales a month before",
    "rate_before_56": "its sales two months before",
    "lines_7": "how many orders it was in during the last week",
    "lines_28": "how many orders it was in during the last four weeks",
    "lines_84": "how many orders it was in during the last quarter",
    "lines_364": "how many orders it was in during the last year",
    "share_28": "how often it sold in the last four weeks",
    "share_84": "how often it sold in the last quarter",
    "share_364": "how often it sold in the last year",
    "typical_28": "its typical day in the last four weeks",
    "typical_84": "its typical day in the last quarter",
    "growth_7": "its rise in the last week",
    "growth_28": "its rise over the quarter",
    "growth_84": "its rise over the year",
    "bulk_84": "bulk orders in the last quarter",
    "basket": "units per order",
    "price": "its price",
    "paid": "the price paid of late against the list price",
    "uplift": "how promotions raised its sales before",
    "plain_growth": "its rise over the year without promotions",
    "festive": "how much of a Christmas product it is",
    "promoted_28": "its promotions in the last four weeks",
    "selling_days": "the time since its first sale",
    "days_since_sale": "the time since its last sale",
    "category_growth_28": "the rise of its category",
    "category_growth_84": "the rise of its category over the year",
    "category_rate": "what its category sells",
    "peer_rate": "what products of its category and price sell",
    "peer_growth": "the rise of products of its category and price",
    "store_growth_7": "the store's last week",
    "store_growth_28": "the store's rise",
    "year_ago_lift": "its own rise at this time a year before",
    "ahead": "how far ahead the day is",
    **PLAN,
}


def base(rows: pa.Table) -> Floats:
    """A plain expectation for 28 days: half the last four weeks, half the last quarter; peers where new."""
    selling = np.nan_to_num(column(rows, "selling_days"), nan=0.0)
    own = 0.5 * _rate(rows, "tamed", 28, selling) + 0.5 * _rate(rows, "tamed", 84, selling)
    peers = MONTH * np.nan_to_num(column(rows, "peer_84"))
    fresh = np.clip(1 - selling / MONTH, 0, 1)
    return (1 - fresh) * own + fresh * np.where(selling > 0, 0.5 * (own + peers), peers)


def at_origin(rows: pa.Table, text: TextSpace, *, seasoned: bool) -> Columns:
    """Columns of the rows of `at_origins`."""
    selling = np.nan_to_num(column(rows, "selling_days"), nan=0.0)
    out: Columns = {}
    for days in (7, 28, 84, 364):
        out[f"rate_{days}"] = np.log1p(_rate(rows, "tamed", days, selling))
        out[f"lines_{days}"] = np.log1p(_rate(rows, "lines", days, selling))
    for days in (28, 84, 364):
        out[f"share_{days}"] = _rate(rows, "sold", days, selling) / MONTH
    for days in (28, 84):
        out[f"typical_{days}"] = np.log1p(MONTH * np.expm1(_rate(rows, "logs", days, selling) / MONTH))
    for skip in (28, 56):
        out[f"rate_before_{skip}"] = np.log1p(
            np.where(selling >= skip, column(rows, f"tamed_28_before_{skip}"), np.nan)
        )
    both = column(rows, "tamed_28") + column(rows, "tamed_28_before_28")
    out["rate_56"] = np.log1p(MONTH * both / np.clip(np.minimum(selling, 56), 1, None))
    out["growth_56"] = out["rate_28"] - out["rate_56"]
    out["growth_7"] = out["rate_7"] - out["rate_28"]
    out["growth_28"] = out["rate_28"] - out["rate_84"]
    out["growth_84"] = out["rate_84"] - out["rate_364"]
    out |= _nature(rows, selling) | _surroundings(rows, seasoned=seasoned)
    return out | _placed(rows, text)


def _rate(rows: pa.Table, name: str, days: int, selling: Floats) -> Floats:
    """The window's sum per 28 days, over the days that the product has been selling."""
    there = np.clip(np.minimum(selling, days), 1, None)
    rate: Floats = MONTH * column(rows, f"{name}_{days}") / there
    return rate


def _nature(rows: pa.Table, selling: Floats) -> Columns:
    units, tamed = column(rows, "units_84"), column(rows, "tamed_84")
    price = column(rows, "price")
    with np.errstate(divide="ignore", invalid="ignore"):
        paid = np.where(units > 0, column(rows, "revenue_84") / units / price, np.nan)
        basket = column(rows, "tamed_364") / column(rows, "lines_364")
    festive = 28 * column(rows, "festive_364") / FESTIVE_DAYS
    return {
        "uplift": _mean_log(rows, "deal_logs", "deals", 364) - plain_level(rows),
        "plain_growth": plain_level(rows) - _mean_log(rows, "plain_logs", "plain", 364),
        "festive": np.log((festive + 3) / (_rate(rows, "tamed", 364, selling) + 3)),
        "bulk_84": np.log1p(units) - np.log1p(tamed),
        "basket": np.log1p(np.where(np.isfinite(basket), basket, np.nan)),
        "price": np.log(np.maximum(price, 0.01)),
        "paid": np.where(np.isfinite(paid), paid, np.nan),
        "promoted_28": column(rows, "promoted_28"),
        "selling_days": selling,
        "days_since_sale": column(rows, "days_since_sale"),
    }


def plain_level(rows: pa.Table) -> Floats:
    """Mean logarithm of units + 1 of steps without promotions in the last quarter; else the year; else of all sales."""
    quarter, year = (_mean_log(rows, "plain_logs", "plain", days) for days in (84, 364))
    sold = np.maximum(column(rows, "sold_84"), 1)
    level = np.where(np.isnan(quarter), year, quarter)
    return np.where(np.isnan(level), column(rows, "logs_84") / sold, level)


def _mean_log(rows: pa.Table, logs: str, count: str, days: int) -> Floats:
    some = column(rows, f"{count}_{days}")
    return np.where(some > 0, column(rows, f"{logs}_{days}") / np.maximum(some, 1), np.nan)


def _surroundings(rows: pa.Table, *, seasoned: bool) -> Columns:
    logs = {
        name: np.log(column(rows, name) + 0.01)
        for name in (
            "category_28",
            "category_84",
            "category_364",
            "peer_28",
            "peer_84",
            "store_7",
            "store_28",
            "store_84",
        )
    }
    growths = {
        "category_growth_28": logs["category_28"] - logs["category_84"],
        "category_growth_84": logs["category_84"] - logs["category_364"],
        "category_rate": logs["category_84"],
        "peer_rate": logs["peer_84"],
        "peer_growth": logs["peer_28"] - logs["peer_84"],
    }
    if seasoned:
        growths["store_growth_7"] = logs["store_7"] - logs["store_28"]
        growths["store_growth_28"] = logs["store_28"] - logs["store_84"]
    return growths


def _placed(rows: pa.Table, text: TextSpace) -> Columns:
    placed = text.place(rows.column("title").to_pylist())
    return {f"title_{number}": placed[:, number] for number in range(placed.shape[1])}


def on_day(days: pa.Table, *, seasoned: bool) -> Columns:
    """Columns of the rows of `ahead`: what is planned for the day, and how far ahead it is.

    Columns that tell the time of the year only help once a year has come round (`seasoned`): before that they
    number the origins, and the trees learn each origin by heart.
    """
    out = {name: column(days, name) for name in PLAN if seasoned or name not in SEASONAL}
    out["year_ago_lift"] = np.log((out["year_ago_7"] / 7 + 0.1) / (out["year_ago_84"] / 84 + 0.1))
    for name in ("year_ago_7", "year_ago_84", "age_days"):
        del out[name]
    return {"ahead": column(days, "ahead"), **out}


def over_horizon(day_columns: Mapping[str, Floats], horizon: int) -> Columns:
    """The mean of each day column over the horizon of each origin row (`horizon` rows each)."""
    with np.errstate(invalid="ignore"):
        return {
            name: _mean(values.reshape(-1, horizon))
            for name, values in day_columns.items()
            if name not in _OF_THE_DAY
        }


def _mean(values: Floats) -> Floats:
    there = ~np.isnan(values)
    total = np.where(there, values, 0).sum(axis=1)
    return np.where(there.any(axis=1), total / np.maximum(there.sum(axis=1), 1), np.nan)


def stack(columns: Mapping[str, Floats]) -> NDArray[np.float32]:
    """The columns side by side."""
    return np.column_stack([values.astype(np.float32) for values in columns.values()])


def words_of(name: str) -> str:
    """A column in words."""
    return "what the title says" if name.startswith("title_") else WORDS[name]
