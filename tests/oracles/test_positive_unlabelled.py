"""Positive-unlabelled learning against worlds where the hidden positives are known."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from ml.toolkit.image_scores import scores_of_points
from ml.toolkit.images import ColourTexture
from ml.toolkit.positive_unlabelled import Recipe, class_prior, cross_fitted, fit, read, write

PUBLIC_DATA = Path(os.environ.get("BELLWETHER_PUBLIC_DATA", Path(__file__).parents[2] / "../shared/data"))


def cloud(prior: float, labelled: float, n: int = 4000, apart: float = 3.0, seed: int = 0):
    """Points of two Gaussian classes, `apart` standard deviations from each other; some positives are labelled."""
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < prior
    points = rng.normal(size=(n, 6)) + apart * np.outer(positive, [1, 0, 0, 0, 0, 0])
    return points, positive, positive & (rng.random(n) < labelled)


def test_hidden_positives_rank_as_the_best_classifier_ranks_them() -> None:
    """For two Gaussians the first coordinate is the Bayes ranking."""
    points, positive, labelled = cloud(0.3, 0.3, apart=1.5)
    scores = cross_fitted(points, labelled, np.arange(len(points)))
    best = roc_auc_score(positive[~labelled], points[~labelled, 0])
    assert roc_auc_score(positive[~labelled], scores[~labelled]) > best - 0.01


@pytest.mark.parametrize("prior", [0.1, 0.3, 0.6])
def test_the_share_of_positives_among_the_unlabelled_is_found(prior: float) -> None:
    points, positive, labelled = cloud(prior, 0.4, n=8000)
    scores = cross_fitted(points, labelled, np.arange(len(points)))
    found = class_prior(scores[labelled], scores[~labelled])
    assert found == pytest.approx(positive[~labelled].mean(), abs=0.06)


def test_where_nothing_tells_them_apart_everything_may_be_positive() -> None:
    points, _, labelled = cloud(0.3, 0.4, apart=0.0)
    scores = cross_fitted(points, labelled, np.arange(len(points)))
    assert class_prior(scores[labelled], scores[~labelled]) > 0.8


def test_a_score_does_not_know_its_own_label() -> None:
    """Labels at random: cross-fitted scores of the labelled are like those of the others; in-sample ones are not."""
    rng = np.random.default_rng(3)
    points, labelled = rng.normal(size=(400, 40)), rng.random(400) < 0.3
    crossed = cross_fitted(points, labelled, np.arange(400), Recipe(strength=1.0))
    inside = fit(points, labelled, Recipe(strength=1.0)).score(points)
    assert abs(roc_auc_score(labelled, crossed) - 0.5) < 0.1
    assert roc_auc_score(labelled, inside) > 0.7


def test_a_product_is_not_scored_by_what_was_posted_of_it() -> None:
    """Each featured image is its product's own: without groups the score would be that of a memory."""
    rng = np.random.default_rng(5)
    catalogue = rng.normal(size=(300, 60))
    owner = np.arange(0, 300, 4)
    featured = catalogue[owner] + 0.01 * rng.normal(size=(len(owner), 60))
    scores = scores_of_points(catalogue, featured, owner, recipe=Recipe(strength=1.0))
    assert abs(roc_auc_score(np.isin(np.arange(300), owner), scores) - 0.5) < 0.12


def test_products_without_image_have_no_score_and_few_positives_give_none() -> None:
    points, _, labelled = cloud(0.3, 0.3, n=400)
    catalogue = points.copy()
    catalogue[7] = np.nan
    owner = np.flatnonzero(labelled)
    scores = scores_of_points(catalogue, points[labelled], owner)
    assert np.isnan(scores[7]) and np.isfinite(np.delete(scores, 7)).all()
    assert np.isnan(scores_of_points(catalogue, points[labelled][:3], owner[:3])).all()
    assert np.isnan(scores_of_points(np.full((5, 0), np.nan), points[labelled], owner)).all()
    with pytest.raises(ValueError, match="2 positives and 398 unlabelled"):
        fit(points[:400], np.arange(400) < 2)


def test_the_same_seed_gives_the_same_scores_and_files_keep_them(tmp_path: Path) -> None:
    points, _, labelled = cloud(0.3, 0.3, n=500)
    first, second = fit(points, labelled), fit(points, labelled)
    np.testing.assert_array_equal(first.weights, second.weights)
    write(first, tmp_path)
    np.testing.assert_array_equal(read(tmp_path).score(points), first.score(points))


@pytest.mark.public_data
@pytest.mark.parametrize(
    ("classes", "least"), [(("Sneaker", "Ankle boot", "Sandal"), 0.98), (("Dress", "Coat"), 0.88)]
)
def test_hidden_classes_of_photographs_are_found(classes: tuple[str, ...], least: float) -> None:
    file = PUBLIC_DATA / "fashion_mnist" / "images.parquet"
    if not file.exists():
        pytest.skip(f"no fashion_mnist in {PUBLIC_DATA}: set BELLWETHER_PUBLIC_DATA")
    table = pq.read_table(file, columns=["class_name", "pixels"])
    table = table.take(np.random.default_rng(1).permutation(table.num_rows)[:1500])
    grey = np.frombuffer(b"".join(table["pixels"].to_pylist()), np.uint8).reshape(-1, 28, 28)
    pixels = np.pad(grey, ((0, 0), (2, 2), (2, 2)))[..., None].repeat(3, axis=3)
    positive = np.isin(table["class_name"].to_pylist(), classes)
    labelled = positive & (np.random.default_rng(2).random(len(positive)) < 0.3)
    scores = cross_fitted(ColourTexture().encode(pixels), labelled, np.arange(len(positive)), Recipe(bags=3))
    assert roc_auc_score(positive[~labelled], scores[~labelled]) > least
