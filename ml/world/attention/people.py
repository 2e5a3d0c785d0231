"""Creators: whom they reach, what they like, and how well they choose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from ml.world.arrays import Floats, Ints
from ml.world.seeds import Stream, generator
from ml.world.words import CATEGORIES

_TAIL = 1.15  # exponent of the Pareto tail of the followers
_MOST_FOLLOWERS = 80_000_000
_LOYAL = 0.7  # share of reshares that stay among those who like the category


@dataclass(frozen=True, slots=True)
class People:
    """One entry a creator in every array, by favourite category and then by nose.

    `number` is the creator's number in public, `nose` (standard normal) tells what will spread, `skill` makes what a
    creator starts spread, `reach` is the relative number of reshares that a post of theirs draws. The `_odds` are
    running sums of how often a creator reshares, starts a cascade, or is asked to take part in a burst.
    """

    number: Ints
    category: Ints
    nose: Floats
    skill: Floats
    followers: Ints
    reach: Floats
    reshare_odds: Floats
    root_odds: Floats
    star_odds: Floats
    bounds: Floats

    def __len__(self) -> int:
        return len(self.number)

    def roots(self, n: int, rng: Generator) -> Ints:
        """Who starts cascades on an ordinary day."""
        return _drawn(self.root_odds, rng.random(n) * self.root_odds[-1])

    def stars(self, n: int, rng: Generator) -> Ints:
        """Who starts the cascades of a burst: mostly those with many followers."""
        return _drawn(self.star_odds, rng.random(n) * self.star_odds[-1])

    def resharers(self, category: Ints, tilt: Floats, rng: Generator) -> Ints:
        """Who reshares: mostly lovers of the category; what will spread (`tilt` above 0) finds the better noses."""
        n = len(category)
        strayed = rng.integers(0, len(CATEGORIES), n)
        crowd = np.where(rng.random(n) < _LOYAL, category, strayed)
        quantile = rng.random(n) ** np.exp(-tilt)
        low, high = self.bounds[crowd], self.bounds[crowd + 1]
        return _drawn(self.reshare_odds, low + (high - low) * quantile)


def _drawn(odds: Floats, at: Floats) -> Ints:
    return np.minimum(np.searchsorted(odds, at, side="right"), len(odds) - 1)


def people(seed: int, n: int) -> People:
    """Draw the creators of a world."""
    rng = generator(seed, Stream.CREATORS)
    shares = np.array([c.share for c in CATEGORIES])
    category = np.sort(rng.choice(len(CATEGORIES), n, p=shares / shares.sum()))
    nose = rng.normal(size=n)
    nose = nose[np.lexsort((nose, category))]
    followers = np.minimum(60 * rng.random(n) ** (-1 / _TAIL), _MOST_FOLLOWERS).astype(np.int64)
    busy = rng.gamma(0.7, size=n) + 0.05
    reshare_odds = np.cumsum(busy)
    drawing = np.minimum(followers**0.3, 40.0 * np.median(followers) ** 0.3)
    return People(
        number=rng.permutation(n),
        category=category.astype(np.int64),
        nose=nose,
        skill=0.6 * nose + 0.8 * rng.normal(size=n),
        followers=followers,
        reach=drawing / np.average(drawing, weights=busy),
        reshare_odds=reshare_odds,
        root_odds=np.cumsum(busy * followers**0.3),
        star_odds=np.cumsum(busy * followers**0.8),
        bounds=np.concatenate([[0.0], reshare_odds])[
            np.searchsorted(category, np.arange(len(CATEGORIES) + 1))
        ],
    )
