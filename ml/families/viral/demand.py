"""What attention does to demand: how the product sold before an observation, and after a burst."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.families.viral.cascades import log
from ml.families.viral.params import ViralParams
from ml.toolkit.standings import standings
from ml.toolkit.storing import stored
from ml.toolkit.windows import exact_sum, parted, whole

Floats = NDArray[np.float64]
BEFORE_DAYS = 28
PLACEBO_DAYS = 56
_PRIOR = 2.0


def momentum(seen: ibis.Table, lines: ibis.Table) -> ibis.Table:
    """Per observation: `selling`, log units of the product in the 7 days before over those of the 21 days before these.

    Null where the product sold nothing in the four weeks.
    """
    sold = lines.filter(lines.quantity > 0)
    moments = sold.group_by("product_id", since=sold.ordered_at).aggregate(units=whole(sold.quantity).sum())
    running = ibis.window(group_by="product_id", order_by="since", preceding=None, following=0)
    totals = moments.select("product_id", "since", total=moments.units.sum().over(running).cast("int64"))
    back = {f"units_{days}": seen.observed_at - ibis.interval(days=days) for days in (0, 7, BEFORE_DAYS)}
    rows = standings(seen, ["cascade_id", "point"], back, stored(totals), "product_id")
    late, early = rows.units_0 - rows.units_7, rows.units_7 - rows.units_28
    return rows.filter(rows.units_0 > rows.units_28).select(
        "cascade_id", "point", selling=log(parted(late) / 7, 0.1) - log(parted(early) / 21, 0.1)
    )


@dataclass(frozen=True, slots=True)
class Lifts:
    """Demand after bursts of attention, n of them, against what was expected without.

    sold, expected: units in the days after; usual: units in the 28 days before. `placebo`: nothing happened then; the
    same sums at a date eight weeks earlier, of bursts whose product had none near that date.
    """

    product_id: list[str]
    sold: Floats
    expected: Floats
    usual: Floats
    placebo: NDArray[np.bool_]

    @property
    def log_lift(self) -> Floats:
        """log of sold over expected, both with two ghosts."""
        made: Floats = np.log((self.sold + _PRIOR) / (self.expected + _PRIOR))
        return made


def lifts(placed: ibis.Table, lines: ibis.Table, as_of: date, params: ViralParams) -> Lifts:
    """Every burst whose days after are over: a difference in differences against the rest of the store.

    A burst is the moment at which a cascade reaches `fewest` posts. Expected are the product's units per day in the 28
    days before, times how the units per day of all other products changed between the same two spans; this takes out
    season and growth, not a promotion that came with the burst.
    """
    moments = _moments(placed, as_of, params.lift_days, params.fewest)
    days = stored(_daily(lines))
    rows = _around(moments, days, "product_id", params.lift_days)
    store = _around(moments, _store(days), None, params.lift_days).rename(
        store_after="after", store_before="before"
    )
    joined = (
        rows.join(store, ["product_id", "day", "placebo"])
        .order_by("product_id", "day", "placebo")
        .to_pyarrow()
    )
    return _lifts(joined, params.lift_days)


def _moments(placed: ibis.Table, as_of: date, lift_days: int, fewest: int) -> ibis.Table:
    """Days of bursts, and placebo days eight weeks earlier that have no burst of the product around them."""
    bursts = placed.filter(placed["rank"] == fewest).select("product_id", day=placed["at"].date()).distinct()
    bursts = stored(bursts.filter(bursts.day <= ibis.date(as_of) - ibis.interval(days=lift_days)))
    quiet = bursts.mutate(day=(bursts.day - ibis.interval(days=PLACEBO_DAYS)).cast("date"))
    near = bursts.select(other="product_id", burst="day")
    span = ibis.interval(days=BEFORE_DAYS)
    disturbed = quiet.join(
        near, [quiet.product_id == near.other, near.burst > quiet.day - span, near.burst < quiet.day + span]
    ).select("product_id", "day").distinct()  # fmt: skip
    return stored(
        ibis.union(
            bursts.mutate(placebo=False), quiet.anti_join(disturbed, ["product_id", "day"]).select(
                "product_id", "day").mutate(placebo=True),
        )
    )  # fmt: skip


def _daily(lines: ibis.Table) -> ibis.Table:
    sold = lines.filter(lines.quantity > 0)
    return sold.group_by("product_id", sold_on=sold.ordered_at.date()).aggregate(
        units=exact_sum(sold.quantity)
    )


def _store(days: ibis.Table) -> ibis.Table:
    return days.group_by("sold_on").aggregate(units=exact_sum(days.units))


def _around(moments: ibis.Table, days: ibis.Table, by: str | None, lift_days: int) -> ibis.Table:
    """Units in the days before (28) and from the moment's day on, 0 where nothing was sold."""
    named = days.rename(seller="product_id") if by else days
    on = [moments.product_id == named.seller] if by else []
    joined = moments.left_join(
        named, [*on, named.sold_on >= moments.day - ibis.interval(days=BEFORE_DAYS),
                named.sold_on < moments.day + ibis.interval(days=lift_days)],
    )  # fmt: skip
    later = joined.sold_on >= joined.day
    return joined.group_by("product_id", "day", "placebo").aggregate(
        after=exact_sum(joined.units, later).fill_null(0), before=exact_sum(joined.units, ~later).fill_null(0)
    )


def _lifts(rows: pa.Table, lift_days: int) -> Lifts:
    before, after, store_before, store_after = (
        np.asarray(rows.column(name).to_numpy(), dtype=np.float64)
        for name in ("before", "after", "store_before", "store_after")
    )
    trend = (store_after - after + 1) / ((store_before - before) * lift_days / BEFORE_DAYS + 1)
    expected = before * lift_days / BEFORE_DAYS * trend
    known = store_before > 0
    placebo = np.asarray(rows.column("placebo").to_pylist(), dtype=bool)
    products = [
        str(name) for name, some in zip(rows.column("product_id").to_pylist(), known, strict=True) if some
    ]
    return Lifts(products, after[known], expected[known], before[known], placebo[known])
