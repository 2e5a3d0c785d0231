"""Kernel ridge regression on unit vectors: what is near in meaning is answered alike.

A Gaussian kernel, on a sample of the vectors as landmarks, so that time and memory are linear in the number of rows
(subset of regressors: Smola & Bartlett 2001, "Sparse greedy Gaussian process regression"); as a classifier with one
column of +1 and -1 for each class (Rifkin, Yeo & Poggio 2003, "Regularized least-squares classification").
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.toolkit import arrays

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
LANDMARKS = 4000
_SHARPNESS = 0.5
_JITTER = 1e-9
_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Kernel:
    """Landmarks (m x components, of length one) and their weights (m x classes)."""

    classes: tuple[str, ...]
    landmarks: Singles
    weights: Singles

    def margins(self, rows: Singles) -> Floats:
        """Rows x classes: about 1 for a row's own class, -1 for others."""
        out = np.zeros((len(rows), len(self.classes)))
        for start in range(0, len(rows), _BLOCK):
            out[start : start + _BLOCK] = _near(rows[start : start + _BLOCK], self.landmarks) @ self.weights
        return out


def learn_kernel(
    rows: Singles, labels: NDArray[np.str_], penalty: float, seed: int, landmarks: int = LANDMARKS
) -> Kernel:
    """Learn from unit vectors (n x components) and their labels; of many rows a sample of `landmarks`.

    `penalty` is the weight of the function's size: the more the labels err, the larger.
    """
    whole = np.zeros(len(rows), dtype=np.int64)
    return learn_sums(rows, labels, whole, seed, landmarks).kernel(penalty)


@dataclass(frozen=True, slots=True)
class Sums:
    """What kernels are learned from, part of the rows by part: learned once for every penalty and every part left out.

    squares: parts x m x m (lower halves), answers: parts x m x classes; `near`: the landmarks to each other; `home`:
    the part that each landmark is of.
    """

    classes: tuple[str, ...]
    landmarks: Singles
    home: NDArray[np.int64]
    near: Floats
    squares: Floats
    answers: Floats
    sizes: NDArray[np.int64]

    def kernel(self, penalty: float, without: int | None = None) -> Kernel:
        """The kernel learned from all rows, or from those (landmarks, too) of all parts but one."""
        from scipy.linalg import cho_factor, cho_solve

        parts = [part for part in range(len(self.sizes)) if part != without]
        marks = np.flatnonzero(self.home != without)
        squares = penalty * self.near
        for part in parts:
            squares += self.squares[part]
        squares = squares[np.ix_(marks, marks)]
        squares[np.diag_indices_from(squares)] += _JITTER * self.sizes[parts].sum()
        factor = cho_factor(squares, lower=True, overwrite_a=True, check_finite=False)
        weights = cho_solve(factor, self.answers[parts].sum(axis=0)[marks], check_finite=False)
        return Kernel(self.classes, self.landmarks[marks], weights.astype(np.float32))


def learn_sums(
    rows: Singles,
    labels: NDArray[np.str_],
    part: NDArray[np.int64],
    seed: int,
    landmarks: int = LANDMARKS,
) -> Sums:
    """Sum up rows (n x components, of unit length) and labels; `part` numbers the part of each row from 0."""
    from scipy.linalg.blas import dsyrk

    classes, number = np.unique(labels, return_inverse=True)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(rows))[:landmarks])
    marks, sizes = rows[chosen], np.bincount(part)
    squares = np.zeros((len(sizes), len(marks), len(marks)))
    answers = np.zeros((len(sizes), len(marks), len(classes)))
    for one in range(len(sizes)):
        places = np.flatnonzero(part == one)
        for start in range(0, len(places), _BLOCK):
            some = places[start : start + _BLOCK]
            near = _near(rows[some], marks)
            # the upper half of a matrix by columns is the lower half of one by rows
            squares[one] = dsyrk(1.0, near.T, beta=1.0, c=squares[one].T, overwrite_c=True).T
            answers[one] += near.T @ (2.0 * np.eye(len(classes))[number[some]] - 1.0)
    names = tuple(str(name) for name in classes)
    return Sums(names, marks, part[chosen], _near(marks, marks), squares, answers, sizes)


def together(made: Sequence[Kernel]) -> Kernel:
    """Kernels with the same landmarks as one, whose margins are theirs side by side."""
    names = tuple(name for one in made for name in one.classes)
    return Kernel(names, made[0].landmarks, np.hstack([one.weights for one in made]))


def _near(rows: Singles, marks: Singles) -> Floats:
    """exp(-_SHARPNESS * squared distance), n x m; of vectors of length one that is a matter of their cosine."""
    cosine = rows.astype(np.float64) @ marks.T.astype(np.float64)
    return np.asarray(np.exp(2 * _SHARPNESS * (cosine - 1)), dtype=np.float64)


def write(kernel: Kernel, folder: Path) -> None:
    """Save as `classes.json` and `kernel.safetensors` in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "classes.json").write_text(json.dumps(list(kernel.classes)))
    arrays.write(folder / "kernel", {"landmarks": kernel.landmarks, "weights": kernel.weights})


def read(folder: Path) -> Kernel:
    """Load what `write` saved."""
    classes = tuple(json.loads((folder / "classes.json").read_text()))
    return Kernel(classes, **arrays.read(folder / "kernel"))
