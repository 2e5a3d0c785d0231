"""Bursts: days on which many creators show one product, planned before the first order, since some lift demand.

The logarithm of the demand of a burst's product rises by `amplitude` x s((day - start - lag + 1) / width), where
s(x) = x exp(1 - x) for x > 0: nothing before the lag, the height after `width` more days, then a fading. A placebo has
an amplitude of zero, and posts like those of the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from ml.world.arrays import Floats, Ints
from ml.world.attention.appeal import appeal_of
from ml.world.catalogue import Catalogue
from ml.world.seeds import Stream, generator
from ml.world.sizes import Size

_PER_PRODUCT = 0.8  # bursts over the nominal days
_LONGEST = 40  # days after which a burst lifts nothing any more
_USUAL_POSTS = 130.0  # posts a product at which a burst has its usual number of roots
_HEIGHT = 0.8  # usual logarithm of the lift


@dataclass(frozen=True, slots=True)
class Bursts:
    """One entry a burst, by first day; days count from the first day of the world.

    `roots` posts start it, `heat` is its standardised size.
    """

    product: Ints
    start: Ints
    lag: Ints
    width: Floats
    amplitude: Floats
    heat: Floats
    roots: Ints

    def __len__(self) -> int:
        return len(self.product)

    def take(self, rows: Ints) -> Bursts:
        """Some of the bursts."""
        return Bursts(*(getattr(self, name)[rows] for name in self.__slots__))

    def lasting(self, day: int) -> Ints:
        """Positions of the bursts that lift demand on this day."""
        since = day - self.start - self.lag
        return np.flatnonzero((since >= 0) & (since < _LONGEST) & (self.amplitude > 0))

    def log_lift(self, day: int, products: int) -> Floats:
        """What the bursts add to the logarithm of each product's demand on this day."""
        total = np.zeros(products)
        lasting = self.lasting(day)
        passed = (day - self.start[lasting] - self.lag[lasting] + 1) / self.width[lasting]
        np.add.at(total, self.product[lasting], self.amplitude[lasting] * passed * np.exp(1 - passed))
        return total


def plan(catalogue: Catalogue, size: Size, seed: int) -> Bursts:
    """The bursts of the whole capacity of a world: of appealing products more often, and those lift more often."""
    rng = generator(seed, Stream.BURSTS)
    appeal = appeal_of(seed, len(catalogue))
    drawn = round(size.products * _PER_PRODUCT * size.capacity_days / size.days)
    start = np.sort(rng.integers(1, size.capacity_days, drawn))
    liked = np.exp(0.8 * appeal)
    product = rng.choice(len(catalogue), drawn, p=liked / liked.sum())
    sold = (catalogue.launch[product] < start) & (start <= catalogue.last[product])
    return _bursts(product[sold], start[sold], appeal, size, rng)


def _bursts(product: Ints, start: Ints, appeal: Floats, size: Size, rng: Generator) -> Bursts:
    n = len(product)
    heat = rng.normal(size=n)
    lifting = rng.random(n) < 1 / (1 + np.exp(0.2 - 0.9 * appeal[product]))
    height = _HEIGHT * np.exp(0.35 * heat + rng.normal(0.0, 0.15, n))
    crowd = size.posts / (size.products * _USUAL_POSTS)
    return Bursts(
        product=product,
        start=start,
        lag=rng.integers(1, 5, n),
        width=rng.uniform(2.0, 4.0, n),
        amplitude=np.where(lifting, height, 0.0),
        heat=heat,
        roots=2 + rng.poisson(2.2 * crowd * np.exp(0.5 * heat)),
    )
