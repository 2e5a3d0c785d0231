"""Where each step stands to the events of its category, and what the event did to the category the year before."""

from __future__ import annotations

import ibis

from ml.families.record import Tables
from ml.families.seasonality.clock import Clock
from ml.toolkit.windows import exact_sum

FAR = 60


def occasions(tables: Tables, shelf: ibis.Table, clock: Clock, history_days: int) -> ibis.Table:
    """Per event and category that it concerns: name, first and last step (store-wide events: every category)."""
    events = tables["events"]
    recent = clock.step_of(events.end_day) >= -clock.steps(history_days)
    timed = events.filter(recent).select(
        "name", concerned="category", begin=clock.step_of(events.start_day), end=clock.step_of(events.end_day)
    )
    categories = shelf.select("category").distinct()
    every = timed.filter(timed.concerned.isnull()).drop("concerned").cross_join(categories)
    some = timed.filter(timed.concerned.notnull()).rename(category="concerned")
    columns = ("name", "category", "begin", "end")
    return ibis.union(every.select(*columns), some.select(*columns))


def event_days(occasions: ibis.Table, lifts: ibis.Table, clock: Clock) -> ibis.Table:
    """Per category and step within FAR days of an event: distances, position, and the earlier lift of what runs."""
    known = occasions.left_join(lifts, ["name", "category", "begin"]).select(
        occasions.category, occasions.begin, occasions.end, lift=lifts.lift
    )
    far = clock.steps(FAR)
    steps = ibis.range(known.begin - far, ibis.least(known.end + far, clock.horizon - 1) + 1).unnest()
    each = known.mutate(step=steps.cast("int32"))
    running = (each.step >= each.begin) & (each.step <= each.end)
    days = clock.step_days
    return each.group_by("category", "step").aggregate(
        event_now=running.cast("float64").max(),
        event_day=ibis.ifelse(running, (each.step - each.begin) * days, None).min().cast("float64"),
        event_days_to=ibis.ifelse(each.begin > each.step, (each.begin - each.step) * days, None)
        .min()
        .cast("float64"),
        event_days_since=ibis.ifelse(each.end < each.step, (each.step - each.end) * days, None)
        .min()
        .cast("float64"),
        event_lift_before=ibis.ifelse(running, each.lift, None).max(),
    )


def earlier_lifts(occasions: ibis.Table, category: ibis.Table, clock: Clock) -> ibis.Table:
    """Per event and category: the category's lift in the last event of the same name that ended before.

    `category` is dense: category, step, tamed, products. The lift is units per product in the earlier event over the
    84 days before it. An occurrence counts only if it ended more than the horizon before this one begins, so that
    its lift is known at every origin from which this one is forecast; the events of a year apart are.
    """
    pairs = _pairs(occasions, clock)
    before = clock.steps(84)
    near = pairs.join(
        category,
        [
            pairs.category == category.category,
            category.step >= pairs.earlier_begin - before,
            category.step <= pairs.earlier_end,
        ],
    ).select(
        pairs.name,
        pairs.category,
        pairs.begin,
        pairs.earlier_begin,
        category.step,
        category.tamed,
        category.products,
    )
    during = near.step >= near.earlier_begin
    summed = near.group_by("name", "category", "begin").aggregate(
        sold=exact_sum(near.tamed, during), there=near.products.sum(where=during),
        usual=exact_sum(near.tamed, ~during), usually=near.products.sum(where=~during),
    )  # fmt: skip
    enough = (summed.there > 0) & (summed.usually > 0) & (summed.usual > 0)
    lift = (summed.sold / summed.there) / (summed.usual / summed.usually)
    return summed.select("name", "category", "begin", lift=ibis.ifelse(enough, lift, None))


def _pairs(occasions: ibis.Table, clock: Clock) -> ibis.Table:
    """Each event with the last earlier one of its name and category that ended long enough before it."""
    earlier = occasions.view()
    joined = occasions.join(
        earlier,
        [
            occasions.name == earlier.name,
            occasions.category == earlier.category,
            earlier.end < occasions.begin - clock.horizon,
        ],
    ).select(
        occasions.name,
        occasions.category,
        occasions.begin,
        earlier_begin=earlier.begin,
        earlier_end=earlier.end,
    )
    last = joined.group_by("name", "category", "begin").aggregate(
        earlier_end=joined.earlier_end.argmax(joined.earlier_begin), earlier_begin=joined.earlier_begin.max()
    )
    return last.filter(last.earlier_end < 0)
