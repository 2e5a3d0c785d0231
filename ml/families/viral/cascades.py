"""Posts in the cascades that they belong to: a first post, and all that reshare it or a reshare of it."""

from __future__ import annotations

from datetime import date

import ibis

from ml.toolkit.storing import stored

JUMPS = 6  # pointers double with each: reshares of reshares are followed 64 deep


def cascades(posts: ibis.Table, as_of: date) -> ibis.Table:
    """Every post before `as_of` with its place in its cascade.

    letters: of its text; cascade_id: the first post's; depth: reshares between it and the first post; rank: 1, 2, … by
    time; started: when the first known post was; age, gap, next_age: hours from there to the post, from the post before
    to it, and from the start to the next post (null: none is known); seq: how many posts the platform had seen, this
    one included.
    Posts whose parents lead round in a circle, or back more than 64 reshares, are left out.
    """
    known = posts.filter(posts.posted_at < ibis.timestamp(str(as_of)))
    return stored(_placed(_rooted(known)))


def _rooted(known: ibis.Table) -> ibis.Table:
    reshares = known.filter(known.parent_post_id.notnull())
    link = reshares.select("post_id", up=reshares.parent_post_id, depth=ibis.literal(1, "int64"))
    for _ in range(JUMPS):
        link = stored(_jump(link))
    above = link.select(resharing="post_id").mutate(inner=True)
    tops = link.left_join(above, link.up == above.resharing)
    tops = tops.filter(tops.inner.isnull()).select("post_id", "up", "depth")
    joined = known.left_join(tops, "post_id")
    found = joined.filter(joined.parent_post_id.isnull() | joined.up.notnull())
    return found.select(
        "post_id", "product_id", "creator_id", "platform", "image_uri", at=found.posted_at,
        letters=found.text.length().fill_null(0), cascade_id=ibis.coalesce(found.up, found.post_id),
        depth=found.depth.fill_null(0),
    )  # fmt: skip


def _jump(link: ibis.Table) -> ibis.Table:
    """Every pointer to where the post that it points at points (pointer jumping)."""
    over = link.mutate(further="depth").rename(via="post_id", upper="up").drop("depth")
    joined = link.left_join(over, link.up == over.via)
    return joined.select(
        "post_id", up=ibis.coalesce(joined.upper, joined.up), depth=joined.depth + joined.further.fill_null(0)
    )


def _placed(rooted: ibis.Table) -> ibis.Table:
    order = ["at", "post_id"]
    within = ibis.window(group_by="cascade_id", order_by=order)
    platform = ibis.window(group_by="platform", order_by=order)
    numbered = rooted.mutate(
        rank=ibis.row_number().over(within) + 1,
        started=rooted["at"].first().over(within),
        before=rooted["at"].lag(1).over(within),
        after=rooted["at"].lead(1).over(within),
        seq=ibis.row_number().over(platform) + 1,
    )
    return numbered.mutate(
        age=hours(numbered["at"], numbered.started),
        gap=hours(numbered["at"], numbered.before),
        next_age=hours(numbered.after, numbered.started),
    ).drop("before", "after")


def hours(later: ibis.Value, earlier: ibis.Value) -> ibis.Value:
    """Hours between two times."""
    return later.delta(earlier, unit="microsecond").cast("float64") / 3.6e9


def log(value: ibis.Value, floor: float = 0.001) -> ibis.Value:
    """Natural logarithm of a count or of hours, with a floor that keeps simultaneous posts finite."""
    return (ibis.greatest(value.cast("float64"), 0.0) + floor).ln()
