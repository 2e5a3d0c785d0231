"""The feature table: one row per product and step, from its first sale or launch to the end of the horizon.

History columns look only at steps before the row's. On the origin's own row they are therefore still known; on
later rows they are null, and only what is planned ahead is filled.
"""

from __future__ import annotations

from datetime import date

import ibis

from ml.families.record import Tables
from ml.families.seasonality.clock import Clock, clock_of
from ml.families.seasonality.columns import COLUMNS, HISTORY, PLAN
from ml.families.seasonality.groups import category_days, category_discounts, group_history, peer_days
from ml.families.seasonality.history import with_history
from ml.families.seasonality.occasions import earlier_lifts, event_days, occasions
from ml.families.seasonality.params import SeasonalityParams
from ml.families.seasonality.plans import PROMOTIONS, calendar, promotions
from ml.families.seasonality.sales import sales
from ml.families.seasonality.shelf import grid, shelf

FESTIVE_UNTIL = 24
_SOLD = ("units", "tamed", "lines", "revenue")


def features(tables: Tables, as_of: date, params: SeasonalityParams) -> ibis.Table:
    """The matrix for `as_of` (see the module's docstring; columns in `columns.py`)."""
    clock = clock_of(tables, as_of, params)
    daily = sales(tables, clock, params.history_days)
    products = shelf(tables, daily, clock, params)
    plans = promotions(tables, clock, params.history_days)
    panel = _panel(grid(products), daily, plans, clock)
    known = with_history(panel, clock)
    peers = peer_days(daily, products, clock)
    discounts = category_discounts(plans, products, category_days(peers))
    near = _occasions(tables, products, category_days(peers), clock, params)
    dated = known.join(calendar(clock, -clock.steps(params.history_days)), "step")
    joined = dated.left_join(near, ["category", "step"]).drop("category_right", "step_right")
    joined = joined.join(discounts, ["category", "step"])
    joined = _with_groups(joined, group_history(peers, clock))
    return _final(joined.join(products.select("product_id", "title", "price"), "product_id"), clock)


def _panel(steps: ibis.Table, daily: ibis.Table, plans: ibis.Table, clock: Clock) -> ibis.Table:
    """The dense panel: sales (0 where nothing was sold) and promotions of every step."""
    keys = ["product_id", "step"]
    filled = {name: daily[name].fill_null(0.0) for name in _SOLD}
    sold = steps.left_join(daily, keys).select(*(steps[name] for name in steps.columns), **filled)
    planned = ["promo_discount", *(f"promo_{kind}" for kind in PROMOTIONS)]
    both = sold.left_join(plans, keys).select(
        *(sold[name] for name in sold.columns),
        promoted=plans.promo_discount.notnull().cast("float64"),
        **{name: plans[name].fill_null(0.0) for name in planned},
    )
    return both.mutate(**_kinds_of_sales(both, clock))


def _kinds_of_sales(panel: ibis.Table, clock: Clock) -> dict[str, ibis.Value]:
    """Whether and how much was sold, in logarithms, apart for steps with and without a promotion; and December."""
    day = clock.day_of(panel.step)
    festive = (day.month() == 12) & (day.day() <= FESTIVE_UNTIL)
    sold = (panel.units > 0).cast("float64")
    plain, deals = sold * (1 - panel.promoted), sold * panel.promoted
    log = (panel.units + 1).ln()
    return {
        "sold": sold, "logs": (panel.tamed + 1).ln(), "festive": panel.tamed * festive.cast("float64"),
        "plain": plain, "plain_logs": plain * log, "deals": deals, "deal_logs": deals * log,
    }  # fmt: skip


def _occasions(
    tables: Tables, products: ibis.Table, category: ibis.Table, clock: Clock, params: SeasonalityParams
) -> ibis.Table:
    concerned = occasions(tables, products, clock, params.history_days)
    return event_days(concerned, earlier_lifts(concerned, category, clock), clock)


def _with_groups(joined: ibis.Table, groups: dict[str, ibis.Table]) -> ibis.Table:
    keys = {"peer": ["category", "band", "step"], "category": ["category", "step"], "store": ["step"]}
    for name, on in keys.items():
        joined = joined.join(groups[name], on)
    return joined


def _final(joined: ibis.Table, clock: Clock) -> ibis.Table:
    """Columns in their order, history hidden after the origin, the target hidden from the origin on."""
    past = joined.step <= 0
    hidden = {name: ibis.ifelse(past, joined[name], None).cast("float32") for name in HISTORY}
    planned = {name: joined[name].cast("float32") for name in PLAN}
    final = joined.select(
        "product_id", "day", "title", "category", "price",
        step_days=ibis.literal(clock.step_days, "int16"),
        units=ibis.ifelse(joined.step < 0, joined.units, None),
        **hidden, **planned,
    )  # fmt: skip
    return final.select(*COLUMNS)
