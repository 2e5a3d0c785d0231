"""The products and the span of steps for which each of them has rows."""

from __future__ import annotations

import ibis

from ml.families.record import Tables
from ml.families.seasonality.clock import Clock
from ml.families.seasonality.params import SeasonalityParams

BANDS = 5


def shelf(tables: Tables, daily: ibis.Table, clock: Clock, params: SeasonalityParams) -> ibis.Table:
    """One row per product: title, category, price, price band, first and last step.

    The span runs from the first sale or launch to the end of the horizon, and ends earlier for a product that
    nobody bought for `discontinued_after` days.
    """
    products = tables["products"]
    launched = products.launched_at.isnull() | (products.launched_at < ibis.timestamp(str(clock.as_of)))
    known = products.filter(launched)
    seen = daily.group_by("product_id").aggregate(sold_first=daily.step.min(), sold_last=daily.step.max())
    joined = known.left_join(seen, "product_id").select(
        known.product_id, title=known.title.fill_null(""), category=known.category.fill_null(""), price=known.price,
        launch=clock.step_of(known.launched_at), sold_first=seen.sold_first, sold_last=seen.sold_last,
    )  # fmt: skip
    band = ibis.ntile(BANDS).over(group_by=joined.category, order_by=[joined.price, joined.product_id])
    return joined.select(
        "product_id", "title", "category", "price", band=band.cast("int32"),
        first=_first(joined, clock, params), last=_last(joined, clock, params),
    )  # fmt: skip


def _first(joined: ibis.Table, clock: Clock, params: SeasonalityParams) -> ibis.Value:
    oldest = -clock.steps(params.history_days)
    earliest = ibis.least(joined.sold_first, joined.launch).fill_null(0)
    return ibis.greatest(earliest, oldest).cast("int32")


def _last(joined: ibis.Table, clock: Clock, params: SeasonalityParams) -> ibis.Value:
    active = ibis.coalesce(joined.sold_last, joined.launch, ibis.literal(0))
    silent = active < -clock.steps(params.discontinued_after)
    end = active + clock.steps(params.discontinued_after)
    return ibis.ifelse(silent, ibis.least(end, -1), clock.horizon - 1).cast("int32")


def grid(shelf: ibis.Table) -> ibis.Table:
    """One row per product and step of its span."""
    steps = ibis.range(shelf["first"], shelf["last"] + 1).unnest().cast("int32")
    return shelf.select("product_id", "first", "category", "band", step=steps)
