"""The products of a world: what they are called, what they cost, and the hidden parameters of their demand.

Everything is drawn once for the whole capacity of a world, from the seed and the size alone: a world that is continued
to a later day has the same products with the same parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from ml.world.arrays import US_PER_SECOND, Flags, Floats, Ints
from ml.world.calendar import RULES
from ml.world.seeds import Stream, generator
from ml.world.sizes import CAPACITY, Size
from ml.world.words import BRANDS, CATEGORIES, COLOURS, MATERIALS, STYLES

NEVER = 1 << 30
ALWAYS = -1
NO_OCCASION = -1
NO_TRAIT = -1
DAYS_PER_PRICE = 91
BULK_SHARE = 0.002
BULK_UNITS = (12, 61)  # drawn from [low, high)
_SET_SIZE = 6  # products that are bought together
_WORD_SPOKEN = 0.8  # share of the products made for an occasion whose title says so
_WORD_DECOY = 0.02  # share of the others whose title says so all the same


@dataclass(frozen=True, slots=True)
class Traits:
    """One entry a product: places in the lists of `words` (the noun's in those of its category); NO_TRAIT for none."""

    style: Ints
    material: Ints
    noun: Ints
    colour: Ints
    brand: Ints


@dataclass(frozen=True, slots=True)
class Catalogue:
    """One entry a product in every array; days count from the first day of the world.

    `rate` is the relative number of order lines a day, `spread` sets the units of a line (see `units_per_line`),
    `dispersion` is the shape of the gamma that mixes the Poisson, `active` the share of days with any demand.
    Products of one `goes_with` are bought together; `traits` are what the title says, as numbers.
    `log_price` (product x quarter) and `log_drift` (product x week) are walks; `log_lift` is rule x product.
    """

    category: Ints
    occasion: Ints
    titles: tuple[str, ...]
    descriptions: tuple[str | None, ...]
    brands: tuple[str | None, ...]
    traits: Traits
    goes_with: Ints
    launch: Ints
    launch_us: Ints
    last: Ints
    rate: Floats
    spread: Floats
    dispersion: Floats
    active: Floats
    elasticity: Floats
    returned: Floats
    price: Floats
    log_price: Floats
    log_drift: Floats
    log_lift: Floats

    def __len__(self) -> int:
        return len(self.category)

    def on_sale(self, day: int) -> Flags:
        """Which products are sold on this day: from the day after the launch to the last day."""
        sold: Flags = (self.launch < day) & (day <= self.last)
        return sold

    def list_price(self, day: int) -> Floats:
        """List price on this day, in cents' precision."""
        factor = np.exp(self.log_price[:, day // DAYS_PER_PRICE])
        prices: Floats = np.maximum(np.round(self.price * factor, 2), 0.25)
        return prices

    def units_per_line(self) -> Floats:
        """Mean units of one line: 1 + a geometric number, or (with the share of bulk orders) many."""
        usual = 1.0 + 1.0 / np.expm1(1.0 / self.spread)
        bulk = (BULK_UNITS[0] + BULK_UNITS[1] - 1) / 2
        mean: Floats = (1 - BULK_SHARE) * usual + BULK_SHARE * bulk
        return mean


def build(size: Size, seed: int) -> Catalogue:
    """Draw the catalogue of a world."""
    rng = generator(seed, Stream.CATALOGUE)
    launch = _launches(size, rng)
    n = len(launch)
    category = _categories(n, rng)
    occasion = _occasions(category, rng)
    rolls, titles, descriptions = _texts(category, occasion, generator(seed, Stream.TEXT))
    traits = _traits(rolls)
    rate = rng.lognormal(0.0, 1.1, n)
    return Catalogue(
        category=category,
        occasion=occasion,
        titles=titles,
        descriptions=descriptions,
        brands=tuple(None if brand == NO_TRAIT else BRANDS[brand] for brand in traits.brand.tolist()),
        traits=traits,
        goes_with=generator(seed, Stream.SETS).permutation(n) // _SET_SIZE,
        launch=launch,
        launch_us=rng.integers(6 * 3600, 12 * 3600, n) * US_PER_SECOND,
        last=_last_days(launch, size, rng),
        rate=rate,
        spread=rng.uniform(0.25, 1.3, n),
        dispersion=rng.uniform(2.0, 10.0, n),
        active=np.clip(rng.uniform(0.45, 1.0, n) * (0.7 + 0.3 * rate), 0.35, 1.0),
        elasticity=-rng.uniform(0.8, 2.4, n),
        returned=np.array([c.returned for c in CATEGORIES])[category] * rng.uniform(0.6, 1.4, n),
        price=np.array([c.price for c in CATEGORIES])[category] * rng.lognormal(0.0, 0.45, n),
        log_price=_price_walk(n, size, generator(seed, Stream.PRICES)),
        log_drift=_drift(n, size, generator(seed, Stream.DRIFT)),
        log_lift=_lifts(category, occasion, generator(seed, Stream.AFFINITY)),
    )


def _launches(size: Size, rng: Generator) -> Ints:
    """Three in four products are there from the start; the others arrive evenly, beyond the nominal days too."""
    first = round(size.products * 0.78)
    later = round(size.products * 0.22 * CAPACITY)
    days = rng.integers(10, size.capacity_days, later)
    known = np.where(rng.random(first) < 0.5, ALWAYS, -rng.integers(30, 900, first))
    return np.concatenate([known, np.sort(days)])


def _last_days(launch: Ints, size: Size, rng: Generator) -> Ints:
    ends = np.maximum(launch, 0) + rng.integers(120, 2 * size.days, len(launch))
    return np.where(rng.random(len(launch)) < 0.2, ends, NEVER)


def _categories(n: int, rng: Generator) -> Ints:
    shares = np.array([c.share for c in CATEGORIES])
    return rng.choice(len(CATEGORIES), n, p=shares / shares.sum()).astype(np.int64)


def _occasions(category: Ints, rng: Generator) -> Ints:
    """The occasion that a product is made for (number of its rule), or NO_OCCASION."""
    names = [c.name for c in CATEGORIES]
    shares = np.array([[rule.themed.get(name, 0.0) for rule in RULES] for name in names])
    drawn = (rng.random(len(category))[:, None] >= shares.cumsum(axis=1)[category]).sum(axis=1)
    return np.where(drawn == len(RULES), NO_OCCASION, drawn).astype(np.int64)


def _lifts(category: Ints, occasion: Ints, rng: Generator) -> Floats:
    """Logarithm of each product's lift at the height of each occasion (rule x product)."""
    n = len(category)
    lifts = np.empty((len(RULES), n))
    for index, rule in enumerate(RULES):
        other = 1.0 if rule.category else rule.store
        usual = np.log([rule.lifts.get(c.name, other) for c in CATEGORIES])[category]
        special = np.log(rng.uniform(3.0, 6.0, n))
        lifts[index] = np.where(
            occasion == index, np.maximum(special, usual), usual * rng.uniform(0.6, 1.4, n)
        )
    return lifts


def _price_walk(n: int, size: Size, rng: Generator) -> Floats:
    quarters = size.capacity_days // DAYS_PER_PRICE + 2
    steps = rng.normal(0.008, 0.07, (n, quarters)) * (rng.random((n, quarters)) < 0.35)
    steps[:, 0] = 0.0
    return np.asarray(steps.cumsum(axis=1))


def _drift(n: int, size: Size, rng: Generator) -> Floats:
    weeks = size.capacity_days // 7 + 2
    walk = (rng.standard_normal((n, weeks), dtype=np.float32) * 0.03).cumsum(axis=1)
    return np.asarray(walk - 0.5 * 0.03**2 * np.arange(weeks, dtype=np.float32))


def _texts(
    category: Ints, occasion: Ints, rng: Generator
) -> tuple[Ints, tuple[str, ...], tuple[str | None, ...]]:
    """Rolls of the dice (six a product), and the titles and descriptions made of them."""
    spoken = _spoken_occasions(occasion, rng)
    rolls = rng.integers(0, 1 << 30, (len(category), 6))
    thrown = rolls.tolist()
    titles = tuple(map(_title, category.tolist(), spoken.tolist(), thrown))
    return rolls, titles, tuple(map(_description, category.tolist(), occasion.tolist(), thrown))


def _traits(rolls: Ints) -> Traits:
    """What `_title` makes of the rolls, and the brands."""
    style, material, noun, _, colour, brand = rolls.T
    return Traits(
        style=style % len(STYLES),
        material=np.where(material % 3 > 0, material % len(MATERIALS), NO_TRAIT),
        noun=noun % len(CATEGORIES[0].nouns),
        colour=colour % len(COLOURS),
        brand=np.where(brand % 10 > 0, brand % len(BRANDS), NO_TRAIT),
    )


def _spoken_occasions(occasion: Ints, rng: Generator) -> Ints:
    n = len(occasion)
    told = np.where(rng.random(n) < _WORD_SPOKEN, occasion, NO_OCCASION)
    worded = np.flatnonzero([bool(rule.words) for rule in RULES])
    decoys = (occasion == NO_OCCASION) & (rng.random(n) < _WORD_DECOY)
    return np.where(decoys, rng.choice(worded, n), told).astype(np.int64)


def _title(category: int, spoken: int, roll: list[int]) -> str:
    nouns = CATEGORIES[category].nouns
    words = [STYLES[roll[0] % len(STYLES)], nouns[roll[2] % len(nouns)]]
    if roll[1] % 3:
        words.insert(1, MATERIALS[roll[1] % len(MATERIALS)])
    if spoken != NO_OCCASION:
        choices = RULES[spoken].words
        words.insert(0, choices[roll[3] % len(choices)])
    return f"{' '.join(words)} {COLOURS[roll[4] % len(COLOURS)]}"


def _description(category: int, occasion: int, roll: list[int]) -> str | None:
    if roll[1] % 12 == 0:
        return None
    start = f"{STYLES[roll[0] % len(STYLES)]} design from our {CATEGORIES[category].name.lower()} range."
    if occasion == NO_OCCASION or roll[3] % 2:
        return start
    return f"{start} {RULES[occasion].hints[0]}"
