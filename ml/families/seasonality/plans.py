"""What is planned for each step, and so known before it comes: promotions, prices, events, the calendar."""

from __future__ import annotations

import ibis

from ml.families.record import Tables
from ml.families.seasonality.clock import Clock

PROMOTIONS = ("homepage", "email", "feature", "display")


def promotions(tables: Tables, clock: Clock, history_days: int) -> ibis.Table:
    """Per product and step with a promotion: the largest discount (percent), and 1 for each kind that ran."""
    plans = tables["promotions"]
    begin = ibis.greatest(clock.step_of(plans.start_day), -clock.steps(history_days))
    end = ibis.least(clock.step_of(plans.end_day), clock.horizon - 1)
    each = plans.select(
        "product_id", "kind", discount=plans.discount_pct.fill_null(0),
        step=ibis.range(begin, end + 1).unnest().cast("int32"),
    )  # fmt: skip
    flags = {f"promo_{kind}": (each.kind == kind).cast("float64").max() for kind in PROMOTIONS}
    return each.group_by("product_id", "step").aggregate(promo_discount=each.discount.max(), **flags)


def calendar(clock: Clock, oldest: int) -> ibis.Table:
    """Per step: weekday (0 = Monday), day of month, day of year."""
    steps = ibis.range(oldest, clock.horizon).unnest().name("step").as_table()
    day = clock.day_of(steps.step)
    return steps.select(
        step=steps.step.cast("int32"), day=day, weekday=day.day_of_week.index().cast("float64"),
        month_day=day.day().cast("float64"), year_day=day.day_of_year().cast("float64"),
    )  # fmt: skip
