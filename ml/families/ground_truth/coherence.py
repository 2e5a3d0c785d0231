"""Does the answer fit what was said? Learned from answers swapped between dialogues, before any label is seen.

A swapped answer is a defect that needs no annotator. Two linear maps (ridge regression) foresee the answer's vector
from the customer's, and the customer's next one from the answer's; how near they come, and the words in common, tell
true answers from swapped ones by logistic regression.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.families.ground_truth.exchanges import NOWHERE, Places
from ml.families.ground_truth.reading import Read
from ml.toolkit import arrays

Floats = NDArray[np.float64]
RIDGE = 1.0
_LEARNED_FROM = 60_000


@dataclass(frozen=True, slots=True)
class Coherence:
    """Maps from the customer's vectors to the answer's and on to the customer's next; weights of the closeness."""

    forth: Floats
    back: Floats
    weights: Floats

    def score(self, read: Read) -> Floats:
        """How well each answer fits, as log odds of not being swapped; shape (n,)."""
        return self._odds(_closeness(self.forth, self.back, read, np.arange(len(read.exchanges))))

    def _odds(self, closeness: Floats) -> Floats:
        return np.asarray(closeness @ self.weights[1:] + self.weights[0], dtype=np.float64)


def learn_coherence(read: Read, seed: int) -> Coherence:
    """Learn from the dialogues' own answers and from as many answers of other dialogues."""
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(seed)
    own = np.sort(random.permutation(len(read.exchanges))[:_LEARNED_FROM])
    swapped = np.arange(len(read.exchanges))
    swapped[own] = own[random.permutation(len(own))]
    after = read.exchanges.step(1)
    forth = _map(read.said_vectors[own], read.answered_vectors[own])
    followed = own[after[own] != NOWHERE]
    back = _map(read.answered_vectors[followed], read.said_vectors[after[followed]])
    true = _closeness(forth, back, read, np.arange(len(read.exchanges)))[own]
    other = swapped[own] != own
    false = _closeness(forth, back, read, swapped)[own][other]
    rows = np.concatenate([true, false])
    if not len(false):
        return Coherence(forth, back, np.zeros(rows.shape[1] + 1))
    fits = np.arange(len(rows)) < len(true)
    made = LogisticRegression(C=1.0).fit(rows, fits)
    return Coherence(forth, back, np.concatenate([made.intercept_, made.coef_[0]]))


def auc(coherence: Coherence, read: Read, seed: int) -> float:
    """How often a true answer scores above a swapped one, on exchanges it has not learned from."""
    from sklearn.metrics import roc_auc_score

    swapped = np.random.default_rng(seed).permutation(len(read.exchanges))
    true = coherence.score(read)
    false = coherence._odds(_closeness(coherence.forth, coherence.back, read, swapped))
    flags = np.repeat([True, False], len(true))
    return float(roc_auc_score(flags, np.concatenate([true, false]))) if len(true) else float("nan")


def _map(given: Floats, wanted: Floats) -> Floats:
    """Ridge regression with a constant: (components + 1) x components."""
    rows = np.column_stack([np.ones(len(given)), given])
    return np.asarray(
        np.linalg.solve(rows.T @ rows + RIDGE * np.eye(rows.shape[1]), rows.T @ wanted), dtype=np.float64
    )


def _closeness(forth: Floats, back: Floats, read: Read, answers: Places) -> Floats:
    """Of exchanges with the answers at these places: four numbers each."""
    said, answered = read.said_vectors, read.answered_vectors[answers]
    after = read.exchanges.step(1)
    following = np.where((after == NOWHERE)[:, None], 0.0, said[np.maximum(after, 0)])
    shared = np.asarray(read.said.multiply(read.answered[answers]).sum(axis=1)).ravel()
    return np.column_stack(
        [
            _cosine(_apply(forth, said), answered),
            _cosine(_apply(back, answered), following),
            _cosine(said, answered),
            shared,
        ]
    )


def _apply(linear: Floats, rows: Floats) -> Floats:
    return np.asarray(rows @ linear[1:] + linear[0], dtype=np.float64)


def _cosine(some: Floats, others: Floats) -> Floats:
    lengths = np.linalg.norm(some, axis=1) * np.linalg.norm(others, axis=1)
    return np.asarray((some * others).sum(axis=1) / np.maximum(lengths, 1e-9), dtype=np.float64)


def save(coherence: Coherence, folder: Path) -> None:
    """Write `coherence.safetensors`."""
    made = {"forth": coherence.forth, "back": coherence.back, "weights": coherence.weights}
    arrays.write(folder / "coherence", made)


def load(folder: Path) -> Coherence:
    """Read what `save` wrote."""
    return Coherence(**arrays.read(folder / "coherence"))
