"""Self-exciting cascades, one week of roots at a time: a post draws reshares, each of which is a post.

Post i of cascade c draws Poisson(branching(c) x reach(creator of i)) direct reshares; reach is 1 on average over
those who reshare, so `branching` is the mean number of reshares of a reshare (Hawkes 1971; marks as in Zhao et al.
2015, SEISMIC). Delays follow a power law cut off at `_LONGEST_DELAY` days, on a clock that runs with the platform's
day: slowly at night. A reshare later than `_LONGEST_LIFE` days after the root never happens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from ml.world.arrays import US_PER_DAY, US_PER_SECOND, Floats, Ints
from ml.world.attention.appeal import appeal_of
from ml.world.attention.bursts import Bursts
from ml.world.attention.people import People, people
from ml.world.blueprint import Blueprint
from ml.world.orders import midnight
from ml.world.seeds import Stream, generator
from ml.world.words import CATEGORIES

ROOT = -1
NO_BURST = -1
POSTS_PER_DAY = (
    10_000_000  # the numbers of the posts of a week's cascades begin at its first day's multiple of this
)
WEEK = 7
_EPOCH_DAY = 16436  # 2015-01-01, from which the days in post numbers count
_LONGEST_DELAY = 10.0
_LONGEST_LIFE = 21.0
_TAIL = 0.9  # exponent of the power law of delays
_MOST_BRANCHING = 0.92
_STRAYING = 0.25  # share of roots outside the creator's favourite category
_WEEKDAY = np.array([0.95, 0.95, 0.97, 1.0, 1.03, 1.08, 1.02])


@dataclass(frozen=True, slots=True)
class Platform:
    """Where people post; `pace` (days) scales delays, `first_hour` shifts its day, `draw` adds to log-odds."""

    name: str
    share: float
    pace: float
    first_hour: int
    draw: float


PLATFORMS: tuple[Platform, ...] = (
    Platform("clips", 0.5, 0.02, 0, 0.25),
    Platform("photos", 0.3, 0.08, 2, 0.0),
    Platform("threads", 0.2, 0.3, -3, -0.4),
)
_HOURLY = np.array([3, 2, 1, 1, 1, 2, 4, 7, 9, 9, 9, 10, 12, 11, 10, 10, 11, 13, 16, 19, 22, 21, 15, 7])
_SHARES = np.cumsum([platform.share for platform in PLATFORMS])
_PACE = np.array([platform.pace for platform in PLATFORMS])
_DRAW = np.array([platform.draw for platform in PLATFORMS])


@dataclass(frozen=True, slots=True)
class Roots:
    """One entry a cascade; `at` in days of the world, `burst` is a position in the bursts or NO_BURST."""

    product: Ints
    creator: Ints
    platform: Ints
    at: Floats
    burst: Ints
    branching: Floats

    def __len__(self) -> int:
        return len(self.product)


@dataclass(frozen=True, slots=True)
class Posts:
    """One entry a post of a week's cascades, in order of time; `parent` is a position, `posted_at` in microseconds.

    Cascades are complete, beyond the world's end too.
    """

    cascade: Ints
    creator: Ints
    parent: Ints
    posted_at: Ints
    number: Ints

    def __len__(self) -> int:
        return len(self.cascade)


@dataclass(frozen=True, slots=True)
class Crowd:
    """What a world's posts depend on beside its blueprint; `liking` orders the products of each category."""

    plan: Blueprint
    people: People
    appeal: Floats
    liking: Ints
    roots_per_day: float


def crowd_of(plan: Blueprint) -> Crowd:
    """Settle who posts in a world, and how often."""
    catalogue = plan.catalogue
    appeal = appeal_of(plan.seed, len(catalogue))
    liked = appeal + generator(plan.seed, Stream.POST_VOLUME, 1).normal(size=len(catalogue))
    order = np.lexsort((liked, catalogue.category))
    crowd = Crowd(plan, people(plan.seed, plan.size.creators), appeal, order, 1.0)
    return replace(crowd, roots_per_day=_roots_per_day(crowd))


def _roots_per_day(crowd: Crowd) -> float:
    """What brings the expected number of posts over the size's own days, those of bursts included, to the size's."""
    size, rng = crowd.plan.size, generator(crowd.plan.seed, Stream.POST_VOLUME)
    bursts = crowd.plan.conditions.bursts
    inside = bursts.take(np.flatnonzero(bursts.start < size.days))
    usual = _posts_of(crowd, _ordinary_roots(crowd, np.zeros(4_000), 0, rng)).mean()
    starred = inside.take(np.repeat(np.arange(len(inside)), np.minimum(inside.roots, 10)))
    famous = _posts_of(crowd, _burst_roots(crowd, starred, np.arange(len(starred)), rng)).mean()
    return float(max((size.posts - famous * inside.roots.sum()) / (usual * size.days), 0.1))


def _posts_of(crowd: Crowd, roots: Roots) -> Floats:
    """Expected size of each cascade, were there no longest life."""
    drawn: Floats = 1 + roots.branching * crowd.people.reach[roots.creator] / (1 - roots.branching)
    return drawn


def cascades_of(crowd: Crowd, week: int) -> tuple[Roots, Posts]:
    """The cascades of one week of the world, whole: those of its days, and those of the bursts that begin in it."""
    first = week * WEEK
    rng = generator(crowd.plan.seed, Stream.POSTS, crowd.plan.date_of(first).toordinal())
    weekdays = (crowd.plan.date_of(first).weekday() + np.arange(WEEK)) % 7
    counts = rng.poisson(crowd.roots_per_day * _WEEKDAY[weekdays])
    usual = _ordinary_roots(crowd, np.repeat(first + np.arange(WEEK), counts), first, rng)
    bursts = crowd.plan.conditions.bursts
    begun = np.flatnonzero((bursts.start >= first) & (bursts.start < first + WEEK))
    begun = np.repeat(begun, bursts.roots[begun])
    roots = _joined(usual, _burst_roots(crowd, bursts.take(begun), begun, rng))
    return roots, _spread(crowd, first, roots, rng)


def _ordinary_roots(crowd: Crowd, day: Ints | Floats, first: int, rng: Generator) -> Roots:
    creator = crowd.people.roots(len(day), rng)
    product = _products(crowd, first, creator, rng)
    shown = np.flatnonzero(product >= 0)
    burst = np.full(len(shown), NO_BURST)
    return _roots(crowd, day[shown] + rng.random(len(shown)), product[shown], creator[shown], burst, rng)


def _burst_roots(crowd: Crowd, bursts: Bursts, position: Ints, rng: Generator) -> Roots:
    """Most of a burst's roots come on its first day, the last ones on its third."""
    at = bursts.start + 3 * rng.random(len(bursts)) ** 1.7
    return _roots(crowd, at, bursts.product, crowd.people.stars(len(bursts), rng), position, rng)


def _products(crowd: Crowd, first: int, creator: Ints, rng: Generator) -> Ints:
    """What each of them shows: mostly of their favourite category, the better liked the better their nose; or -1."""
    catalogue = crowd.plan.catalogue
    sold = catalogue.on_sale(first) & catalogue.on_sale(first + WEEK - 1)
    shelf = crowd.liking[sold[crowd.liking]]
    bounds = np.searchsorted(catalogue.category[shelf], np.arange(len(CATEGORIES) + 1))
    strayed = rng.random(len(creator)) < _STRAYING
    category = np.where(
        strayed, rng.integers(0, len(CATEGORIES), len(creator)), crowd.people.category[creator]
    )
    quantile = rng.random(len(creator)) ** np.exp(-0.3 - 0.5 * crowd.people.nose[creator])
    low, high = bounds[category], bounds[category + 1]
    at = low + np.floor((high - low) * quantile).astype(np.int64)
    if not len(shelf):
        return np.full(len(creator), -1)
    return np.where(high > low, shelf[np.minimum(at, len(shelf) - 1)], -1)


def _roots(crowd: Crowd, at: Floats, product: Ints, creator: Ints, burst: Ints, rng: Generator) -> Roots:
    n = len(product)
    platform = np.searchsorted(_SHARES, rng.random(n), side="right").clip(max=len(PLATFORMS) - 1)
    luck = 0.6 * rng.normal(size=n) + 0.7 * (burst != NO_BURST)
    odds = 0.8 * crowd.appeal[product] + 0.5 * crowd.people.skill[creator] + _DRAW[platform] + luck - 0.2
    return Roots(
        product=product,
        creator=creator,
        platform=platform,
        at=_wall(platform, at),
        burst=burst,
        branching=_MOST_BRANCHING / (1 + np.exp(-odds)),
    )


def _joined(first: Roots, second: Roots) -> Roots:
    both = (np.concatenate([getattr(first, name), getattr(second, name)]) for name in Roots.__slots__)
    return Roots(*both)


def _spread(crowd: Crowd, first_day: int, roots: Roots, rng: Generator) -> Posts:
    """All posts of the roots' cascades, generation by generation, then put in order of time."""
    tilt = 0.45 * (roots.branching / _MOST_BRANCHING - 0.5) * 4
    cascade, creator, at = np.arange(len(roots)), roots.creator, roots.at
    parent = np.full(len(roots), ROOT)
    born = [(cascade, creator, parent, at)]
    first = 0
    while len(cascade):
        drawn = rng.poisson(roots.branching[cascade] * crowd.people.reach[creator])
        source = np.repeat(np.arange(len(cascade)), drawn)
        late = _later(roots.platform[cascade[source]], at[source], rng)
        kept = late < roots.at[cascade[source]] + _LONGEST_LIFE
        source, late = source[kept], late[kept]
        parent, first = first + source, first + len(cascade)
        cascade, at = cascade[source], late
        category = crowd.plan.catalogue.category[roots.product[cascade]]
        creator = crowd.people.resharers(category, tilt[cascade], rng)
        born.append((cascade, creator, parent, at))
    return _in_order(crowd, first_day, *(np.concatenate(parts) for parts in zip(*born, strict=True)))


def _in_order(crowd: Crowd, first_day: int, cascade: Ints, creator: Ints, parent: Ints, at: Floats) -> Posts:
    """By time, numbered so; a reshare is at least a second after what it reshares."""
    seconds = np.floor(at * 86_400).astype(np.int64)
    order = np.lexsort((np.arange(len(at)), seconds))
    place = np.empty(len(at), dtype=np.int64)
    place[order] = np.arange(len(at))
    parents = np.where(parent[order] == ROOT, ROOT, place[parent[order]])
    start = midnight(crowd.plan, 0)
    first = ((start + first_day * US_PER_DAY) // US_PER_DAY - _EPOCH_DAY) * POSTS_PER_DAY
    return Posts(
        cascade=cascade[order],
        creator=creator[order],
        parent=parents,
        posted_at=start + seconds[order] * US_PER_SECOND,
        number=first + np.arange(len(at)),
    )


def _later(platform: Ints, at: Floats, rng: Generator) -> Floats:
    """The time of a reshare of a post of this time: a cut-off Lomax delay on the platform's own clock."""
    pace = _PACE[platform]
    most = 1 - (1 + _LONGEST_DELAY / pace) ** -_TAIL
    delay = pace * ((1 - most * rng.random(len(at))) ** (-1 / _TAIL) - 1)
    return np.maximum(_wall(platform, _clock(platform, at) + delay), at + 2 / 86_400)


def _profile(platform: Platform) -> Floats:
    """Share of the platform's day that has passed at each full hour, 0 to 24."""
    hours = np.roll(_HOURLY, platform.first_hour)
    return np.concatenate([[0.0], np.cumsum(hours) / hours.sum()])


_PROFILES = np.stack([_profile(platform) for platform in PLATFORMS])
_HOURS = np.arange(25) / 24


def _clock(platform: Ints, at: Floats) -> Floats:
    """Days on the wall to days on the platforms' clocks."""
    return _mapped(platform, at, lambda part, profile: np.interp(part, _HOURS, profile))


def _wall(platform: Ints, at: Floats) -> Floats:
    """Days on the platforms' clocks to days on the wall."""
    return _mapped(platform, at, lambda part, profile: np.interp(part, profile, _HOURS))


def _mapped(platform: Ints, at: Floats, read: Callable[[Floats, Floats], Floats]) -> Floats:
    whole = np.floor(at)
    mapped = np.empty(len(at))
    for number, profile in enumerate(_PROFILES):
        here = platform == number
        mapped[here] = read((at - whole)[here], profile)
    return whole + mapped
