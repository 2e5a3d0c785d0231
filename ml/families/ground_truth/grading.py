"""From the probabilities of a turn's grades to one grade."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Weights = tuple[float, float, float]
"""Of dissatisfied, neutral and satisfied: the grade with the largest product of weight and probability is given."""

NOTHING_SAID = -1.0
GRADES = ("dissatisfied", "neutral", "satisfied")
EVEN: Weights = (1.0, 1.0, 1.0)
_TRIED = tuple(product((1.0, 1.15, 1.3), (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7), (1.0,)))


def grades(defect: Floats, satisfied: Floats, weights: Weights = EVEN) -> NDArray[np.str_]:
    """The grade of each turn; "" where nothing is said. With even weights the likeliest."""
    named = np.array(GRADES)[_chosen(defect, satisfied, weights)]
    return np.where(defect == NOTHING_SAID, "", named)


def learn_weights(defect: Floats, satisfied: Floats, shares: Floats) -> Weights:
    """The weights with the highest sum of accuracy and Cohen's kappa on turns that the probabilities had not seen.

    `shares`: how far each turn is of each grade (n x 3). The likeliest grade alone leans to the commonest, neutral,
    where little is known: about as often right, but it tells less.
    """
    return max(_TRIED, key=lambda weights: _worth(_chosen(defect, satisfied, weights), shares))


def _chosen(defect: Floats, satisfied: Floats, weights: Weights) -> NDArray[np.int64]:
    chances = np.column_stack([defect, 1 - defect - satisfied, satisfied])
    return np.asarray((chances * np.array(weights)).argmax(axis=1), dtype=np.int64)


def _worth(chosen: NDArray[np.int64], shares: Floats) -> float:
    given = np.eye(len(GRADES))[chosen]
    accuracy = float((given * shares).sum(axis=1).mean())
    chance = float(given.mean(axis=0) @ shares.mean(axis=0))
    return accuracy + (accuracy - chance) / max(1 - chance, 1e-9)
