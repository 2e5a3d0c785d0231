"""Positive-unlabelled learning on real images whose hidden positives are known.

    python -m bench.images --path DIR [--encoder colour_texture] [--labelled 0.3] [--most 6000]

DIR holds `fashion_mnist` and `clothing_small` (see ml/sources). Some classes are the positives; a random share of them
is labelled, everything else is unlabelled. The unlabelled are scored by classifiers that did not see them (five folds).
Beside it: the same classifiers with every positive labelled, which is what could be reached.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, roc_auc_score

from ml.sources import load
from ml.toolkit.images import encoded, encoder
from ml.toolkit.positive_unlabelled import Recipe, class_prior, cross_fitted

POSITIVES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "fashion_mnist": (("Sneaker", "Ankle boot", "Sandal"), ("Dress", "Coat"), ("Shirt",)),
    "clothing_small": (("dress", "shoes", "hat"), ("t-shirt",), ("dress", "skirt")),
}
HEADER = (
    "| images | positives | labelled | AUC of hidden positives | with all labelled | average precision "
    "| positives among the unlabelled | estimated |\n"
    "|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    """Parse the arguments, measure each data set, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--path", type=Path, required=True, help="folder of the data sets' folders")
    parser.add_argument("--encoder", default="colour_texture")
    parser.add_argument("--labelled", type=float, default=0.3, help="share of the positives that is labelled")
    parser.add_argument("--most", type=int, default=6_000, help="images of a set, drawn at random")
    options = parser.parse_args()
    print(HEADER)
    for name in POSITIVES:
        for line in rows(name, options):
            print(line, flush=True)


def rows(name: str, options: argparse.Namespace) -> list[str]:
    """A data set's rows of the table, one a choice of positives, and what its encoding took."""
    products = load(name, options.path / name).tables["products"]
    chosen = np.sort(np.random.default_rng(7).permutation(products.num_rows)[: options.most])
    drawn = products.take(chosen)
    started = time.perf_counter()
    points = encoded(drawn["image_uri"].to_pylist(), encoder(options.encoder))
    spent = 1000 * (time.perf_counter() - started) / len(points)
    classes = np.array(drawn["category"].to_pylist())
    lines = [
        row(f"{name} ({len(points):,}; {spent:.1f} ms each)", points, classes, some, options.labelled)
        for some in POSITIVES[name]
    ]
    return lines


def row(
    title: str,
    points: npt.NDArray[np.float64],
    classes: npt.NDArray[np.str_],
    some: tuple[str, ...],
    share: float,
) -> str:
    """One choice of positives."""
    found = figures(points, np.isin(classes, some), share)
    return (
        f"| {title} | {', '.join(some)} | {share:.0%} | "
        + " | ".join(f"{value:.3f}" for value in found.values())
        + " |"
    )


def figures(
    points: npt.NDArray[np.float64], positive: npt.NDArray[np.bool_], share: float, seed: int = 7
) -> dict[str, float]:
    """Label a random share of the positives, learn, and compare with what is true."""
    labelled = positive & (np.random.default_rng(seed).random(len(points)) < share)
    everyone, recipe = np.arange(len(points)), Recipe(seed=seed)
    scores = cross_fitted(points, labelled, everyone, recipe)
    full = cross_fitted(points, positive, everyone, recipe)
    hidden, open_scores = positive[~labelled], scores[~labelled]
    return {
        "auc": float(roc_auc_score(hidden, open_scores)),
        "auc_all_labelled": float(roc_auc_score(hidden, full[~labelled])),
        "average_precision": float(average_precision_score(hidden, open_scores)),
        "prior": float(hidden.mean()),
        "prior_estimated": class_prior(scores[labelled], open_scores),
    }


if __name__ == "__main__":
    main()
