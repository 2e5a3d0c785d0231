"""What the product's category, its price neighbours and the whole store did: small tables, joined by step."""

from __future__ import annotations

import ibis

from ml.families.seasonality.clock import Clock
from ml.families.seasonality.history import ABOUT, YEAR
from ml.toolkit.windows import cumulate, exact_sum, lags

_LENGTHS = {"category": (28, 84, 364), "peer": (28, 84), "store": (7, 28, 84)}


def group_history(peers: ibis.Table, clock: Clock) -> dict[str, ibis.Table]:
    """Windows of mean units per product present, by category, by category and price band ("peer"), and of the store."""
    return {
        "peer": _windows(peers, ["category", "band"], "peer", clock),
        "category": _windows(_coarser(peers, ["category"]), ["category"], "category", clock),
        "store": _windows(_coarser(peers, []), [], "store", clock),
    }


def category_days(peers: ibis.Table) -> ibis.Table:
    """Per category and step, dense: products present, and tamed units."""
    return _coarser(peers, ["category"])


def category_discounts(plans: ibis.Table, shelf: ibis.Table, category: ibis.Table) -> ibis.Table:
    """Per category and step: the planned discounts' mean over the products on the shelf."""
    keys = ["category", "step"]
    every = plans.join(shelf.select("product_id", "category", "first", "last"), "product_id")
    some = every.filter(every.step.between(every["first"], every["last"]))
    sums = some.group_by(keys).aggregate(discounts=exact_sum(some.promo_discount))
    joined = category.left_join(sums, keys)
    share = sums.discounts.fill_null(0) / ibis.greatest(category.products, 1)
    return joined.select(category.category, category.step, category_discount=share)


def peer_days(daily: ibis.Table, shelf: ibis.Table, clock: Clock) -> ibis.Table:
    """Per category, price band and step, dense: products present, and tamed units."""
    sold = daily.join(shelf, "product_id").select("category", "band", "step", "tamed")
    sold = sold.group_by("category", "band", "step").aggregate(tamed=exact_sum(sold.tamed))
    present = _present(shelf, clock)
    return present.left_join(sold, ["category", "band", "step"]).select(
        present.category, present.band, present.step, present.products, tamed=sold.tamed.fill_null(0)
    )  # fmt: skip


def _present(shelf: ibis.Table, clock: Clock) -> ibis.Table:
    """How many products of a category and band there are on each step, from the oldest to the end of the horizon."""
    keys = ["category", "band"]
    changes = ibis.union(
        shelf.group_by([*keys, "first"]).aggregate(change=shelf.count()).rename(step="first"),
        shelf.mutate(step=(shelf["last"] + 1).cast("int32")).group_by([*keys, "step"]).aggregate(
            change=-ibis._.count()
        ).select(*keys, "step", "change"),
    )  # fmt: skip
    spans = shelf.group_by(keys).aggregate(oldest=shelf["first"].min())
    steps = spans.select(*keys, step=ibis.range(spans.oldest, clock.horizon).unnest().cast("int32"))
    summed = changes.group_by([*keys, "step"]).aggregate(change=changes.change.sum())
    joined = steps.left_join(summed, [*keys, "step"]).select(
        steps.category, steps.band, steps.step, change=summed.change.fill_null(0)
    )  # fmt: skip
    running = ibis.window(group_by=keys, order_by="step", preceding=None, following=0)
    return joined.select(*keys, "step", products=joined.change.sum().over(running).cast("float64"))


def _coarser(peers: ibis.Table, keys: list[str]) -> ibis.Table:
    return peers.group_by([*keys, "step"]).aggregate(
        products=peers.products.sum(), tamed=exact_sum(peers.tamed)
    )


def _windows(series: ibis.Table, keys: list[str], name: str, clock: Clock) -> ibis.Table:
    named = series.mutate(group=_group(series, keys))
    summed = cumulate(named, ["tamed", "products"], "group", "step")
    lengths = {days: clock.steps(days) for days in _LENGTHS[name]}
    wanted = sorted(
        {1, *(n + 1 for n in lengths.values()), *(_year_lags(clock) if name == "category" else ())}
    )
    lagged = lags(summed, {"tamed": wanted, "products": wanted}, "group", "step")
    means = {f"{name}_{days}": _mean(lagged, 1, n + 1) for days, n in lengths.items()}
    if name == "category":
        means["category_year_ago_lift"] = _year_ago_lift(lagged, clock)
    return lagged.select(*keys, "step", **means)


def _group(series: ibis.Table, keys: list[str]) -> ibis.Value:
    label: ibis.Value = ibis.literal("")
    for key in keys:
        label = label + "/" + series[key].cast("string")
    return label


def _mean(lagged: ibis.Table, near: int, far: int) -> ibis.Value:
    """Units per product and step between two lags; null where no product was there."""
    units = lagged[f"cum_tamed_{near}"] - lagged[f"cum_tamed_{far}"]
    present = lagged[f"cum_products_{near}"] - lagged[f"cum_products_{far}"]
    return ibis.ifelse(present > 0, units / present, None)


def _year_lags(clock: Clock) -> tuple[int, int, int]:
    year, about = clock.steps(YEAR), ABOUT if clock.step_days == 1 else 0
    return year - about, year + about + 1, year + about + 1 + clock.steps(84)


def _year_ago_lift(lagged: ibis.Table, clock: Clock) -> ibis.Value:
    """The category's week around the same weekday a year before, over its 84 days before it; null without them."""
    near, far, normal = _year_lags(clock)
    usual = _mean(lagged, far, normal)
    return _mean(lagged, near, far) / ibis.ifelse(usual.notnull(), ibis.greatest(usual, 0.01), None)
