"""Judgements of relevance by people who differ in care and in leniency."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.random import Generator

from ml.contracts import TABLES
from ml.contracts.base import arrow_schema
from ml.world.arrays import US_PER_DAY, US_PER_SECOND, Flags, Floats, Ints
from ml.world.dirt import UNKNOWN_PRODUCTS
from ml.world.orders import midnight
from ml.world.rows import Names, product_ids
from ml.world.search.plan import SearchPlan
from ml.world.seeds import Stream, generator

JUDGEMENTS = arrow_schema(TABLES["judgements"])
DIRTY_JUDGEMENTS = pa.schema(
    [(name, pa.string()) for name in ("query", "product_id", "annotator_id", "kind")]
)
JUDGEMENT_DIRT_KINDS = ("off_scale", "unknown_product", "judged_twice")
_TOP = 3
_QUERIES_JUDGED = 0.75
_PAIRS_A_QUERY = 16
_PER_PAIR = np.repeat([1, 2, 3, 5], [5, 3, 8, 4])  # 20 equally likely numbers of annotators
_CARELESS = 0.12  # share of annotators who hardly look
_NEAR = 0.75  # share of the errors that are off by one grade
_DIRTY = 4  # rows of each kind, and one in 10,000


@dataclass(frozen=True, slots=True)
class Annotators:
    """One entry a person: probability of giving the true grade, and of erring upwards."""

    quality: Floats
    leniency: Floats


@dataclass(frozen=True, slots=True)
class Judgements:
    """One entry a judgement; query, product and annotator by place; `dirt` its kind of dirt or -1."""

    query: Ints
    product: Ints
    annotator: Ints
    judged_at: Ints
    grade: Ints
    dirt: Ints

    def take(self, rows: Ints | Flags) -> Judgements:
        """Some of the judgements."""
        return Judgements(*(getattr(self, name)[rows] for name in self.__slots__))


def annotators_of(plan: SearchPlan) -> Annotators:
    """The people who judge: about one for 30 queries, at least ten; the last ones are careless."""
    rng = generator(plan.world.seed, Stream.ANNOTATORS)
    n = max(10, len(plan.queries) // 30)
    careless = np.arange(n) >= n - max(1, round(n * _CARELESS))
    quality = np.where(careless, rng.uniform(0.25, 0.4, n), rng.uniform(0.65, 0.95, n))
    return Annotators(quality, rng.uniform(0.2, 0.8, n))


def judge(plan: SearchPlan, annotators: Annotators) -> Judgements:
    """All judgements made before the end, in order of time."""
    rng = generator(plan.world.seed, Stream.JUDGEMENTS)
    query, place = _pairs(plan, rng)
    number = rng.choice(_PER_PAIR, len(query))
    who = np.argsort(rng.random((len(query), len(annotators.quality)), dtype=np.float32), axis=1)
    pair, nth = np.nonzero(np.arange(_PER_PAIR.max()) < number[:, None])
    annotator, query, place = who[pair, nth], query[pair], place[pair]
    product = plan.candidates.product[query, place]
    given = _given(plan.candidates.grade[query, place].astype(np.int64), annotator, annotators, rng)
    at = _moments(plan, product, rng)
    made = Judgements(query, product, annotator, at, given, np.full(len(query), -1))
    return _before_the_end(plan, _with_dirt(made, plan, rng))


def _pairs(plan: SearchPlan, rng: Generator) -> tuple[Ints, Ints]:
    """Query and place of the candidates that are judged: relevant ones more often."""
    candidates = plan.candidates
    judged = rng.random(len(plan.queries)) < _QUERIES_JUDGED
    key = rng.random(candidates.taken.shape) - 0.4 * (candidates.grade > 0)
    key[~candidates.taken] = np.inf
    place = np.argsort(key, axis=1, kind="stable")[:, :_PAIRS_A_QUERY]
    some = np.isfinite(np.take_along_axis(key, place, axis=1)) & judged[:, None]
    return np.nonzero(some)[0], place[some]


def _given(true: Ints, annotator: Ints, annotators: Annotators, rng: Generator) -> Ints:
    n = len(true)
    right = rng.random(n) < annotators.quality[annotator]
    step = np.where(rng.random(n) < annotators.leniency[annotator], 1, -1)
    near = np.where((true + step < 0) | (true + step > _TOP), true - step, true + step)
    wrong = np.where(rng.random(n) < _NEAR, near, rng.integers(0, _TOP + 1, n))
    return np.where(right, true, wrong).astype(np.int64)


def _moments(plan: SearchPlan, product: Ints, rng: Generator) -> Ints:
    """Working hours of a day after the product's launch, within the nominal days or soon after the launch."""
    world = plan.world
    first = np.maximum(world.catalogue.launch[product], 0) + 1
    until = np.maximum(world.size.days, first + 60)
    day = first + (rng.random(len(product)) * (until - first)).astype(np.int64)
    second = rng.integers(8 * 3600, 18 * 3600, len(product))
    return np.asarray(midnight(world, 0) + day * US_PER_DAY + second * US_PER_SECOND)


def _with_dirt(made: Judgements, plan: SearchPlan, rng: Generator) -> Judgements:
    number = _DIRTY + len(made.query) // 10_000
    rows = rng.choice(len(made.query), 3 * number, replace=False)
    copies = made.take(rows)
    dirt = np.repeat(np.arange(3), number)
    unknown = len(plan.world.catalogue) + np.arange(len(rows)) % UNKNOWN_PRODUCTS
    spoilt = Judgements(
        query=copies.query,
        product=np.where(dirt == 1, unknown, copies.product),
        annotator=copies.annotator,
        judged_at=copies.judged_at + US_PER_SECOND,
        grade=np.where(dirt == 0, 7, copies.grade),
        dirt=dirt,
    )
    kept = np.ones(len(made.query), dtype=np.bool_)
    kept[rows[dirt == 0]] = False  # an off-scale grade stands in place of the clean one
    parts = (made.take(kept), spoilt)
    return Judgements(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in Judgements.__slots__)
    )


def _before_the_end(plan: SearchPlan, made: Judgements) -> Judgements:
    past = made.take(made.judged_at < midnight(plan.world, plan.world.days))
    return past.take(np.lexsort((past.annotator, past.product, past.query, past.judged_at)))


def judgements_table(plan: SearchPlan, names: Names, made: Judgements) -> pa.Table:
    """The contract table `judgements`."""
    columns = [
        *_keys(plan, names, made),
        pa.array(made.judged_at).view(pa.timestamp("us")),
        pa.array(made.grade),
    ]
    return pa.Table.from_arrays(columns, schema=JUDGEMENTS)


def dirty_judgements(plan: SearchPlan, names: Names, made: Judgements) -> pa.Table:
    """Key and kind of every dirty judgement."""
    dirty = made.take(made.dirt >= 0)
    kinds = pa.array([JUDGEMENT_DIRT_KINDS[kind] for kind in dirty.dirt.tolist()], pa.string())
    return pa.Table.from_arrays([*_keys(plan, names, dirty), kinds], schema=DIRTY_JUDGEMENTS)


def annotators_table(annotators: Annotators) -> pa.Table:
    """annotator_id, quality (probability of the true grade), leniency (share of the errors that are upwards)."""
    return pa.table(
        {
            "annotator_id": annotator_ids(np.arange(len(annotators.quality))),
            "quality": annotators.quality,
            "leniency": annotators.leniency,
        }
    )


def annotator_ids(places: Ints) -> pa.Array:
    """`A` and four digits."""
    return pa.array([f"A{place:04d}" for place in places.tolist()], pa.string())


def _keys(plan: SearchPlan, names: Names, made: Judgements) -> list[pa.Array]:
    texts = pa.array(plan.queries.texts, pa.string())
    return [
        texts.take(pa.array(made.query)),
        product_ids(names, made.product),
        annotator_ids(made.annotator),
    ]
