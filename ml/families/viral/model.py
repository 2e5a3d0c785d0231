"""The model: boosted trees and a linear model side by side, for doubling, growth and lead time; its files.

Trees find who matters; the linear model keeps its head where there are a few hundred cascades, or where the days to
come are unlike those learned from. Each half counts the same, in log-odds or in powers of two.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import xgboost as xgb
from numpy.typing import NDArray

from ml.families.viral.columns import FEATURES
from ml.families.viral.design import Floats, Past, features_of, past, predictions, waiting
from ml.families.viral.params import ViralParams
from ml.toolkit import boosting
from ml.toolkit.standardised import Linear, logistic, ridge

TASKS = {"doubles": "binary:logistic", "growth": "reg:squarederror", "lead": "reg:squarederror"}
_FEWEST_ROWS = 20
_STRENGTH = {"doubles": 50.0, "growth": 200.0, "lead": 200.0}


@dataclass(frozen=True, slots=True)
class Model:
    """A booster and a linear model for each of TASKS."""

    boosters: dict[str, xgb.Booster]
    linears: dict[str, Linear]


def fit(matrix: ibis.Table, as_of: date, params: ViralParams) -> Model:
    """Learn from observations before `as_of`, and from what had come of them by then.

    Raises ValueError where there are none.
    """
    known = past(matrix, as_of, params)
    if not len(known.rows):
        raise ValueError(
            f"no cascade had {params.fewest} posts before {as_of}; the family needs some to learn from"
        )
    labels = {"doubles": known.doubled, "growth": known.growth, "lead": known.lead}
    made = {task: _halves(task, known, label, params) for task, label in labels.items()}
    return Model(
        {task: trees for task, (trees, _) in made.items()}, {task: line for task, (_, line) in made.items()}
    )


def _halves(task: str, known: Past, label: Floats, params: ViralParams) -> tuple[xgb.Booster, Linear]:
    some = np.isfinite(label)
    if some.sum() < _FEWEST_ROWS:  # too few peaks are known: everything peaks now
        some, label = np.ones(len(label), dtype=bool), np.nan_to_num(label)
    rows, target = known.features[some], label[some]
    recipe = _recipe(task, float(target.mean()), params)
    trees = boosting.grow(recipe, boosting.Table.of(FEATURES, rows, recipe), target)
    line = (logistic if task == "doubles" else ridge)(rows, target, _STRENGTH[task])
    return trees, line


def _recipe(task: str, mean: float, params: ViralParams) -> boosting.Recipe:
    start = min(max(mean, 0.01), 0.99) if task == "doubles" else mean
    return boosting.Recipe(
        TASKS[task], params.rounds, learning_rate=0.03, depth=4, minimum_weight=5.0, rows=0.7, columns=0.3,
        seed=params.seed, nthread=params.nthread, options={"base_score": start},
    )  # fmt: skip


def raw(model: Model, task: str, rows: NDArray[np.float32]) -> Floats:
    """The mean of both halves: log-odds of doubling, or the value itself."""
    trees = boosting.predict(model.boosters[task], FEATURES, rows)
    trees = np.log(trees / (1 - trees)) if task == "doubles" else trees
    return np.asarray((trees + model.linears[task].raw(rows)) / 2, dtype=np.float64)


def contributions(model: Model, task: str, rows: NDArray[np.float32]) -> Floats:
    """n x (features + 1): what each feature adds to `raw`; the last column is the start."""
    trees = boosting.contributions(model.boosters[task], FEATURES, rows)
    return np.asarray((trees + model.linears[task].contributions(rows)) / 2, dtype=np.float64)


def score(model: Model, matrix: ibis.Table, as_of: date) -> pa.Table:
    """Chance of doubling, log2 of the final size and hours until the peak of every open observation."""
    rows = waiting(matrix)
    known = features_of(rows)
    odds, growth, lead = (raw(model, task, known) for task in TASKS)
    return predictions(rows, 1 / (1 + np.exp(-odds)), growth, lead)


def save(model: Model, folder: Path) -> None:
    """Write the boosters as UBJSON and the linear models as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    for task, booster in model.boosters.items():
        boosting.write(booster, folder / task)
    plain = {task: line.plain() for task, line in model.linears.items()}
    (folder / "linear.json").write_text(json.dumps(plain, indent=1, sort_keys=True))


def load(folder: Path) -> Model:
    """Read what `save` wrote."""
    plain = json.loads((folder / "linear.json").read_text())
    return Model(
        {task: boosting.read(folder / task) for task in TASKS},
        {task: Linear.of(plain[task]) for task in TASKS},
    )
