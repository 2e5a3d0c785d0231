"""Linear models on standardised columns, kept as plain numbers: a logistic one, and ridge regression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LIMIT = 4.0


@dataclass(frozen=True, slots=True)
class Linear:
    """`intercept` + standardised row @ `weights`; a missing value is the mean, an extreme one 4 deviations from it."""

    centre: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float

    def contributions(self, rows: NDArray[Any]) -> Floats:
        """n x (columns + 1): what each column adds, the intercept last."""
        parts = _standard(rows, np.asarray(self.centre), np.asarray(self.scale)) * np.asarray(self.weights)
        return np.column_stack([parts, np.full(len(rows), self.intercept)])

    def raw(self, rows: NDArray[Any]) -> Floats:
        """The sum of the contributions: log-odds of a logistic model, the value of a regression."""
        total: Floats = self.contributions(rows).sum(axis=1)
        return total

    def plain(self) -> Mapping[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Linear:
        """From what `plain` gave."""
        lists = {name: tuple(plain[name]) for name in ("centre", "scale", "weights")}
        return cls(**lists, intercept=plain["intercept"])


def logistic(rows: NDArray[Any], label: NDArray[Any], strength: float) -> Linear:
    """Ridge-penalised logistic regression; labels of one kind only give their log-odds (with one ghost of each)."""
    from sklearn.linear_model import LogisticRegression

    centre, scale = _scales(rows)
    if label.min() == label.max():
        odds = np.log((label.sum() + 1) / (len(label) - label.sum() + 1))
        return Linear(tuple(centre), tuple(scale), (0.0,) * rows.shape[1], float(odds))
    made = LogisticRegression(C=1 / strength, max_iter=500).fit(_standard(rows, centre, scale), label)
    return Linear(tuple(centre), tuple(scale), tuple(made.coef_[0].tolist()), float(made.intercept_[0]))


def ridge(rows: NDArray[Any], value: Floats, strength: float) -> Linear:
    """Ridge regression."""
    from sklearn.linear_model import Ridge

    centre, scale = _scales(rows)
    made = Ridge(alpha=strength).fit(_standard(rows, centre, scale), value)
    return Linear(tuple(centre), tuple(scale), tuple(made.coef_.tolist()), float(made.intercept_))


def _scales(rows: NDArray[Any]) -> tuple[list[float], list[float]]:
    """Mean and deviation of the finite values of each column; 0 and 1 where there are none, or no two different."""
    finite = np.isfinite(rows)
    count = np.maximum(finite.sum(axis=0), 1)
    filled = np.where(finite, rows, 0.0).astype(np.float64)
    centre = filled.sum(axis=0) / count
    spread = np.sqrt((np.where(finite, filled - centre, 0.0) ** 2).sum(axis=0) / count)
    return centre.tolist(), np.where(spread > 1e-9, spread, 1.0).tolist()


def _standard(rows: NDArray[Any], centre: Any, scale: Any) -> Floats:
    away = (np.asarray(rows, dtype=np.float64) - np.asarray(centre)) / np.asarray(scale)
    clipped: Floats = np.clip(np.where(np.isfinite(away), away, 0.0), -LIMIT, LIMIT)
    return clipped
