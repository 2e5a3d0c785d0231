"""The log of searches, day by day: who asks what, what is shown where, what is examined, engaged with and bought.

A customer looks down the list to some depth: position k is examined with the probability of `examination`, and then
every position above it is, too. Only what is examined can be engaged with, and only what is engaged with can be bought.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.random import Generator

from ml.world.arrays import Flags, Floats, Ints
from ml.world.orders import customers_of, first_order, times_on
from ml.world.rows import Names
from ml.world.search.dirt import dirt_on, texts_of
from ml.world.search.examination import EXAMINATION, curve
from ml.world.search.plan import SearchPlan
from ml.world.search.queries import TRAITS
from ml.world.search.rankers import swap_some
from ml.world.search.results import Results, join, searches_batch
from ml.world.search.wants import MODALITIES
from ml.world.seeds import Stream, generator

VOICE_SHARE = 0.35
_SHOWN = max(len(chances) for chances in EXAMINATION.values())
_ROWS = 200_000
_GROWTH = 0.1  # of the number of searches, in a year
_SEASONAL = (0.4, 4.0)  # factor on a query for an occasion outside of it, and what its height adds


@dataclass(frozen=True, slots=True)
class _Asked:
    """One entry a search of a day."""

    query: Ints
    modality: Ints
    length: Ints
    shown: Ints  # search x position: places among the candidates


def search_batches(plan: SearchPlan, names: Names) -> Iterator[pa.RecordBatch]:
    """The whole log in order of days, in batches of bounded size."""
    texts = texts_of(plan.queries)
    pile: list[Results] = []
    for day in range(plan.world.days):
        pile += [results_on(plan, day), dirt_on(plan, day).results]
        if sum(map(len, pile)) >= _ROWS:
            yield searches_batch(join(pile), texts, names)
            pile = []
    if pile:
        yield searches_batch(join(pile), texts, names)


def results_on(plan: SearchPlan, day: int) -> Results:
    """The clean results of one day."""
    rng = generator(plan.world.seed, Stream.SEARCHES, plan.world.date_of(day).toordinal())
    asked = _ask(plan, day, rng)
    engaged, purchased = _deeds(plan, asked, rng)
    n = len(asked.query)
    there = np.arange(_SHOWN) < asked.length[:, None]
    search, position = np.nonzero(there)
    return Results(
        search=(first_order(plan.world, day) + np.arange(n))[search],
        position=position + 1,
        searched_at=times_on(plan.world, day, n, rng)[search],
        customer=customers_of(n, plan.world.size.customers, rng)[search],
        query=asked.query[search],
        modality=asked.modality[search],
        product=plan.candidates.product[asked.query[search], asked.shown[there]],
        engaged=engaged[there],
        purchased=purchased[there],
    )


def _ask(plan: SearchPlan, day: int, rng: Generator) -> _Asked:
    n = int(rng.poisson(_searches_on(plan, day)))
    weights = np.cumsum(_frequency(plan, day))
    query = np.minimum(np.searchsorted(weights, rng.random(n) * weights[-1]), len(plan.queries) - 1)
    modality = (rng.random(n) >= VOICE_SHARE).astype(np.int64)
    version = plan.rankers.version(day, n, rng)
    candidates = plan.candidates
    there = candidates.taken[query] & plan.world.catalogue.on_sale(day)[candidates.product[query]]
    scores = np.where(there, plan.rankers.jittered(version, query, rng), -np.inf)
    longest = np.array([len(EXAMINATION[name]) for name in MODALITIES])[modality]
    length = np.minimum(there.sum(axis=1), longest)
    return _Asked(query, modality, length, swap_some(_top(scores), length, rng))


def _searches_on(plan: SearchPlan, day: int) -> float:
    """Mean number of searches of a day, from the number of rows that the world's size asks for."""
    rows = VOICE_SHARE * len(EXAMINATION["voice"]) + (1 - VOICE_SHARE) * len(EXAMINATION["screen"])
    days = plan.world.size.days
    grown = 1 + _GROWTH * (day - days / 2) / 365.25
    return plan.world.size.searches / days / rows * max(grown, 0.1)


def _frequency(plan: SearchPlan, day: int) -> Floats:
    """Weight of each query: those for an occasion are asked when it is near."""
    today = plan.world.date_of(day)
    asked = plan.queries.asked[TRAITS.index("occasion")]
    factor = np.where(asked >= 0, _SEASONAL[0], 1.0)
    for event in plan.world.events:
        factor[asked == event.rule] += _SEASONAL[1] * event.height(today)
    return plan.queries.weight * factor


def _top(scores: Floats) -> Ints:
    """Columns of the largest scores of each row, largest first."""
    found = np.argpartition(-scores, _SHOWN - 1, axis=1)[:, :_SHOWN]
    order = np.argsort(-np.take_along_axis(scores, found, axis=1), axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1)


def _deeds(plan: SearchPlan, asked: _Asked, rng: Generator) -> tuple[Flags, Flags]:
    """Search x position: engaged with, and bought."""
    chances = np.zeros((len(MODALITIES), _SHOWN))
    for row, modality in zip(chances, MODALITIES, strict=True):
        row[: len(EXAMINATION[modality])] = curve(modality)
    n = len(asked.query)
    examined = rng.random(n)[:, None] < chances[asked.modality]
    where = asked.modality[:, None], asked.query[:, None], asked.shown
    engaged = examined & (rng.random((n, _SHOWN)) < plan.wants.engage[where])
    purchased = engaged & (rng.random((n, _SHOWN)) < plan.wants.buy[where])
    return engaged, purchased
