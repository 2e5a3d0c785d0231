"""Which products the shop may show for a query, and how they relate to what is relevant.

The relevant ones come first; the others are there for a reason that customers see and annotators do not: they are
bought with a relevant product, they are described like one, or they are popular.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from ml.world.arrays import Flags, Floats, Ints
from ml.world.catalogue import Catalogue
from ml.world.search.queries import Queries
from ml.world.search.relevance import Grades, grades
from ml.world.seeds import Stream, generator

RELEVANT, OTHERS = 26, 22
_QUERIES_AT_ONCE = 256
_EXACT = 3
_CORE = 4  # the most popular exact products: those that "bought with" and "described like" refer to
_CHEAPER_AT_MOST = 1.2


@dataclass(frozen=True, slots=True)
class Candidates:
    """Query x place arrays: the product, its grade, whether the place is taken, and three relations to the relevant.

    `cheaper` is log(median price of the candidates graded 2 or 3 / price), within +-1.2; `together` is 1 where the
    product is bought with one of the query's most popular exact products, `alike` where it is of another kind but has
    style and category of one of them; both are 0 for relevant products.
    """

    product: Ints
    grade: Grades
    taken: Flags
    cheaper: Floats
    together: Floats
    alike: Floats


def popularity(catalogue: Catalogue) -> Floats:
    """Standardised logarithm of each product's rate of sale."""
    return np.asarray(np.log(catalogue.rate) / 1.1)


def find_candidates(catalogue: Catalogue, queries: Queries, seed: int) -> Candidates:
    """The candidates of every query, in blocks of bounded memory."""
    rng = generator(seed, Stream.WANTS, 0)
    starts = range(0, len(queries), _QUERIES_AT_ONCE)
    blocks = [_block(catalogue, queries, slice(s, s + _QUERIES_AT_ONCE), rng) for s in starts]
    return Candidates(
        *(np.concatenate([getattr(block, name) for block in blocks]) for name in Candidates.__slots__)
    )


def _block(catalogue: Catalogue, queries: Queries, some: slice, rng: Generator) -> Candidates:
    grade = grades(catalogue, queries, some)
    known = popularity(catalogue).astype(np.float32)
    noise = rng.standard_normal(grade.shape, dtype=np.float32)
    core = _best(np.where(grade == _EXACT, known, -np.inf), _CORE)
    together, alike = _relations(catalogue, core, grade)
    first = _best(np.where(grade > 0, grade + 0.5 * known + noise, -np.inf), RELEVANT)
    then = _best(np.where(grade == 0, 4 * together + 2 * alike + known + noise, -np.inf), OTHERS)
    product = np.concatenate([first, then], axis=1)
    found = np.take_along_axis(grade, np.maximum(product, 0), axis=1)
    taken = product >= 0
    kept = (np.take_along_axis(values, np.maximum(product, 0), axis=1) for values in (together, alike))
    cheaper = _cheaper(catalogue.price[product], found, taken)
    return Candidates(product, found, taken, cheaper, *(np.asarray(k, dtype=np.float64) for k in kept))


def _best(key: Floats, number: int) -> Ints:
    """Columns of the largest keys of each row, in order of column; -1 where the key is -inf."""
    number = min(number, key.shape[1])
    place = np.sort(np.argpartition(-key, number - 1, axis=1)[:, :number], axis=1)
    return np.where(np.isfinite(np.take_along_axis(key, place, axis=1)), place, -1)


def _relations(catalogue: Catalogue, core: Ints, grade: Grades) -> tuple[Floats, Floats]:
    style = catalogue.category * 100 + catalogue.traits.style
    together, alike = np.zeros(grade.shape, np.float32), np.zeros(grade.shape, np.float32)
    for column in core.T:
        there = np.asarray(column >= 0)[:, None]
        together[there & (catalogue.goes_with == catalogue.goes_with[column, None])] = 1.0
        alike[there & (style == style[column, None])] = 1.0
    irrelevant = grade == 0
    return together * irrelevant, alike * irrelevant


def _cheaper(price: Floats, grade: Grades, taken: Flags) -> Floats:
    """Against the median of the relevant candidates; 0 for a query that has none."""
    relevant = np.where(taken & (grade >= 2), price, np.nan)
    some = np.asarray(np.isfinite(relevant).any(axis=1))
    usual = np.ones(len(price))
    usual[some] = np.nanmedian(relevant[some], axis=1)
    against = np.where(some[:, None], np.log(usual[:, None] / price), 0.0)
    return np.clip(against, -_CHEAPER_AT_MOST, _CHEAPER_AT_MOST)
