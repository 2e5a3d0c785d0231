"""The true grade of every product for a query: 3 exact, 2 a substitute, 1 akin, 0 irrelevant."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ml.world.arrays import Flags, Ints
from ml.world.catalogue import NO_TRAIT, Catalogue
from ml.world.search.queries import TRAITS, Queries, trait_of

Grades = npt.NDArray[np.int8]


def grades(catalogue: Catalogue, queries: Queries, some: slice) -> Grades:
    """Grades of all products (columns) for some of the queries (rows).

    A product of the kind that is asked for is exact with every trait asked for, a substitute without one of them, akin
    without two. A product of a neighbouring kind (nouns stand in pairs) is akin if it has all traits but one.
    """
    missing = _missing(catalogue, queries, some)
    same, near = _kinds(catalogue, queries, some)
    return np.where(same, 3 - np.minimum(missing, 2), np.where(near & (missing <= 1), 1, 0)).astype(np.int8)


def _missing(catalogue: Catalogue, queries: Queries, some: slice) -> Grades:
    """How many of the traits asked for each product lacks."""
    asked = queries.asked[:, some]
    total: Grades = np.zeros((asked.shape[1], len(catalogue)), dtype=np.int8)
    for row, trait in zip(asked, TRAITS, strict=True):
        asking = np.flatnonzero(row != NO_TRAIT)
        total[asking] += row[asking, None] != trait_of(catalogue, trait)
    return total


def _kinds(catalogue: Catalogue, queries: Queries, some: slice) -> tuple[Flags, Flags]:
    """Whether each product is of the kind that is asked for, and whether of a neighbouring one.

    A query for presents asks for no kind: whatever is made for the occasion will do, and nothing else is akin.
    """
    category, noun = queries.category[some, None], queries.noun[some, None]
    shelf = category == catalogue.category
    whole_shelf = noun == NO_TRAIT
    same = shelf & (whole_shelf | (noun == catalogue.traits.noun))
    near = shelf & (noun // 2 == catalogue.traits.noun // 2)
    presents = (category == NO_TRAIT) & _has_occasion(catalogue, queries, some)
    return same | presents, near & ~same


def _has_occasion(catalogue: Catalogue, queries: Queries, some: slice) -> Flags:
    asked: Ints = queries.asked[TRAITS.index("occasion"), some, None]
    found: Flags = asked == catalogue.occasion
    return found
