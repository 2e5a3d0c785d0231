"""Attention as a part of the world: its tables, and what is true of it.

cascades        post_id (of the root), product_id, platform, started_at, branching (mean reshares of a reshare),
                final_size (posts in all, after the end too), burst_id (null: none)
bursts          burst_id, product_id, start_day, lag_days, lift (factor on demand at its height; 1: a placebo)
attention       product_id, day, lift: every day on which attention lifts the product's demand (it is in `ordinary`)
appeal          product_id, appeal (standard normal)
creators        creator_id, nose and skill (standard normal), category (the one they like)
dirty_posts     post_id, kind: see `dirt`
dirty_creators  creator_id, kind
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from ml.world.arrays import Ints
from ml.world.attention.cascades import NO_BURST, PLATFORMS, ROOT, Crowd, crowd_of
from ml.world.attention.rows import creator_codes, creators_table, post_ids, posts_reader, weeks
from ml.world.blueprint import PLANNED_DAYS, Blueprint
from ml.world.orders import midnight
from ml.world.rows import Names, fixed_text, product_ids
from ml.world.truth import known_products
from ml.world.words import CATEGORIES

Rows: TypeAlias = "pa.Table | pa.RecordBatchReader"

CASCADES = pa.schema(
    [
        ("post_id", pa.string()),
        ("product_id", pa.string()),
        ("platform", pa.string()),
        ("started_at", pa.timestamp("us")),
        ("branching", pa.float64()),
        ("final_size", pa.int64()),
        ("burst_id", pa.int64()),
    ]
)
DIRTY_POSTS = pa.schema([("post_id", pa.string()), ("kind", pa.string())])


def attention_tables(plan: Blueprint, names: Names) -> Mapping[str, Rows]:
    """`posts` and `creators`."""
    crowd = crowd_of(plan)
    return {"posts": posts_reader(crowd, names), "creators": creators_table(crowd.people)}


def attention_truth(plan: Blueprint, names: Names) -> Mapping[str, Rows]:
    """See the module's docstring."""
    crowd = crowd_of(plan)
    return {
        "cascades": pa.RecordBatchReader.from_batches(CASCADES, _cascades(crowd, names)),
        "bursts": _bursts(plan, names),
        "attention": _attention(plan, names),
        "appeal": _appeal(crowd, names),
        "creators": _creators(crowd),
        "dirty_posts": pa.RecordBatchReader.from_batches(DIRTY_POSTS, _dirty_posts(crowd)),
        "dirty_creators": _dirty_creators(crowd),
    }


def _cascades(crowd: Crowd, names: Names) -> Iterator[pa.RecordBatch]:
    platforms = pa.array([platform.name for platform in PLATFORMS])
    for week in weeks(crowd):
        sizes = np.bincount(week.whole.cascade, minlength=len(week.roots))
        leads = np.flatnonzero(week.whole.parent == ROOT)
        leads = leads[week.whole.posted_at[leads] < midnight(crowd.plan, crowd.plan.days)]
        cascade = week.whole.cascade[leads]
        burst = week.roots.burst[cascade]
        columns = [
            post_ids(week.whole.number[leads]),
            product_ids(names, week.roots.product[cascade]),
            platforms.take(pa.array(week.roots.platform[cascade])),
            pa.array(week.whole.posted_at[leads]).view(pa.timestamp("us")),
            pa.array(week.roots.branching[cascade]),
            pa.array(sizes[cascade]),
            pa.array(burst, mask=burst == NO_BURST),
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=CASCADES)


def _dirty_posts(crowd: Crowd) -> Iterator[pa.RecordBatch]:
    for week in weeks(crowd):
        numbers = week.posts.number[len(week.posts) - len(week.kinds) :]
        yield pa.RecordBatch.from_arrays(
            [post_ids(numbers), pa.array(week.kinds, pa.string())], schema=DIRTY_POSTS
        )


def _bursts(plan: Blueprint, names: Names) -> pa.Table:
    """Those that have begun."""
    bursts = plan.conditions.bursts
    begun = np.flatnonzero(bursts.start < plan.days)
    return pa.table(
        {
            "burst_id": pa.array(begun),
            "product_id": product_ids(names, bursts.product[begun]),
            "start_day": _dates(plan, bursts.start[begun]),
            "lag_days": pa.array(bursts.lag[begun], pa.int32()),
            "lift": pa.array(np.exp(bursts.amplitude[begun])),
        }
    )


def _attention(plan: Blueprint, names: Names) -> pa.Table:
    """Days of known products, those of the planned days after the end too."""
    logs = [
        plan.conditions.bursts.log_lift(day, len(plan.catalogue)) for day in range(plan.days + PLANNED_DAYS)
    ]
    lifted = [np.flatnonzero((log > 1e-6) & (plan.catalogue.launch < plan.days)) for log in logs]
    day = np.repeat(np.arange(len(logs)), [len(rows) for rows in lifted])
    lift = np.concatenate([np.exp(log[rows]) for log, rows in zip(logs, lifted, strict=True)])
    ids = product_ids(names, np.concatenate(lifted))
    return pa.table({"product_id": ids, "day": _dates(plan, day), "lift": pa.array(lift)})


def _appeal(crowd: Crowd, names: Names) -> pa.Table:
    known = known_products(crowd.plan)
    return pa.table({"product_id": product_ids(names, known), "appeal": pa.array(crowd.appeal[known])})


def _creators(crowd: Crowd) -> pa.Table:
    people = crowd.people
    likes = pa.array([category.name for category in CATEGORIES]).take(pa.array(people.category))
    ids = fixed_text(creator_codes(people)[: len(people)])
    hidden = {"nose": pa.array(people.nose), "skill": pa.array(people.skill)}
    return pa.table({"creator_id": ids, **hidden, "category": likes})


def _dirty_creators(crowd: Crowd) -> pa.Table:
    ids = creators_table(crowd.people)["creator_id"].slice(len(crowd.people))
    return pa.table({"creator_id": ids, "kind": pa.repeat("negative_followers", len(ids))})


def _dates(plan: Blueprint, days_since_start: Ints) -> pa.Array:
    return pa.array(np.datetime64(plan.start, "D") + days_since_start, pa.date32())
