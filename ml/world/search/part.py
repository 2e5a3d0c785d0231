"""The search part of a world: its tables, and the truth about it.

relevance         query, product_id, grade: the true grade of every candidate (what the shop may show for the query)
outcomes          query, product_id, modality, engage, purchase: probability of each deed if the result is examined
                  (a purchase takes an engagement, so `purchase` is the product of both steps)
examination       modality, position, probability of being examined
annotators        annotator_id, quality, leniency
dirty_searches    search_id, position, kind: see `dirt`
dirty_judgements  query, product_id, annotator_id, kind
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from ml.world.arrays import Ints
from ml.world.blueprint import Blueprint
from ml.world.rows import Names, product_ids
from ml.world.search.annotators import (
    annotators_of,
    annotators_table,
    dirty_judgements,
    judge,
    judgements_table,
)
from ml.world.search.dirt import dirty_searches
from ml.world.search.examination import examination_table
from ml.world.search.plan import SearchPlan, search_plan
from ml.world.search.results import SEARCHES
from ml.world.search.sessions import search_batches
from ml.world.search.wants import MODALITIES


def search_tables(world: Blueprint, names: Names) -> Mapping[str, pa.Table | pa.RecordBatchReader]:
    """`searches` as a stream, and `judgements`."""
    plan = search_plan(world)
    made = judge(plan, annotators_of(plan))
    return {
        "searches": pa.RecordBatchReader.from_batches(SEARCHES, search_batches(plan, names)),
        "judgements": judgements_table(plan, names, made),
    }


def search_truth(world: Blueprint, names: Names) -> Mapping[str, pa.Table]:
    """What is said in the module's docstring; products not launched before the end are left out."""
    plan = search_plan(world)
    annotators = annotators_of(plan)
    known = plan.candidates.taken & (world.catalogue.launch[plan.candidates.product] < world.days)
    query, place = np.nonzero(known)
    return {
        "relevance": _relevance(plan, names, query, place),
        "outcomes": pa.concat_tables([_outcomes(plan, names, query, place, m) for m in MODALITIES]),
        "examination": examination_table(),
        "annotators": annotators_table(annotators),
        "dirty_searches": dirty_searches(plan),
        "dirty_judgements": dirty_judgements(plan, names, judge(plan, annotators)),
    }


def _pair(plan: SearchPlan, names: Names, query: Ints, place: Ints) -> dict[str, pa.Array]:
    texts = pa.array(plan.queries.texts, pa.string())
    product = product_ids(names, plan.candidates.product[query, place])
    return {"query": texts.take(pa.array(query)), "product_id": product}


def _relevance(plan: SearchPlan, names: Names, query: Ints, place: Ints) -> pa.Table:
    grade = plan.candidates.grade[query, place].astype(np.int64)
    return pa.table({**_pair(plan, names, query, place), "grade": grade})


def _outcomes(plan: SearchPlan, names: Names, query: Ints, place: Ints, modality: str) -> pa.Table:
    where = MODALITIES.index(modality), query, place
    engage = plan.wants.engage[where]
    return pa.table(
        {
            **_pair(plan, names, query, place),
            "modality": pa.repeat(modality, len(query)),
            "engage": engage,
            "purchase": engage * plan.wants.buy[where],
        }
    )
