"""From order lines to what was sold of each product on each step, bulk orders tamed."""

from __future__ import annotations

import ibis

from ml.families.record import Tables
from ml.families.seasonality.clock import Clock
from ml.toolkit.windows import before, exact_sum


def sales(tables: Tables, clock: Clock, history_days: int) -> ibis.Table:
    """Per product and step with any order line: units, tamed, lines, revenue. Sparse: no rows without sales.

    `units` nets returns within the step and never falls below zero. `tamed` caps it at a bound that only the
    product's earlier steps set, so that a wholesaler's order does not pass for demand.
    """
    lines = tables["order_lines"]
    lines = lines.filter(lines.ordered_at < ibis.timestamp(str(clock.as_of)))
    step = clock.step_of(lines.ordered_at)
    sold = lines.quantity > 0
    summed = lines.group_by(lines.product_id, step=step).aggregate(
        net=exact_sum(lines.quantity),
        lines=sold.cast("int32").sum().cast("float64"),
        revenue=ibis.greatest(exact_sum(lines.quantity * lines.unit_price), 0.0),
    )
    recent = summed.filter(summed.step >= -clock.steps(history_days))
    return _tame(recent.mutate(units=ibis.greatest(recent.net, 0.0)).drop("net"))


def _tame(daily: ibis.Table) -> ibis.Table:
    """Cap units at 20 + 8 times the squared mean root of the product's earlier steps with sales (3 ghosts of 2)."""
    past = ibis.window(group_by="product_id", order_by="step", preceding=(None, 1))
    root = (before(daily.units.sqrt().sum(), past) + 6) / (before(daily.units.count(), past) + 3)
    bound = 8 * root * root + 20
    return daily.mutate(tamed=ibis.least(daily.units, bound))
