"""How much a product looks like those that people show: one number an image, learnt from what was featured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ml.toolkit.images import Encoder, encoded, encoder
from ml.toolkit.positive_unlabelled import Recipe, cross_fitted

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


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
    catalogue: Floats, featured: Floats, owner: Ints, *, recipe: Recipe | None = None
) -> Floats:
    """`image_scores` of images that are encoded already (n x dimensions; rows of NaN: no image)."""
    scores = np.full(len(catalogue), np.nan)
    if not catalogue.shape[1] or not featured.shape[1]:
        return scores
    whole, shown = ~np.isnan(catalogue).any(axis=1), ~np.isnan(featured).any(axis=1)
    rows = np.flatnonzero(whole)
    points = np.concatenate([catalogue[rows], featured[shown]])
    positive = np.arange(len(points)) >= len(rows)
    found = cross_fitted(points, positive, np.concatenate([rows, owner[shown]]), recipe)
    scores[rows] = found[: len(rows)]
    return scores
