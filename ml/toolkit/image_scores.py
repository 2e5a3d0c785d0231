"""How much a product looks like those that people show: one number an image, learnt from what was featured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ml.toolkit.images import Encoder, encoded, encoder
from ml.toolkit.positive_unlabelled import LEAST, Points, Recipe, cross_fitted, fit

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def image_scores(
    catalogue: Sequence[str | None],
    featured: Sequence[str | None],
    owner: Ints,
    *,
    by: str | Encoder = "colour_texture",
    recipe: Recipe | None = None,
) -> Floats:
    """Score of each product's image (0 to 1), NaN without one, or with too few featured images to learn from.

    `catalogue` holds one image URI a product: the unlabelled. `featured` are images that people posted of products:
    the positives; `owner` is the position of each one's product in the catalogue. A product is scored by classifiers
    that have seen neither its own image nor what was posted of it, so that the score says how it looks, not that it
    was featured. For scores as of a date give only what was posted before it.
    """
    chosen = encoder(by) if isinstance(by, str) else by
    return scores_of_points(encoded(catalogue, chosen), encoded(featured, chosen), owner, recipe=recipe)


def scores_of_points(
    catalogue: Points,
    featured: Points,
    owner: Ints,
    *,
    known: Flags | None = None,
    recipe: Recipe | None = None,
) -> Floats:
    """`image_scores` of images that are encoded already (n x dimensions; rows of NaN: no image).

    Only `known` products are learnt from (default: all); the others get a score all the same. An `owner` of -1 is a
    product that is not in the catalogue.
    """
    scores = np.full(len(catalogue), np.nan)
    if not catalogue.shape[1] or not featured.shape[1]:
        return scores
    whole, shown = ~np.isnan(catalogue).any(axis=1), ~np.isnan(featured).any(axis=1)
    learnt = whole if known is None else whole & known
    rows, late = np.flatnonzero(learnt), np.flatnonzero(whole & ~learnt)
    points = np.concatenate([catalogue[rows], featured[shown]])
    positive = np.arange(len(points)) >= len(rows)
    group = np.concatenate([np.arange(len(rows)), _places(owner[shown], rows)])
    scores[rows] = cross_fitted(points, positive, group, recipe)[: len(rows)]
    if len(late) and min(len(rows), int(shown.sum())) >= LEAST:
        scores[late] = fit(points, positive, recipe).score(catalogue[late])
    return scores


def _places(owner: Ints, rows: Ints) -> Ints:
    """Where each owner is among `rows`; owners that are not have groups of their own after them."""
    place = np.searchsorted(rows, owner)
    there = (
        (place < len(rows)) & (rows[np.minimum(place, len(rows) - 1)] == owner) if len(rows) else owner < 0
    )
    return np.where(there, place, len(rows) + np.arange(len(owner)))
