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
OF_THE_DAY = frozenset({"weekday", "month_day"})
_NOT_SEEN = frozenset({"year_ago_7", "year_ago_84", "age_days"})
_ALIKE_PRIOR = 20.0

WORDS: dict[str, str] = {
    **{f"rate_{days}": f"its sales in the last {days} days" for days in (7, 14, 28, 56, 84, 182)},
    **{
        f"lines_{days}": f"how many orders it was in during the last {days} days"
        for days in (7, 14, 28, 84, 182)
    },
    **{f"share_{days}": f"how often it sold in the last {days} days" for days in (7, 14, 28, 84, 182)},
    "rate_364": "its sales in the last year",
    "lines_364": "how many orders it was in during the last year",
    "share_364": "how often it sold in the last year",
    "raw_28": "its sales in the last four weeks, bulk orders included",
    "raw_84": "its sales in the last quarter, bulk orders included",
    "rate_before_0": "its sales in the last month",
    "rate_before_28": "its sales a month before",
    "rate_before_56": "its sales two months before",
    "typical_28": "its typical day in the last four weeks",
    "typical_84": "its typical day in the last quarter",
    "growth_7": "its rise in the last week",
    "growth_56": "its rise over eight weeks",
    "growth_28": "its rise over the quarter",
    "growth_182": "its rise over half a year",
    "growth_84": "its rise over the year",
    "basket": "units per order",
    "largest": "its best day in the last quarter",
    "smoothed": "its smoothed sales",
    "price": "its price",
    "paid": "the price paid of late against the usual one",
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
    "alike_growth_28": "the rise of products with a similar title",
    "alike_growth_84": "the rise over the quarter of products with a similar title",
    "alike_rate": "what products with a similar title sell",
    "alike_festive": "how much of Christmas products those with a similar title are",
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
    rates = _rates(rows, selling)
    growths = {
        "growth_7": rates["rate_7"] - rates["rate_28"],
        "growth_56": rates["rate_28"] - rates["rate_56"],
        "growth_28": rates["rate_28"] - rates["rate_84"],
        "growth_182": rates["rate_28"] - rates["rate_182"],
        "growth_84": rates["rate_84"] - rates["rate_364"],
    }
    around = _surroundings(rows, seasoned=seasoned)
    return {**rates, **growths, **_nature(rows, selling), **around, **_placed(rows, text)}


def _rates(rows: pa.Table, selling: Floats) -> Columns:
    out: Columns = {}
    for days in (7, 14, 28, 84, 182, 364):
        out[f"rate_{days}"] = np.log1p(_rate(rows, "tamed", days, selling))
        out[f"lines_{days}"] = np.log1p(_rate(rows, "lines", days, selling))
        out[f"share_{days}"] = _rate(rows, "sold", days, selling) / MONTH
    for days in (28, 84):
        out[f"raw_{days}"] = np.log1p(np.maximum(_rate(rows, "units", days, selling), 0))
        out[f"typical_{days}"] = np.log1p(MONTH * np.expm1(_rate(rows, "logs", days, selling) / MONTH))
    both = column(rows, "tamed_28") + column(rows, "tamed_28_before_28")
    out["rate_56"] = np.log1p(MONTH * both / np.clip(np.minimum(selling, 56), 1, None))
    for skip, name in ((0, "tamed_28"), (28, "tamed_28_before_28"), (56, "tamed_28_before_56")):
        out[f"rate_before_{skip}"] = np.log1p(np.where(selling >= skip, column(rows, name), np.nan))
    return out


def _rate(rows: pa.Table, name: str, days: int, selling: Floats) -> Floats:
    """The window's sum per 28 days, over the days that the product has been selling."""
    there = np.clip(np.minimum(selling, days), 1, None)
    rate: Floats = MONTH * column(rows, f"{name}_{days}") / there
    return rate


def _nature(rows: pa.Table, selling: Floats) -> Columns:
    lines = column(rows, "lines_364")
    festive = MONTH * column(rows, "festive_364") / FESTIVE_DAYS
    return {
        "uplift": _mean_log(rows, "deal_logs", "deals", 364) - plain_level(rows),
        "plain_growth": plain_level(rows) - _mean_log(rows, "plain_logs", "plain", 364),
        "festive": np.log((festive + 3) / (_rate(rows, "tamed", 364, selling) + 3)),
        "basket": np.log1p(np.where(lines > 0, column(rows, "tamed_364") / np.maximum(lines, 1), np.nan)),
        "price": np.log(np.maximum(column(rows, "price"), 0.01)),
        "paid": paid(rows, 28) / paid(rows, 364),
        "promoted_28": column(rows, "promoted_28"),
        "selling_days": selling,
        "days_since_sale": column(rows, "days_since_sale"),
    }


def paid(rows: pa.Table, days: int) -> Floats:
    """Mean price paid in the last `days` days; NaN without a sale."""
    units, revenue = column(rows, f"units_{days}"), column(rows, f"revenue_{days}")
    some = (units > 0) & (revenue > 0)
    return np.where(some, revenue / np.where(some, units, 1), np.nan)


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


def neighbours(rows: pa.Table, place: NDArray[np.intp], text: TextSpace) -> Columns:
    """What the products with the most similar titles did: growth, level, December; by product and origin (`place`)."""
    titles = [title or "" for title in rows.column("title").to_pylist()]
    names, name = np.unique(np.asarray(titles, dtype=str), return_inverse=True)
    places, when = np.unique(place, return_inverse=True)
    alike = text.alike(names.tolist())

    def around(values: Floats) -> Floats:
        sums = np.zeros((len(names), len(places)))
        np.add.at(sums, (name, when), np.nan_to_num(values))
        return np.asarray((alike @ sums)[name, when] + _ALIKE_PRIOR, dtype=np.float64)

    selling = np.nan_to_num(column(rows, "selling_days"), nan=0.0)
    now, before = around(column(rows, "tamed_28")), around(column(rows, "tamed_28_before_28"))
    festive = around(MONTH * column(rows, "festive_364") / FESTIVE_DAYS)
    return {
        "alike_growth_28": np.log(now / before),
        "alike_growth_84": np.log(now / around(_rate(rows, "tamed", 84, selling))),
        "alike_rate": np.log(now),
        "alike_festive": np.log(festive / around(_rate(rows, "tamed", 364, selling))),
    }


def planned(*, seasoned: bool) -> tuple[str, ...]:
    """Names of the panel's columns that say what is planned for a step.

    Columns that tell the time of the year only help once a year has come round (`seasoned`): before that they
    number the origins, and the trees learn each origin by heart.
    """
    names = [name for name in PLAN if name not in _NOT_SEEN and (seasoned or name not in SEASONAL)]
    return (*names, "year_ago_lift")


def year_ago_lift(values: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """Logarithm of the week a year before over the quarter before that week."""
    lift = np.log((values["year_ago_7"] / 7 + 0.1) / (values["year_ago_84"] / 84 + 0.1))
    return np.asarray(lift, dtype=np.float32)


def of_the_season(name: str) -> bool:
    """Whether a column tells of occasions, or of the same time a year before."""
    return name.startswith(("event_", "year_", "category_year_")) or "festive" in name


def stack(columns: Mapping[str, Floats]) -> NDArray[np.float32]:
    """The columns side by side."""
    return np.column_stack([values.astype(np.float32) for values in columns.values()])


def words_of(name: str) -> str:
    """A column in words."""
    return "what the title says" if name.startswith("title_") else WORDS[name]
