"""What was known of the product when a cascade about it began."""

from __future__ import annotations

import ibis

from ml.families.viral.cascades import hours, log


def product_past(placed: ibis.Table, products: ibis.Table, scores: ibis.Table) -> ibis.Table:
    """Per cascade: length of the first post's text, the price, the score of its image, and what earlier cascades of the
    product came to. An earlier cascade counts with the posts that it had when this one began.
    """
    first = placed.filter(placed["rank"] == 1)
    roots = first.select("cascade_id", "product_id", "started", "letters")
    joined = roots.left_join(_earlier(placed), "cascade_id").left_join(
        products.select("product_id", "price"), "product_id"
    )
    joined = joined.mutate(quarter=joined.started.truncate("Q").date()).drop("product_id_right")
    joined = joined.left_join(scores, ["product_id", "quarter"])
    return joined.select(
        "cascade_id",
        text_length=log(joined.letters, 1.0),
        price=log(joined.price, 1.0),
        product_posts=log(joined.product_posts.fill_null(0), 1.0),
        product_since=log(hours(joined.started, joined.previous), 0.01),
        product_best=log(joined.best.fill_null(0), 1.0),
        image_score=joined.image_score,
    )


def _earlier(placed: ibis.Table) -> ibis.Table:
    """Posts of the product before the cascade began, when the last was, and the size of the largest cascade by then."""
    by_product = ibis.window(group_by="product_id", order_by=["at", "post_id"], preceding=(None, 1))
    history = placed.select(
        "cascade_id", "rank",
        product_posts=placed.count().over(by_product),
        previous=placed["at"].max().over(by_product),
        best=placed["rank"].max().over(by_product),
    )  # fmt: skip
    return history.filter(history["rank"] == 1).drop("rank")
