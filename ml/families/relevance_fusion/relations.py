"""How a product stands to the query's relevant ones: its price against theirs, and whether they are bought together.

Two sets of relevant ones: `matches`, the candidates whose words match best, known for every query; and `relevant`,
those that annotators found relevant before the period, where there are any. A product is never compared with itself.
"""

from __future__ import annotations

from collections.abc import Mapping

import ibis

from ml.families.relevance_fusion.clock import Clock
from ml.toolkit.windows import exact_sum

ANCHORS = 4
SEPARATOR = "\t"
RELEVANT_GRADE = 2.0
_GROUP = ("query", "step")
_ROW = ("query", "product_id", "step")


def matches(matched: ibis.Table) -> ibis.Table:
    """query, step, anchor: the ANCHORS candidates with the highest BM25, if above 0."""
    return _best(matched.filter(matched.bm25 > 0), "bm25")


def relevant(judged: ibis.Table, clock: Clock) -> ibis.Table:
    """query, step, anchor: up to ANCHORS products with a mean grade of at least RELEVANT_GRADE before the step."""
    steps = clock.steps()
    then = judged.rename(judged_step="step")
    known = then.join(steps, then.judged_step < steps.step)
    graded = known.group_by(*_ROW).aggregate(
        grade=known.points.sum() / known.annotators.sum(), annotators=known.annotators.sum()
    )
    return _best(graded.filter(graded.grade >= RELEVANT_GRADE), "grade")


def _best(some: ibis.Table, by: str) -> ibis.Table:
    order = ibis.window(group_by=_GROUP, order_by=[some[by].desc(), some.product_id])
    ranked = some.mutate(place=ibis.row_number().over(order))
    return ranked.filter(ranked.place < ANCHORS).select(*_GROUP, "place", anchor=ranked.product_id)


def listed(anchors: ibis.Table, name: str) -> ibis.Table:
    """query, step, and the anchors as one text, a tab between two."""
    return side_by_side(anchors, list(_GROUP), {name: "anchor"}, ANCHORS)


def side_by_side(rows: ibis.Table, by: list[str], columns: Mapping[str, str], most: int) -> ibis.Table:
    """by..., and the values of each column in the order of `place` as one text, SEPARATOR between two.

    Aggregates of lists in order would keep every group's rows in memory.
    """
    found = {
        f"{name}_{place}": rows[column].max(where=rows.place == place)
        for name, column in columns.items()
        for place in range(most)
    }
    wide = rows.group_by(*by).aggregate(**found)
    joined = {
        name: ibis.literal(SEPARATOR).join([wide[f"{name}_{place}"] for place in range(most)])
        for name in columns
    }
    return wide.select(*by, **joined)


def compared(
    pairs: ibis.Table, anchors: ibis.Table, items: ibis.Table, together: ibis.Table, to: str
) -> ibis.Table:
    """query, product_id, step; price_to_<to>, bought_with_<to>, category_of_<to>; null without anchors."""
    about = items.select("product_id", "price", "category")
    other = about.rename(anchor="product_id", anchor_price="price", anchor_category="category")
    both = pairs.join(anchors, list(_GROUP)).join(about, "product_id").join(other, "anchor")
    both = both.filter(both.anchor != both.product_id)
    shares = together.select("step", "share", anchor=together.product_id, product_id=together.other)
    joined = both.left_join(shares, ["anchor", "product_id", "step"])
    priced = (both.price > 0) & (both.anchor_price > 0)
    ratio = ibis.ifelse(priced, (both.price / both.anchor_price).ln(), None)
    seen = joined.select(
        *(both[name] for name in _ROW), ratio=ratio, share=shares.share.fill_null(0.0),
        same=(both.category == both.anchor_category).cast("int64"),
    )  # fmt: skip
    return seen.group_by(*_ROW).aggregate(
        **{
            f"price_to_{to}": (exact_sum(seen.ratio) / ibis.greatest(seen.ratio.count(), 1)).exp(),
            f"bought_with_{to}": seen.share.max(),
            f"category_of_{to}": seen.same.sum() / seen.count(),
        }
    )
