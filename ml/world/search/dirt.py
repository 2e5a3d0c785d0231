"""Searches that should not be in a log, as they are in real ones; each of their rows is told in the truth.

They are searches of their own: take them away and the clean world is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import pyarrow as pa
from numpy.random import Generator

from ml.world.arrays import Ints
from ml.world.dirt import UNKNOWN_PRODUCTS
from ml.world.orders import ORDERS_PER_DAY, customers_of, first_order, times_on
from ml.world.search.plan import SearchPlan
from ml.world.search.queries import Queries
from ml.world.search.results import Results, join, search_ids
from ml.world.seeds import Stream, generator

ENDLESS = "best gift for my grandmother who likes gardening and cats " * 173
BLANK = "   "
DIRTY_SEARCHES = pa.schema([("search_id", pa.string()), ("position", pa.int64()), ("kind", pa.string())])
_SHARE = 1.5e-4  # of a day's rows, for each kind
_DIRTY_NUMBERS = ORDERS_PER_DAY * 9 // 10  # numbers of dirty searches begin here, within their day

Spoil = Callable[[Results, SearchPlan, Generator], Results]


@dataclass(frozen=True, slots=True)
class SearchDirt:
    """Dirty results and the kind of each."""

    results: Results
    kinds: tuple[str, ...]


def texts_of(queries: Queries) -> pa.Array:
    """The queries by place, then those that only dirt has."""
    return pa.array([*queries.texts, ENDLESS[:10_000], BLANK], pa.string())


def _doubled(results: Results, plan: SearchPlan, rng: Generator) -> Results:
    """Each search twice: another product at the same position."""
    return join([results, replace(results, product=_next_one(results, plan))])


def _next_one(results: Results, plan: SearchPlan) -> Ints:
    """The next of the products that were there at the start."""
    return (results.product + 1) % int(np.sum(plan.world.catalogue.launch < 0))


def _unengaged(results: Results, _: SearchPlan, __: Generator) -> Results:
    return replace(results, purchased=np.ones(len(results), dtype=np.bool_))


def _endless(results: Results, plan: SearchPlan, _: Generator) -> Results:
    return replace(results, query=np.full(len(results), len(plan.queries)))


def _blank(results: Results, plan: SearchPlan, _: Generator) -> Results:
    return replace(results, query=np.full(len(results), len(plan.queries) + 1))


def _unknown(results: Results, plan: SearchPlan, rng: Generator) -> Results:
    first = len(plan.world.catalogue)
    return replace(results, product=rng.integers(first, first + UNKNOWN_PRODUCTS, len(results)))


_SPOIL: Mapping[str, Spoil] = MappingProxyType(
    {
        "doubled_position": _doubled,
        "unengaged_purchase": _unengaged,
        "endless_query": _endless,
        "blank_query": _blank,
        "unknown_product": _unknown,
    }
)
SEARCH_DIRT_KINDS = tuple(_SPOIL)


def dirt_on(plan: SearchPlan, day: int) -> SearchDirt:
    """The dirty searches of a day, first ones first."""
    rng = generator(plan.world.seed, Stream.SEARCH_DIRT, plan.world.date_of(day).toordinal())
    mean = plan.world.size.searches / plan.world.size.days * _SHARE
    numbers = rng.poisson(mean, len(_SPOIL))
    plain = _plain(plan, day, int(numbers.sum()), rng)
    owner = np.repeat(np.arange(len(numbers)), numbers)
    spoilt = [
        spoil(_take(plain, np.flatnonzero(owner == place)), plan, rng)
        for place, spoil in enumerate(_SPOIL.values())
    ]
    kinds = [kind for kind, part in zip(_SPOIL, spoilt, strict=True) for _ in range(len(part))]
    return SearchDirt(join(spoilt), tuple(kinds))


def _take(results: Results, rows: Ints) -> Results:
    return Results(*(getattr(results, name)[rows] for name in Results.__slots__))


def _plain(plan: SearchPlan, day: int, n: int, rng: Generator) -> Results:
    """Voice searches with one result that nobody engaged with."""
    world = plan.world
    sold = np.flatnonzero(world.catalogue.launch < 0)
    return Results(
        search=first_order(world, day) + _DIRTY_NUMBERS + np.arange(n),
        position=np.ones(n, dtype=np.int64),
        searched_at=times_on(world, day, n, rng),
        customer=customers_of(n, world.size.customers, rng),
        query=rng.integers(0, len(plan.queries), n),
        modality=np.zeros(n, dtype=np.int64),
        product=rng.choice(sold, n),
        engaged=np.zeros(n, dtype=np.bool_),
        purchased=np.zeros(n, dtype=np.bool_),
    )


def dirty_searches(plan: SearchPlan) -> pa.Table:
    """search_id, position, kind of every dirty row."""
    return pa.Table.from_batches(_batches(plan), DIRTY_SEARCHES)


def _batches(plan: SearchPlan) -> Iterator[pa.RecordBatch]:
    for day in range(plan.world.days):
        dirt = dirt_on(plan, day)
        if dirt.kinds:
            columns = [search_ids(dirt.results.search), pa.array(dirt.results.position), pa.array(dirt.kinds)]
            yield pa.RecordBatch.from_arrays(columns, schema=DIRTY_SEARCHES)
