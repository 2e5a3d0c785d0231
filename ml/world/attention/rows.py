"""From posts as numbers to the contract tables `posts` and `creators`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ml.contracts import TABLES
from ml.contracts.base import arrow_schema
from ml.world.arrays import Ints
from ml.world.attention.captions import captions
from ml.world.attention.cascades import NO_BURST, PLATFORMS, ROOT, WEEK, Crowd, Posts, Roots, cascades_of
from ml.world.attention.dirt import UNKNOWN_CREATORS, Shown, dirt_of, joined, shown
from ml.world.attention.people import People
from ml.world.attention.pictures import picture_uri
from ml.world.orders import midnight
from ml.world.rows import Codes, Names, fixed_text, long_codes, product_ids, short_codes

POSTS = arrow_schema(TABLES["posts"])
CREATORS = arrow_schema(TABLES["creators"])
_ROWS = 200_000
_PLATFORMS = pa.array([platform.name for platform in PLATFORMS], pa.string())
_NEGATIVE_EVERY = 1_000  # creators to one more with a negative number of followers
_UNKNOWN_FROM = 9_000_000  # creator numbers that no table reaches


@dataclass(frozen=True, slots=True)
class Week:
    """The cascades of one week: whole, and their posts before the world's end with the dirty ones last."""

    roots: Roots
    whole: Posts
    posts: Shown
    kinds: list[str]


def weeks(crowd: Crowd) -> Iterator[Week]:
    """Every week of the world; the last one is cut at the end."""
    end = midnight(crowd.plan, crowd.plan.days)
    for week in range(-(-crowd.plan.days // WEEK)):
        roots, whole = cascades_of(crowd, week)
        clean = shown(crowd, week, roots, whole)
        dirty, kinds = dirt_of(crowd, week, clean)
        clean = clean.take(np.flatnonzero(clean.posted_at < end))
        known = np.flatnonzero(dirty.posted_at < end)
        yield Week(roots, whole, joined([clean, dirty.take(known)]), [kinds[row] for row in known.tolist()])


def posts_reader(crowd: Crowd, names: Names) -> pa.RecordBatchReader:
    """The table `posts` as a stream, by week of the root and then by time."""
    return pa.RecordBatchReader.from_batches(POSTS, _piled(crowd, names))


def _piled(crowd: Crowd, names: Names) -> Iterator[pa.RecordBatch]:
    creators, pile = creator_codes(crowd.people), list[pa.RecordBatch]()
    for week in weeks(crowd):
        pile.append(_batch(crowd, names, creators, week.posts))
        if sum(batch.num_rows for batch in pile) >= _ROWS:
            yield from pa.Table.from_batches(pile, POSTS).combine_chunks().to_batches()
            pile = []
    yield from pa.Table.from_batches(pile, POSTS).combine_chunks().to_batches()


def _batch(crowd: Crowd, names: Names, creators: Codes, posts: Shown) -> pa.RecordBatch:
    columns = [
        post_ids(posts.number),
        pa.array(posts.posted_at).view(pa.timestamp("us")),
        product_ids(names, posts.product),
        fixed_text(creators[posts.creator]),
        fixed_text(long_codes("T", np.maximum(posts.parent, 0)), posts.parent != ROOT),
        _PLATFORMS.take(pa.array(posts.platform)),
        captions(posts.caption),
        _images(crowd, posts),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=POSTS)


def _images(crowd: Crowd, posts: Shown) -> pa.Array:
    """A photograph of the product with the first post of each burst, where the world has pictures."""
    led = np.flatnonzero(posts.picture != NO_BURST)
    if not crowd.plan.size.pictures or not len(led):
        return pa.nulls(len(posts), pa.string())
    pictures: list[str | None] = [None] * len(posts)
    for row in led.tolist():
        pictures[row] = product_picture(crowd, int(posts.product[row]), 1 + int(posts.picture[row]))
    return pa.array(pictures, pa.string())


def product_picture(crowd: Crowd, product: int, view: int = 0) -> str:
    """The product's picture, or another view of it."""
    category = int(crowd.plan.catalogue.category[product])
    return picture_uri(crowd.plan.seed, product, float(crowd.appeal[product]), category, view)


def post_ids(numbers: Ints) -> pa.Array:
    """Post ids as text."""
    return fixed_text(long_codes("T", numbers))


def creator_codes(people: People) -> Codes:
    """Ids of the creators by position, then of those that no table knows."""
    unknown = _UNKNOWN_FROM + np.arange(UNKNOWN_CREATORS) * 37
    return short_codes("U", np.concatenate([people.number, unknown]))


def creators_table(people: People) -> pa.Table:
    """Everybody by number, then those with a negative number of followers (who never post)."""
    order = np.argsort(people.number)
    broken = len(people) + np.arange(max(2, len(people) // _NEGATIVE_EVERY))
    numbers = np.concatenate([people.number[order], broken])
    followers = np.concatenate([people.followers[order], -1 - np.arange(len(broken))])
    ids = fixed_text(short_codes("U", numbers))
    return pa.table({"creator_id": ids, "followers": pa.array(followers)}, schema=CREATORS)
