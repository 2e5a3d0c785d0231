"""What the past of a product says on each step: windows that end before the step."""

from __future__ import annotations

import ibis

from ml.families.seasonality.clock import Clock
from ml.toolkit.windows import cumulate, lags, rolling, spans

WINDOWS: dict[str, tuple[tuple[int, int], ...]] = {
    "units": ((28, 0), (84, 0), (364, 0)),
    "tamed": ((7, 0), (14, 0), (28, 0), (84, 0), (182, 0), (364, 0), (28, 28), (28, 56)),
    "lines": ((7, 0), (14, 0), (28, 0), (84, 0), (182, 0), (364, 0)),
    "logs": ((28, 0), (84, 0)),
    "sold": ((7, 0), (14, 0), (28, 0), (84, 0), (182, 0), (364, 0)),
    "revenue": ((28, 0), (84, 0), (364, 0)),
    "promoted": ((28, 0),),
    "festive": ((364, 0),),
    "plain": ((84, 0), (364, 0)),
    "plain_logs": ((84, 0), (364, 0)),
    "deals": ((364, 0),),
    "deal_logs": ((364, 0),),
}
YEAR = 364
ABOUT = 3


def with_history(panel: ibis.Table, clock: Clock) -> ibis.Table:
    """Add the history columns; the panel is dense and has the columns that WINDOWS names, 0 where nothing was sold."""
    steps = {
        name: [(clock.steps(n), clock.steps(s) if s else 0) for n, s in some]
        for name, some in WINDOWS.items()
    }
    wanted = {name: spans(some) for name, some in steps.items()}
    wanted["tamed"] = sorted({*wanted["tamed"], *_year_lags(clock)})
    summed = cumulate(panel, WINDOWS, "product_id", "step", **_sales_before(panel))
    lagged = lags(summed, wanted, "product_id", "step", promo_discount_before=_discount_before(summed))
    return lagged.mutate(**_sums(lagged, clock), **_year_before(lagged, clock), **_ages(lagged, clock))


def _discount_before(panel: ibis.Table) -> ibis.Value:
    """The discount of the step before: planned, so it may be filled on future rows too."""
    window = ibis.window(group_by="product_id", order_by="step")
    return panel.promo_discount.lag(1).over(window).fill_null(0)


def _sales_before(panel: ibis.Table) -> dict[str, ibis.Value]:
    past = ibis.window(group_by="product_id", order_by="step", preceding=(None, 1))
    sale = ibis.ifelse(panel.sold > 0, panel.step, None)
    return {"last_sale": sale.max().over(past), "first_sale": sale.min().over(past)}


def _sums(lagged: ibis.Table, clock: Clock) -> dict[str, ibis.Value]:
    out = {}
    for name, some in WINDOWS.items():
        for days, skip in some:
            label = f"{name}_{days}" + (f"_before_{skip}" if skip else "")
            out[label] = rolling(lagged, name, clock.steps(days), clock.steps(skip) if skip else 0)
    return out


def _year_lags(clock: Clock) -> list[int]:
    near, far, normal = _year_bounds(clock)
    return [near, far, normal]


def _year_bounds(clock: Clock) -> tuple[int, int, int]:
    year, about = clock.steps(YEAR), ABOUT if clock.step_days == 1 else 0
    near = year - about
    far = year + about + 1
    return near, far, far + clock.steps(84)


def _year_before(lagged: ibis.Table, clock: Clock) -> dict[str, ibis.Value]:
    """Units of the week around the same weekday a year before, and of the 84 days before that week.

    Both were known a year before the row's step, so they may be filled on future rows too; null where the
    product had not been there long enough.
    """
    near, far, normal = (f"cum_tamed_{lag}" for lag in _year_bounds(clock))
    there = lagged.step - lagged["first"] >= _year_bounds(clock)[1] - 1
    return {
        "year_ago_7": ibis.ifelse(there, lagged[near] - lagged[far], None),
        "year_ago_84": ibis.ifelse(there, lagged[far] - lagged[normal], None),
    }


def _ages(lagged: ibis.Table, clock: Clock) -> dict[str, ibis.Value]:
    days = clock.step_days
    return {
        "age_days": (lagged.step - lagged["first"]) * days,
        "selling_days": (lagged.step - lagged.first_sale) * days,
        "days_since_sale": (lagged.step - lagged.last_sale) * days,
    }
