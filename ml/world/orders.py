"""From a day's demand to order lines: baskets, customers, times of day, quantities, returns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.random import Generator

from ml.world.arrays import US_PER_DAY, US_PER_SECOND, Floats, Ints, Ints32
from ml.world.blueprint import Blueprint
from ml.world.catalogue import BULK_SHARE, BULK_UNITS
from ml.world.demand import DayDemand, draw_lines
from ml.world.seeds import Stream, generator

GUEST = -1
ORDERS_PER_DAY = 10_000_000  # the numbers of a day's orders begin at its own multiple of this
RETURN_LAGS = np.array([3, 5, 8, 12, 20])
RETURN_LAG_SHARES = np.array([0.2, 0.25, 0.25, 0.2, 0.1])
_GUESTS = 0.08
_TOGETHER = 0.8  # share of the lines that look for company
_BASKETS = np.repeat(np.arange(1, 9), [112, 64, 32, 20, 12, 8, 5, 3]).astype(
    np.int64
)  # 256 equally likely sizes
_HOURLY = np.array([2, 1, 1, 1, 1, 2, 4, 8, 13, 18, 21, 22, 23, 21, 20, 19, 19, 20, 23, 27, 28, 22, 12, 5])
_EPOCH_DAY = 16436  # 2015-01-01, from which the days in order numbers count


@dataclass(frozen=True, slots=True)
class Lines:
    """Order lines as numbers, one entry a line; `ordered_at` in microseconds since 1970, products by position."""

    order: Ints
    line_no: Ints
    ordered_at: Ints
    customer: Ints32
    product: Ints32
    quantity: Floats
    unit_price: Floats

    def __len__(self) -> int:
        return len(self.order)

    def take(self, rows: Ints) -> Lines:
        """Some of the lines, copied."""
        return Lines(*(getattr(self, name)[rows] for name in self.__slots__))


def join(parts: Sequence[Lines]) -> Lines:
    """Lines one after the other."""
    return Lines(*(np.concatenate([getattr(part, name) for part in parts]) for name in Lines.__slots__))


def empty() -> Lines:
    """No lines."""
    longs, shorts, floats = np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0)
    return Lines(longs, longs, longs, shorts, shorts, floats, floats)


@dataclass(frozen=True, slots=True)
class Till:
    """Rings up one day after the other and remembers what will come back."""

    plan: Blueprint
    _coming_back: defaultdict[int, list[Lines]] = field(default_factory=lambda: defaultdict(list))

    def ring_up(self, day: int, demand: DayDemand, rng: Generator) -> Lines:
        """The day's purchases by time of day, then the day's returns."""
        bought = self._purchases(day, demand, rng)
        self._remember_returns(day, bought, rng)
        orders = int(bought.order[-1]) - first_order(self.plan, day) + 1 if len(bought) else 0
        returned = self._returns(day, orders, rng)
        return join([bought, returned])

    def _purchases(self, day: int, demand: DayDemand, rng: Generator) -> Lines:
        counts = draw_lines(self.plan.catalogue, demand, rng)
        product = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        rng.shuffle(product)
        product = _side_by_side(product, self.plan, day)
        sizes = _basket_sizes(len(product), rng)
        first = np.cumsum(sizes) - sizes
        return Lines(
            order=np.repeat(first_order(self.plan, day) + np.arange(len(sizes)), sizes),
            line_no=np.arange(1, len(product) + 1) - np.repeat(first, sizes),
            ordered_at=np.repeat(times_on(self.plan, day, len(sizes), rng), sizes),
            customer=np.repeat(customers_of(len(sizes), self.plan.size.customers, rng), sizes),
            product=product,
            quantity=_quantities(self.plan.catalogue.spread[product], rng),
            unit_price=demand.price[product],
        )

    def _remember_returns(self, day: int, bought: Lines, rng: Generator) -> None:
        rates = self.plan.catalogue.returned[bought.product]
        back = np.flatnonzero(rng.random(len(bought), dtype=np.float32) < rates)
        lags = rng.choice(RETURN_LAGS, len(back), p=RETURN_LAG_SHARES)
        for lag in RETURN_LAGS.tolist():
            self._coming_back[day + lag].append(bought.take(back[lags == lag]))

    def _returns(self, day: int, orders: int, rng: Generator) -> Lines:
        parts = self._coming_back.pop(day, None)
        if parts is None:
            return empty()
        bought = join(parts)
        n = len(bought)
        return replace(
            bought,
            order=first_order(self.plan, day) + orders + np.arange(n),
            line_no=np.ones(n, dtype=np.int64),
            ordered_at=times_on(self.plan, day, n, rng),
            quantity=-bought.quantity,
        )


def midnight(plan: Blueprint, day: int) -> int:
    """Microseconds since 1970 at which the day begins."""
    return int((np.datetime64(plan.start, "D").astype(np.int64) + day) * US_PER_DAY)


def first_order(plan: Blueprint, day: int) -> int:
    """Number of the day's first order."""
    return (midnight(plan, day) // US_PER_DAY - _EPOCH_DAY) * ORDERS_PER_DAY


def _side_by_side(product: Ints32, plan: Blueprint, day: int) -> Ints32:
    """The same lines in another order: some in pairs of products that go together, which mostly share a basket."""
    rng = generator(plan.seed, Stream.BASKETS, plan.date_of(day).toordinal())
    n = len(product)
    joined = rng.random(n, dtype=np.float32) < _TOGETHER
    some = np.sort(product[joined])
    sets = plan.catalogue.goes_with[some]
    order = np.argsort(sets, kind="stable")
    some, sets = some[order], sets[order]
    place = rng.permutation(n)
    alone = n - len(some)
    order = np.argsort(np.concatenate([place[:alone], place[alone:][_couples(sets)]]), kind="stable")
    return np.concatenate([product[~joined], some])[order]


def _couples(sets: Ints) -> Ints:
    """A number that two lines of a set share; sets come in order. Halves of a set are paired: few products twice."""
    n = len(sets)
    first = np.flatnonzero(np.diff(sets, prepend=-1))
    length = np.diff(first, append=n)
    start, half = np.repeat(first, length), np.repeat((length + 1) // 2, length)
    return np.asarray(start + (np.arange(n) - start) % np.maximum(half, 1))


def _basket_sizes(lines: int, rng: Generator) -> Ints:
    """Lines of each order, as many orders as it takes; the last one is cut."""
    sizes = _BASKETS[rng.integers(0, 256, lines, dtype=np.uint8)]
    ends = np.cumsum(sizes)
    orders = int(np.searchsorted(ends, lines)) + 1 if lines else 0
    sizes = sizes[:orders]
    if orders:
        sizes[-1] -= ends[orders - 1] - lines
    return sizes


def _time_table() -> Ints:
    """Microsecond of the day by quantile (65536 of them) of the hourly profile."""
    reached = np.concatenate([[0], np.cumsum(_HOURLY)]) / _HOURLY.sum()
    seconds = np.interp((np.arange(65536) + 0.5) / 65536, reached, np.arange(25) * 3600)
    return seconds.astype(np.int64) * US_PER_SECOND


_TIMES = _time_table()


def times_on(plan: Blueprint, day: int, n: int, rng: Generator) -> Ints:
    """Moments of a day in order, busy hours more often: microseconds since 1970."""
    quantiles = np.sort(rng.integers(0, 65536, n, dtype=np.uint16))
    return midnight(plan, day) + _TIMES[quantiles]


def customers_of(n: int, customers: int, rng: Generator) -> Ints32:
    """A few customers order often, most of them rarely; some orders come from guests."""
    drawn = (np.square(rng.random(n, dtype=np.float32)) * customers).astype(np.int32)
    drawn[rng.random(n, dtype=np.float32) < _GUESTS] = GUEST
    return drawn


def _quantities(spread: Floats, rng: Generator) -> Floats:
    """1 + a geometric number of units; a few bulk orders."""
    n = len(spread)
    units: Floats = 1.0 + np.floor(rng.standard_exponential(n, dtype=np.float32) * spread)
    bulk = rng.integers(0, max(n, 1), rng.binomial(n, BULK_SHARE))
    units[bulk] = rng.integers(*BULK_UNITS, len(bulk))
    return units
