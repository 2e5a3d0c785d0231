"""Who decided the order of results: versions of a ranker that follow each other, and some chance.

One in six searches is served by the next version already (an online test), and in one screen in six two results have
changed places: the same product is seen for the same query at different positions, which is what makes the effect of
the position identifiable from the log (Joachims, Swaminathan and Schnabel 2017; Agarwal et al. 2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.random import Generator

from ml.world.arrays import Floats, Ints
from ml.world.catalogue import Catalogue
from ml.world.search.candidates import Candidates, popularity
from ml.world.seeds import Stream, generator

VERSIONS = (
    (1.0, 0.3, 1.0),
    (0.6, 0.8, 0.9),
    (1.3, 0.5, 0.9),
    (1.2, 0.7, 0.7),
)  # relevance, popularity, its own errors
_BEGIN = (0.0, 0.3, 0.6, 0.85)  # of the nominal days
_ON_TRIAL = 1 / 6
_SWAPPED = 1 / 6
_JITTER = 0.25  # standard deviation of what differs between two searches for the same


@dataclass(frozen=True, slots=True)
class Rankers:
    """Scores by version x query x place; `begins` holds the day on which each version takes over."""

    scores: Floats
    begins: Ints

    def version(self, day: int, n: int, rng: Generator) -> Ints:
        """The version that serves each of n searches of a day."""
        current = int(np.searchsorted(self.begins, day, side="right")) - 1
        following = min(current + 1, len(self.begins) - 1)
        return np.where(rng.random(n) < _ON_TRIAL, following, current)

    def jittered(self, version: Ints, query: Ints, rng: Generator) -> Floats:
        """Scores of every candidate for each search, larger first to be shown."""
        scores = self.scores[version, query]
        noise = rng.standard_normal(scores.shape, dtype=np.float32)
        return np.asarray(scores + np.float32(_JITTER) * noise)


def train_rankers(catalogue: Catalogue, candidates: Candidates, days: int, seed: int) -> Rankers:
    """The versions that serve a world of so many nominal days."""
    rng = generator(seed, Stream.RANKERS)
    known = popularity(catalogue)[candidates.product]
    scores = [
        relevance * candidates.grade + popular * known + rng.normal(0, wrong, known.shape)
        for relevance, popular, wrong in VERSIONS
    ]
    begins = np.array([int(share * days) for share in _BEGIN])
    assert all(a <= b for a, b in pairwise(begins.tolist()))
    return Rankers(np.stack(scores).astype(np.float32), begins)


def swap_some(shown: Ints, length: Ints, rng: Generator) -> Ints:
    """In some of the rows (searches) two of the first `length` entries change places."""
    rows = np.flatnonzero((rng.random(len(shown)) < _SWAPPED) & (length > 1))
    one = (rng.random(len(rows)) * length[rows]).astype(np.int64)
    other = (one + 1 + (rng.random(len(rows)) * (length[rows] - 1)).astype(np.int64)) % length[rows]
    swapped = shown.copy()
    swapped[rows, one], swapped[rows, other] = shown[rows, other], shown[rows, one]
    return swapped
