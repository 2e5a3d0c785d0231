"""Products by period: what they cost, how well they sell, and what they are bought with, as known when it begins."""

from __future__ import annotations

import ibis

from ml.families.record import Tables
from ml.families.relevance_fusion.clock import Clock
from ml.families.relevance_fusion.words import LONGEST, LONGEST_TEXT, normal
from ml.toolkit.windows import exact_sum

NEIGHBOURS = 20
_LARGEST_BASKET = 50
_LEAST_TOGETHER = 2
_RENEWED = 6
_SPANS = (1, 3, 13)


def products(tables: Tables, clock: Clock) -> ibis.Table:
    """product_id, since (the first step at which it is known), its texts, price and launch."""
    given = tables["products"]
    known = given.filter(given.launched_at.isnull() | (given.launched_at < ibis.timestamp(str(clock.as_of))))
    started = known.launched_at.notnull() & (known.launched_at >= ibis.timestamp(str(clock.first)))
    since = ibis.ifelse(started, clock.step_of(known.launched_at) + 1, -clock.periods)
    title = normal(known.title, LONGEST)
    return known.select(
        "product_id", "price", "launched_at", "title", "description", "category", "brand",
        since=since, heading=title, prose=normal(known.description.fill_null(""), LONGEST_TEXT),
        words=title + " " + normal(known.brand.fill_null("")) + " " + normal(known.category),
    )  # fmt: skip


def shelf(items: ibis.Table, tables: Tables, clock: Clock) -> ibis.Table:
    """product_id x step (every step: a product may be shown on the day of its launch), with what is known of it."""
    grid = items.select("product_id", "category", "price", "launched_at", "since").cross_join(clock.steps())
    sold = _sold(tables, clock)
    near = grid.left_join(sold, ["product_id", grid.step > sold.then, grid.step <= sold.then + max(_SPANS)])
    seen = near.select(*(grid[name] for name in grid.columns), back=grid.step - sold.then, units=sold.units)
    spans = {
        f"units_{span}": exact_sum(seen.units, where=seen.back <= span).fill_null(0.0) for span in _SPANS
    }
    return _compared(seen.group_by(*grid.columns).aggregate(**spans), clock)


def _sold(tables: Tables, clock: Clock) -> ibis.Table:
    """product_id, then (a step), units (returns netted)."""
    lines = tables["order_lines"]
    some = lines.filter(clock.within(lines.ordered_at))
    some = some.select("product_id", "quantity", then=clock.step_of(some.ordered_at))
    return some.group_by("product_id", "then").aggregate(units=exact_sum(some.quantity))


def _compared(sold: ibis.Table, clock: Clock) -> ibis.Table:
    """With ranks among the products of the shop and of the category, and the category's price and sales.

    Compared with those that are known when the step begins: what is launched later has no rank yet (0).
    """
    known = sold.since <= sold.step
    sold = sold.mutate(known=known, known_price=ibis.ifelse(known, sold.price, None))
    everyone = ibis.window(group_by=["step", "known"], order_by="units_3")
    peers = ibis.window(group_by=["step", "known", "category"], order_by="units_3")
    whole = ibis.window(group_by=["step", "category"])
    day = clock.day_of(sold.step)
    return sold.mutate(
        popularity=ibis.ifelse(sold.known, sold.units_3.percent_rank().over(everyone), 0.0),
        popularity_in_category=ibis.ifelse(sold.known, sold.units_3.percent_rank().over(peers), 0.0),
        category_units=exact_sum(sold.units_3).over(whole),
        price_in_category=_over(sold.price, sold.known_price.median().over(whole)),
        age_days=day.delta(sold.launched_at.date(), unit="day").cast("float64"),
        day=day,
    )


def _over(price: ibis.Value, usual: ibis.Value) -> ibis.Value:
    return ibis.ifelse((price > 0) & (usual > 0), price / usual, None)


def bought_together(tables: Tables, clock: Clock) -> ibis.Table:
    """product_id, step, other, share, place: the NEIGHBOURS products most often in the same order.

    share = orders with both / sqrt(orders with one * orders with the other); at least _LEAST_TOGETHER orders with both.
    What goes together changes slowly: it is counted anew every _RENEWED steps, from the orders before. Orders of more
    than _LARGEST_BASKET products say nothing about taste and are left out.
    """
    baskets = _baskets(tables, clock)
    beside = baskets.select("order_id", other="product_id")
    both = baskets.join(beside, "order_id").filter(lambda t: t.product_id < t.other)
    pairs = both.group_by("product_id", "other", "since").aggregate(both=both.count())
    alone = baskets.group_by("product_id", "since").aggregate(orders=baskets.count())
    known = _until(_often(pairs), clock, "both", "product_id", "other")
    mirrored = known.select("renewed", "both", product_id=known.other, other=known.product_id)
    known = ibis.union(
        known.filter(known.both >= _LEAST_TOGETHER), mirrored.filter(mirrored.both >= _LEAST_TOGETHER)
    )
    ranked = _nearest(known, _until(alone, clock, "orders", "product_id"))
    steps = clock.steps().mutate(renewed=lambda t: _renewed(t.step))
    return ranked.join(steps, "renewed").select("product_id", "step", "other", "share", "place")


def _renewed(step: ibis.Value) -> ibis.Value:
    """The step at which what is known at `step` was counted."""
    return (step // _RENEWED) * _RENEWED


def _often(pairs: ibis.Table) -> ibis.Table:
    """Pairs that come up often enough in the end: what is left out here would be left out at every step."""
    total = pairs.both.sum().over(ibis.window(group_by=["product_id", "other"]))
    return pairs.mutate(total=total).filter(lambda t: t.total >= _LEAST_TOGETHER).drop("total")


def _nearest(known: ibis.Table, single: ibis.Table) -> ibis.Table:
    other = single.select("renewed", other=single.product_id, other_orders=single.orders)
    shared = known.join(single, ["product_id", "renewed"]).join(other, ["other", "renewed"])
    shared = shared.mutate(
        share=(shared.both / (shared.orders * shared.other_orders).cast("float64").sqrt()).round(6)
    )
    best = ibis.window(group_by=["product_id", "renewed"], order_by=[shared.share.desc(), shared.other])
    ranked = shared.mutate(place=ibis.row_number().over(best))
    return ranked.filter(ranked.place < NEIGHBOURS).select("product_id", "renewed", "other", "share", "place")


def _baskets(tables: Tables, clock: Clock) -> ibis.Table:
    lines = tables["order_lines"]
    bought = lines.filter(clock.within(lines.ordered_at) & (lines.quantity > 0))
    since = -_renewed(-clock.step_of(bought.ordered_at) - 1)
    bought = bought.select("order_id", "product_id", since=since).distinct()
    size = bought.count().over(ibis.window(group_by="order_id"))
    sized = bought.mutate(size=size)
    return sized.filter((sized.size > 1) & (sized.size <= _LARGEST_BASKET)).drop("size")


def _until(counted: ibis.Table, clock: Clock, name: str, *by: str) -> ibis.Table:
    """Counts since a step as running totals: `by`, renewed, and the total by then."""
    renewed = clock.steps().select(renewed=lambda t: _renewed(t.step)).distinct()
    earlier = counted.join(renewed, counted.since <= renewed.renewed)
    return earlier.group_by(*by, "renewed").aggregate(**{name: earlier[name].sum()})
