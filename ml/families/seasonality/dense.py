"""Dense series (nearly every step has a sale): each step by itself, as a multiple of the level without promotions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.families.seasonality import design, levels, trade
from ml.families.seasonality.params import SeasonalityParams
from ml.families.seasonality.rows import Places, column
from ml.families.seasonality.sheet import Sheet
from ml.toolkit import boosting

if TYPE_CHECKING:
    import xgboost as xgb

Floats = NDArray[np.float64]
STEP = "step"
STEP_ROWS = 120_000
_YEAR = 364
_SIMILAR = 0.06
_OF_ORIGIN = (
    "rate_7", "rate_14", "rate_28", "typical_28", "typical_84", "rate_182", "rate_364", "growth_7", "growth_28",
    "uplift", "plain_growth", "promoted_28", "price", "paid", "category_growth_28",
)  # fmt: skip

_OF_STEP = (
    "promo_discount", "promo_discount_before", "category_discount",
    "promo_homepage", "promo_email", "promo_feature", "promo_display",
)  # fmt: skip


def grow(known: Sheet, params: SeasonalityParams) -> xgb.Booster:
    """Median of the logarithm of units + 1 over the level without promotions, weighted by one over units.

    That weighted median is the optimum of the mean absolute percentage error, by which dense series are judged.
    """
    units = known.units.ravel()
    keep = trade.sample(units > 0, STEP_ROWS, params.seed)
    columns = _columns(known, keep)
    label = np.log1p(units[keep]) - _level(known)[keep // known.horizon]
    weight = np.clip(np.exp(-label), 0.03, 15)
    recipe = replace(levels.recipe("reg:absoluteerror", params), columns=0.6, l2=3.0, bins=128)
    return boosting.grow(
        recipe, boosting.Table.of(tuple(columns), design.stack(columns), recipe), label, weight
    )


def means(booster: xgb.Booster, known: Sheet) -> Floats:
    """Units of each step: n x horizon."""
    every = np.arange(len(known.product) * known.horizon)
    columns = _columns(known, every)
    log = boosting.predict(booster, tuple(columns), design.stack(columns)).reshape(-1, known.horizon)
    return np.asarray(np.maximum(np.expm1(_level(known)[:, None] + log), 0))


def _level(known: Sheet) -> Floats:
    return design.plain_level(known.rows)


def _columns(known: Sheet, keep: Places) -> design.Columns:
    """What the booster sees of the steps `keep` (numbers of the flattened n x horizon)."""
    row, ahead = np.divmod(keep, known.horizon)
    place = known.place[row] + ahead
    out = {name: known.level_columns[name][row] for name in _OF_ORIGIN}
    panel = known.source.panel.values
    out |= {name: panel[name][known.product[row], place].astype(np.float64) for name in _OF_STEP}
    out |= _discounts(known, row, place, discount_share(panel["promo_discount"]))
    out["category_feature"] = _advertised(known, row, place)
    return {**out, "level": _level(known)[row], "ahead": ahead * 1.0}


def _discounts(known: Sheet, row: Places, place: Places, share: Floats) -> design.Columns:
    """The planned discount against the last ones, the planned price, and what it did at similar promotions before."""
    product, origin = known.product[row], known.place[row]
    planned = share[product, place]
    similar, count = _at_similar(known, row, place, share)
    lately = {f"discount_{steps}": _mean_before(share, product, origin, steps) for steps in (1, 4, 13)}
    return {
        **lately,
        "discount_change": planned - lately["discount_1"],
        "discount_two_before": share[product, np.maximum(place - 2, 0)],
        "planned_price": np.log1p(-np.minimum(planned, 0.95)) + _regular_over_paid(known, share)[row],
        "similar_uplift": similar - _level(known)[row],
        "similar_count": count,
    }


def _mean_before(values: Floats, product: Places, place: Places, steps: int) -> Floats:
    return trade.ahead(values, product, np.maximum(place - steps, 0), steps)


def _advertised(known: Sheet, row: Places, place: Places) -> Floats:
    """Share of the product's category that is advertised.

    Of the category, not of the market: a chain plans whole weeks, and the trees would learn each week by heart.
    """
    feature = known.source.panel.values["promo_feature"].astype(np.float64)
    category, number = _categories(known)
    alike = np.stack([_mean_of_column(feature[category == one]) for one in range(number)])
    return np.asarray(alike[category[known.product[row]], place], dtype=np.float64)


def _categories(known: Sheet) -> tuple[Places, int]:
    """Number of the category of each of the panel's products that the sheet has (else 0), and how many there are."""
    names = [name or "" for name in known.rows.column("category").to_pylist()]
    distinct, number = np.unique(names, return_inverse=True)
    category = np.zeros(len(known.source.panel.products), dtype=np.intp)
    category[known.product] = number
    return category, len(distinct)


def _mean_of_column(values: Floats) -> Floats:
    there = ~np.isnan(values)
    mean = np.where(there, values, 0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    return np.asarray(mean, dtype=np.float64)


def discount_share(discount: NDArray[np.float32]) -> Floats:
    """Discounts, in percent in the contract, as shares of the price."""
    return np.asarray(discount / 100.0, dtype=np.float64)


def _regular_over_paid(known: Sheet, share: Floats) -> Floats:
    """Logarithm of the price without discount of late, over the mean price paid in a year; 0 where unknown."""
    steps = 28 // known.source.step
    back = np.maximum(known.place[:, None] - 1 - np.arange(steps), 0)
    product = known.product[:, None]
    units = np.nan_to_num(known.source.panel.values["units"][product, back])
    full = (units * (1 - np.nan_to_num(share[product, back]))).sum(axis=1)
    revenue = column(known.rows, "revenue_28")
    usual = design.paid(known.rows, _YEAR)
    some = (full > 0) & (revenue > 0) & (usual > 0)
    return np.where(
        some, np.log(np.where(some, revenue / np.where(some, full, 1) / np.where(some, usual, 1), 1)), 0.0
    )


def _at_similar(known: Sheet, row: Places, place: Places, share: Floats) -> tuple[Floats, Floats]:
    """Mean logarithm of units + 1 in the product's steps of a year with a promotion like the planned; how many."""
    panel = known.source.panel.values
    product, origin = known.product[row], known.place[row]
    total, count = np.zeros(len(row)), np.zeros(len(row))
    for back in range(1, _YEAR // known.source.step + 1):
        then = np.maximum(origin - back, 0)
        units = panel["units"][product, then]
        like = np.abs(share[product, then] - share[product, place]) <= _SIMILAR
        like &= panel["promo_feature"][product, then] == panel["promo_feature"][product, place]
        like &= (units > 0) & (origin >= back)
        total += np.where(like, np.log1p(np.where(like, units, 0)), 0)
        count += like
    return np.where(count > 0, total / np.maximum(count, 1), np.nan), count
