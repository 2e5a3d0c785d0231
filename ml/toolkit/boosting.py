"""XGBoost as we use it: histogram trees, fixed seed and threads, UBJSON files; same inputs give the same bytes.

It is imported where it is called: with scikit-learn, which comes along, that takes a second and a half of processor
time, and processes that open a run or compute features never call it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import xgboost as xgb

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one booster is grown. `options` are passed to XGBoost as they are."""

    objective: str
    rounds: int
    learning_rate: float = 0.05
    depth: int = 6
    minimum_weight: float = 20.0
    rows: float = 0.8
    columns: float = 0.5
    l2: float = 5.0
    bins: int = 128
    seed: int = 7
    nthread: int = 2
    options: dict[str, Any] = field(default_factory=dict)

    def parameters(self) -> dict[str, Any]:
        """The parameters in XGBoost's own names."""
        return {
            "objective": self.objective, "tree_method": "hist", "eta": self.learning_rate, "max_depth": self.depth,
            "min_child_weight": self.minimum_weight, "subsample": self.rows, "colsample_bytree": self.columns,
            "lambda": self.l2, "seed": self.seed, "nthread": self.nthread, "verbosity": 0,
            "max_bin": self.bins, **self.options,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that several boosters are grown on, binned once."""

    binned: xgb.QuantileDMatrix
    bins: int

    @classmethod
    def of(cls, names: Sequence[str], rows: Floats, recipe: Recipe) -> Table:
        """Bin the rows as `recipe` says; the recipes grown on them must say the same."""
        import xgboost as xgb

        data = xgb.QuantileDMatrix(
            rows, feature_names=list(names), nthread=recipe.nthread, max_bin=recipe.bins
        )
        return cls(data, recipe.bins)


def grow(
    recipe: Recipe,
    table: Table,
    label: NDArray[Any],
    weight: NDArray[Any] | None = None,
    margin: NDArray[Any] | None = None,
) -> xgb.Booster:
    """Train a booster; `margin` is added to every row's raw score (an offset)."""
    import xgboost as xgb

    weight = np.ones(len(label)) if weight is None else weight
    margin = np.zeros(0) if margin is None else margin
    table.binned.set_info(label=label, weight=weight, base_margin=margin)
    return xgb.train({**recipe.parameters(), "max_bin": table.bins}, table.binned, recipe.rounds)


def predict(
    booster: xgb.Booster, names: Sequence[str], rows: Floats, margin: NDArray[Any] | None = None
) -> NDArray[np.float64]:
    """Predictions, one row (and, for several quantiles, one column each) per row."""
    import xgboost as xgb

    data = xgb.DMatrix(rows, base_margin=margin, feature_names=list(names))
    return np.asarray(booster.predict(data), dtype=np.float64)


def contributions(
    booster: xgb.Booster, names: Sequence[str], rows: Floats, margin: NDArray[Any] | None = None
) -> NDArray[np.float64]:
    """Exact additive contributions to the raw score (SHAP values); the last column is the bias."""
    import xgboost as xgb

    data = xgb.DMatrix(rows, base_margin=margin, feature_names=list(names))
    return np.asarray(booster.predict(data, pred_contribs=True), dtype=np.float64)


def write(booster: xgb.Booster, path: Path) -> None:
    """Save as UBJSON."""
    booster.save_model(path.with_suffix(".ubj"))


def read(path: Path, nthread: int = 2) -> xgb.Booster:
    """Load what `write` saved."""
    import xgboost as xgb

    booster = xgb.Booster({"nthread": nthread})
    booster.load_model(path.with_suffix(".ubj"))
    return booster
