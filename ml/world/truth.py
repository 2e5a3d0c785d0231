"""What is true of a world and is never in the tables that a model reads.

demand      product_id, day, mean (units bought), net (units bought less units returned), ordinary (units bought
            without campaigns and occasions); every product on sale, `PLANNED_DAYS` beyond the end too
lifts       event_id, product_id, name, category, lift (mean over the days of the occasion), peak: factors on demand
promotions  promotion_id, product_id, lift: the factor on demand, of visibility and price together
products    product_id, occasion, elasticity, dispersion, active, returned, first_day, last_day
dirty       order_id, line_no, kind: see `dirt`
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from ml.world.arrays import Flags, Floats, Ints
from ml.world.blueprint import Blueprint
from ml.world.calendar import RULES, Event
from ml.world.catalogue import ALWAYS, NEVER, NO_OCCASION
from ml.world.demand import DayDemand
from ml.world.orders import RETURN_LAG_SHARES, RETURN_LAGS
from ml.world.promotions import KIND_LIFT, Promotions, promotions_columns
from ml.world.rows import Names, product_ids
from ml.world.words import CATEGORIES

DEMAND = pa.schema(
    [
        ("product_id", pa.string()),
        ("day", pa.date32()),
        ("mean", pa.float64()),
        ("net", pa.float64()),
        ("ordinary", pa.float64()),
    ]
)
DIRTY = pa.schema([("order_id", pa.string()), ("line_no", pa.int64()), ("kind", pa.string())])


@dataclass(frozen=True, slots=True)
class DemandTruth:
    """Turns the means of one day after the other into rows of `demand`; remembers what returns are still to come."""

    plan: Blueprint
    names: Names
    _means: deque[Floats] = field(default_factory=lambda: deque(maxlen=int(RETURN_LAGS.max())))

    def rows(self, day: int, demand: DayDemand) -> pa.RecordBatch:
        """The day's rows; days come in order."""
        catalogue = self.plan.catalogue
        units = catalogue.units_per_line()
        mean = demand.lines * units
        net = mean - catalogue.returned * self._returning(len(catalogue))
        self._means.append(mean)
        sold = np.flatnonzero(catalogue.on_sale(day))
        today = pa.array(np.full(len(sold), np.datetime64(self.plan.date_of(day), "D")), pa.date32())
        columns = [mean[sold], net[sold], (demand.ordinary * units)[sold]]
        return pa.RecordBatch.from_arrays(
            [product_ids(self.names, sold), today, *map(pa.array, columns)], schema=DEMAND
        )

    def _returning(self, n: int) -> Floats:
        """Units bought on earlier days that would come back today if every purchase were returned."""
        total = np.zeros(n)
        for lag, share in zip(RETURN_LAGS.tolist(), RETURN_LAG_SHARES.tolist(), strict=True):
            if lag <= len(self._means):
                total += share * self._means[-lag]
        return total


def known_products(plan: Blueprint) -> Ints:
    """Positions of the products launched before the end."""
    return np.flatnonzero(plan.catalogue.launch < plan.days)


def known_promotions(plan: Blueprint) -> Promotions:
    """Campaigns of known products that run or are planned."""
    known: Flags = plan.catalogue.launch[plan.promotions.product] < plan.days
    return plan.promotions.take(known)


def small_truth(plan: Blueprint, names: Names) -> dict[str, pa.Table]:
    """The truth that does not grow with the days."""
    return {
        "lifts": lifts(plan, names),
        "promotions": promotion_lifts(plan, names),
        "products": product_truth(plan, names),
    }


def lifts(plan: Blueprint, names: Names) -> pa.Table:
    """True lifts of every occasion for every known product that it moves."""
    return pa.concat_tables([_lifts_of(plan, names, event) for event in plan.events])


def _lifts_of(plan: Blueprint, names: Names, event: Event) -> pa.Table:
    known = known_products(plan)
    moved = known[plan.catalogue.log_lift[event.rule, known] != 0.0]
    logs = event.strength * plan.catalogue.log_lift[event.rule, moved]
    n = len(moved)
    columns = {
        "event_id": pa.repeat(event.event_id, n),
        "product_id": product_ids(names, moved),
        "name": pa.repeat(RULES[event.rule].name, n),
        "category": pa.array(
            [CATEGORIES[c].name for c in plan.catalogue.category[moved].tolist()], pa.string()
        ),
        "lift": pa.array(np.exp(logs[:, None] * event.shape()).mean(axis=1)),
        "peak": pa.array(np.exp(logs * event.shape().max())),
    }
    return pa.table(columns)


def promotion_lifts(plan: Blueprint, names: Names) -> pa.Table:
    """True factor on demand of every promoted product of a campaign."""
    promotions = known_promotions(plan)
    everyone = product_ids(names, np.arange(len(plan.catalogue)))
    columns = promotions_columns(promotions, plan.start, everyone)
    elasticity = plan.catalogue.elasticity[promotions.product]
    visible = np.array(list(KIND_LIFT.values()))[promotions.kind]
    lift = visible * (1 - promotions.discount) ** elasticity
    return pa.table(
        {"promotion_id": columns["promotion_id"], "product_id": columns["product_id"], "lift": pa.array(lift)}
    )


def product_truth(plan: Blueprint, names: Names) -> pa.Table:
    """Hidden parameters of the known products."""
    catalogue, known = plan.catalogue, known_products(plan)
    occasions = [None if o == NO_OCCASION else RULES[o].name for o in catalogue.occasion[known].tolist()]
    hidden = ("elasticity", "dispersion", "active", "returned")
    return pa.table(
        {
            "product_id": product_ids(names, known),
            "occasion": pa.array(occasions, pa.string()),
            **{name: pa.array(getattr(catalogue, name)[known]) for name in hidden},
            "first_day": _dates(plan, catalogue.launch[known] + 1, catalogue.launch[known] == ALWAYS),
            "last_day": _dates(plan, catalogue.last[known], catalogue.last[known] == NEVER),
        }
    )


def _dates(plan: Blueprint, days: Ints, unknown: Flags) -> pa.Array:
    dates = np.datetime64(plan.start, "D") + np.where(unknown, 0, days)
    return pa.array(dates, pa.date32(), mask=unknown)
