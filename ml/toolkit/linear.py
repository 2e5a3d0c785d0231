"""Linear models on sparse rows: learned by LIBLINEAR, kept as arrays."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ml.toolkit import arrays

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    Rows: TypeAlias = csr_matrix | NDArray[np.float32]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Linear:
    """Weights (classes x kept columns) of the columns that were seen, and a constant for each class.

    Of two classes there is one row of weights: for the second.
    """

    classes: tuple[str, ...]
    columns: NDArray[np.int32]
    weights: NDArray[np.float32]
    constant: NDArray[np.float32]

    def margins(self, rows: Rows) -> Floats:
        """Rows x classes (x 1 of two classes): how far on the class's side of its plane."""
        made = rows[:, self.columns] @ self.weights.T.astype(np.float64)
        return np.asarray(made + self.constant, dtype=np.float64)


def learn_share(rows: Rows, share: Floats, penalty: float) -> Linear:
    """Ridge regression of how far each row is yes (0 to 1); `penalty` is the weight of the squared weights.

    Of sparse rows by conjugate gradients, in a fraction of the time that LIBLINEAR takes for rows that are neither one
    nor the other; of dense ones by Cholesky's decomposition.
    """
    from sklearn.linear_model import Ridge

    how = "cholesky" if isinstance(rows, np.ndarray) else "sparse_cg"
    made = Ridge(alpha=penalty, solver=how, tol=1e-3, max_iter=100).fit(rows, share)
    columns = np.flatnonzero(np.abs(made.coef_) > 1e-6).astype(np.int32)
    weights = made.coef_[None, columns].astype(np.float32)
    return Linear(("no", "yes"), columns, weights, np.array([made.intercept_], np.float32))


def learn_classes(rows: csr_matrix, labels: NDArray[np.str_], seed: int, penalty: float = 1.0) -> Linear:
    """One support vector machine for each class against the rest (squared hinge loss, L2); one class: a constant."""
    from sklearn.svm import LinearSVC

    if len(classes := np.unique(labels)) == 1:
        return Linear(tuple(classes.tolist()), *_nothing(1.0))
    made = LinearSVC(C=penalty, random_state=seed, tol=1e-3).fit(rows, labels)
    return _kept(tuple(str(label) for label in made.classes_), made)


def _nothing(value: float) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]:
    return np.zeros(0, np.int32), np.zeros((1, 0), np.float32), np.full(1, value, np.float32)


def _kept(classes: tuple[str, ...], made: Any) -> Linear:
    columns = np.flatnonzero(np.abs(made.coef_).max(axis=0) > 1e-6).astype(np.int32)
    return Linear(
        classes, columns, made.coef_[:, columns].astype(np.float32), made.intercept_.astype(np.float32)
    )


def write(model: Linear, folder: Path) -> None:
    """Save as `classes.json` and `planes.safetensors` in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "classes.json").write_text(json.dumps(list(model.classes)))
    made = {"columns": model.columns, "weights": model.weights, "constant": model.constant}
    arrays.write(folder / "planes", made)


def read(folder: Path) -> Linear:
    """Load what `write` saved."""
    classes = tuple(json.loads((folder / "classes.json").read_text()))
    return Linear(classes, **arrays.read(folder / "planes"))
