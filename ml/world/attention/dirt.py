"""The posts and creators that should not be there, as every crawl has them; each is counted in the truth.

All are extra rows beside the clean ones: take them away (of a `duplicate_key`, one of the two) and the clean world is
left. A post `before_launch` is one of the small hours of the launch day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from ml.world.arrays import US_PER_DAY, Ints
from ml.world.attention.captions import caption_numbers
from ml.world.attention.cascades import NO_BURST, POSTS_PER_DAY, ROOT, WEEK, Crowd, Posts, Roots
from ml.world.dirt import UNKNOWN_PRODUCTS
from ml.world.orders import midnight
from ml.world.seeds import Stream, generator

UNKNOWN_CREATORS = 10  # creator numbers after the last that no table knows
KINDS = ("unknown_creator", "unknown_product", "reshare_cycle", "before_launch", "duplicate_key")
_SHARE = 2e-4  # of a week's posts, for each kind
_BEFORE_LAUNCH = 0.4  # share of launches with such a post
_DIRTY_POSTS = POSTS_PER_DAY * (WEEK - 1)  # numbers of dirty posts begin here, within their week


@dataclass(frozen=True, slots=True)
class Shown:
    """Posts as the table has them, as numbers: one entry a post; `parent` is a post's number or ROOT.

    `picture` is the burst whose first post this is (it has an image), or NO_BURST.
    """

    number: Ints
    posted_at: Ints
    product: Ints
    creator: Ints
    parent: Ints
    platform: Ints
    caption: Ints
    picture: Ints

    def __len__(self) -> int:
        return len(self.number)

    def take(self, rows: Ints) -> Shown:
        """Some of the posts, copied."""
        return Shown(*(getattr(self, name)[rows] for name in self.__slots__))


def shown(crowd: Crowd, week: int, roots: Roots, posts: Posts) -> Shown:
    """A week's posts as the table has them."""
    lead = posts.parent == ROOT
    burst = np.where(lead, roots.burst[posts.cascade], NO_BURST)
    first = np.unique(burst, return_index=True)[1]
    picture = np.full(len(posts), NO_BURST)
    picture[first] = burst[first]
    product = roots.product[posts.cascade]
    rng = generator(crowd.plan.seed, Stream.CAPTIONS, crowd.plan.date_of(week * WEEK).toordinal())
    return Shown(
        number=posts.number,
        posted_at=posts.posted_at,
        product=product,
        creator=posts.creator,
        parent=np.where(lead, ROOT, posts.number[posts.parent]),
        platform=roots.platform[posts.cascade],
        caption=caption_numbers(crowd.plan.catalogue.category[product], lead, rng),
        picture=picture,
    )


def joined(parts: Sequence[Shown]) -> Shown:
    """Posts one after the other."""
    return Shown(*(np.concatenate([getattr(part, name) for part in parts]) for name in Shown.__slots__))


def dirt_of(crowd: Crowd, week: int, clean: Shown) -> tuple[Shown, list[str]]:
    """The week's dirty posts, made from copies of its clean ones, and the kind of each."""
    rng = generator(crowd.plan.seed, Stream.POST_DIRT, crowd.plan.date_of(week * WEEK).toordinal())
    if not len(clean):
        return clean, []
    strangers = _copies(clean, rng)
    strangers = replace(
        strangers, creator=len(crowd.people) + rng.integers(0, UNKNOWN_CREATORS, len(strangers))
    )
    nothings = _copies(clean, rng)
    products = len(crowd.plan.catalogue) + rng.integers(0, UNKNOWN_PRODUCTS, len(nothings))
    nothings = replace(nothings, product=products)
    fresh = [strangers, nothings, _pairs(_copies(clean, rng)), _before_launch(crowd, week, clean, rng)]
    doubled = _copies(clean, rng)
    kinds = [kind for kind, part in zip(KINDS, [*fresh, doubled], strict=True) for _ in range(len(part))]
    first = clean.number[0] + _DIRTY_POSTS
    return joined([_renumbered(joined(fresh), first), doubled]), kinds


def _copies(clean: Shown, rng: Generator) -> Shown:
    """Posts drawn without replacement, so that no key is there three times."""
    count = min(int(rng.poisson(len(clean) * _SHARE)), len(clean))
    return clean.take(rng.choice(len(clean), count, replace=False))


def _pairs(posts: Shown) -> Shown:
    """Each post twice; `_renumbered` makes reshares of each other of them."""
    both = posts.take(np.repeat(np.arange(len(posts)), 2))
    return replace(both, parent=np.full(len(both), _EACH_OTHER))


_EACH_OTHER = -2


def _renumbered(posts: Shown, first: int) -> Shown:
    number = first + np.arange(len(posts))
    pairs = np.flatnonzero(posts.parent == _EACH_OTHER)
    parent = posts.parent.copy()
    parent[pairs] = number[pairs.reshape(-1, 2)[:, ::-1].ravel()]
    return replace(posts, number=number, parent=parent, picture=np.full(len(posts), NO_BURST))


def _before_launch(crowd: Crowd, week: int, clean: Shown, rng: Generator) -> Shown:
    catalogue = crowd.plan.catalogue
    launched = np.flatnonzero(catalogue.launch // WEEK == week)
    early = launched[rng.random(len(launched)) < _BEFORE_LAUNCH]
    posts = clean.take(rng.integers(0, len(clean), len(early)))
    hours = (catalogue.launch_us[early] * rng.random(len(early))).astype(np.int64)
    times = midnight(crowd.plan, 0) + catalogue.launch[early] * US_PER_DAY + hours
    return replace(posts, product=early, posted_at=times, parent=np.full(len(early), ROOT))
