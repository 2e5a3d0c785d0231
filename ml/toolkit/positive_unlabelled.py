"""Learning from positives and unlabelled cases: some cases are known to be positive, the others may be either.

- `fit` learns bags of linear classifiers, positives against random parts of the unlabelled (Mordelet & Vert 2014, "A
  bagging SVM to learn from positive and unlabeled examples"; logistic regression in place of the SVM);
- `class_prior` estimates the share of positives among the unlabelled by best bin estimation (Garg et al. 2021,
  "Mixture proportion estimation and PU learning: a modern approach"); where positives and others look alike, too large.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Points = npt.NDArray[np.floating[Any]]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

LEAST = 5
"""Positives, and unlabelled cases, below which nothing is learnt."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How bags are grown: `most` caps the positives of a bag, which also has that many unlabelled cases."""

    bags: int = 9
    most: int = 2_000
    strength: float = 0.05
    seed: int = 7


@dataclass(frozen=True, slots=True)
class Scorer:
    """Linear classifiers on standardised points: `weights` is bags x (dimensions + 1), the last one the intercept."""

    mean: Floats
    scale: Floats
    weights: Floats

    def score(self, points: Points) -> Floats:
        """Mean over the bags of each case's probability to be a labelled positive rather than unlabelled (0 to 1)."""
        standard = np.clip((points - self.mean) / self.scale, -8, 8)
        raised = standard @ self.weights[:, :-1].T + self.weights[:, -1]
        found: Floats = (1 / (1 + np.exp(-np.clip(raised, -40, 40)))).mean(axis=1)
        return found


def fit(points: Points, positive: Flags, recipe: Recipe | None = None) -> Scorer:
    """Learn from points (n x dimensions) and which of them are known to be positive; the others are unlabelled.

    Raises ValueError with fewer than five positives or unlabelled cases.
    """
    chosen = recipe or Recipe()
    known, open_cases = np.flatnonzero(positive), np.flatnonzero(~positive)
    if min(len(known), len(open_cases)) < LEAST:
        raise ValueError(
            f"{len(known)} positives and {len(open_cases)} unlabelled cases; at least {LEAST} of each are needed"
        )
    mean, scale = points.mean(axis=0), np.maximum(points.std(axis=0), 1e-6)
    standard = np.clip((points - mean) / scale, -8, 8)
    rng = np.random.default_rng(chosen.seed)
    bags = [_bag(standard, known, open_cases, chosen, rng) for _ in range(chosen.bags)]
    return Scorer(mean, scale, np.stack(bags))


def _bag(standard: Floats, known: Ints, open_cases: Ints, recipe: Recipe, rng: np.random.Generator) -> Floats:
    from sklearn.linear_model import LogisticRegression

    size = min(len(known), recipe.most)
    rows = np.concatenate([rng.choice(known, size), rng.choice(open_cases, max(size, LEAST))])
    labels = np.arange(len(rows)) < size
    model = LogisticRegression(C=recipe.strength, max_iter=300).fit(standard[rows], labels)
    return np.concatenate([model.coef_[0], model.intercept_])


def cross_fitted(
    points: Points, positive: Flags, group: Ints, recipe: Recipe | None = None, folds: int = 5
) -> Floats:
    """The score of each case by a scorer that saw no case of its group; NaN where a fold had too few to learn from."""
    chosen = recipe or Recipe()
    names, at = np.unique(group, return_inverse=True)
    fold = np.random.default_rng(chosen.seed).permutation(np.arange(len(names)) % folds)[at]
    scores = np.full(len(points), np.nan)
    for number in range(folds):
        inside, outside = fold == number, fold != number
        if inside.any() and min(positive[outside].sum(), (~positive[outside]).sum()) >= LEAST:
            scores[inside] = fit(points[outside], positive[outside], chosen).score(points[inside])
    return scores


def class_prior(scores_positive: Floats, scores_unlabelled: Floats, confidence: float = 0.9) -> float:
    """Share of positives among the unlabelled, from scores of cases that the scorer has not seen.

    Best bin estimation: where scores are high enough, the unlabelled are positives only, so that the share is
    P_unlabelled(score > t) / P_positive(score > t); t minimises the upper confidence bound of that ratio.
    """
    cuts = np.unique(scores_positive)
    above_positive = 1 - np.searchsorted(np.sort(scores_positive), cuts) / len(scores_positive)
    above_open = 1 - np.searchsorted(np.sort(scores_unlabelled), cuts) / len(scores_unlabelled)
    spread = np.log(4 / (1 - confidence)) / 2
    slack = np.sqrt(spread / len(scores_positive)) + np.sqrt(spread / len(scores_unlabelled))
    best = int(np.argmin((above_open + slack) / above_positive))
    return float(min(above_open[best] / above_positive[best], 1.0))


def write(scorer: Scorer, folder: Path, stem: str = "images") -> None:
    """Save as `<stem>.json`."""
    content = {name: getattr(scorer, name).tolist() for name in ("mean", "scale", "weights")}
    (folder / f"{stem}.json").write_text(json.dumps(content))


def read(folder: Path, stem: str = "images") -> Scorer:
    """Load what `write` saved."""
    content = json.loads((folder / f"{stem}.json").read_text())
    return Scorer(*(np.asarray(content[name]) for name in ("mean", "scale", "weights")))
