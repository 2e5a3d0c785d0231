"""Kernel ridge regression on unit vectors: what is near in meaning is answered alike.

A Gaussian kernel, on a sample of the vectors as landmarks, so that time and memory are linear in the number of rows
(subset of regressors: Smola & Bartlett 2001, "Sparse greedy Gaussian process regression"); as a classifier with one
column of +1 and -1 for each class (Rifkin, Yeo & Poggio 2003, "Regularized least-squares classification").
"""

from __future__ import annotations

import json
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
    from scipy.linalg import cho_factor, cho_solve

    classes, number = np.unique(labels, return_inverse=True)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(rows))[:landmarks])
    marks = rows[chosen]
    squares, answers = penalty * _near(marks, marks), np.zeros((len(marks), len(classes)))
    squares[np.diag_indices_from(squares)] += _JITTER * len(rows)
    for start in range(0, len(rows), _BLOCK):
        near = _near(rows[start : start + _BLOCK], marks)
        squares += near.T @ near
        answers += near.T @ (2.0 * np.eye(len(classes))[number[start : start + _BLOCK]] - 1.0)
    weights = cho_solve(cho_factor(squares, lower=True, overwrite_a=True), answers)
    return Kernel(tuple(str(name) for name in classes), marks, weights.astype(np.float32))


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
