"""The model: boosted trees and a linear model side by side, for doubling, growth and lead time; its files.

Trees find who matters; the linear model keeps its head where there are a few hundred cascades, or where the days to
come are unlike those learned from. They are averaged, in log-odds or in powers of two.

Cascades that were seen shortly before the day of fitting have had no time to grow. Both models are told how long each
had (`exposure`), and are asked about an exposure that three quarters of the past did not reach.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import xgboost as xgb
from numpy.typing import NDArray

from ml.errors import DataRejected
from ml.families.viral.columns import FEATURES
from ml.families.viral.design import Floats, Past, features_of, past, predictions, waiting
from ml.families.viral.params import ViralParams
from ml.toolkit import boosting
from ml.toolkit.standardised import Linear, logistic, ridge

TASKS = {"doubles": "binary:logistic", "growth": "reg:squarederror", "lead": "reg:squarederror"}
COLUMNS = (*FEATURES, "exposure")
_FEWEST_ROWS = 20
_ASKED = 0.75
_SHARE = 0.2
_STRENGTH = {"doubles": 50.0, "growth": 200.0, "lead": 200.0}


@dataclass(frozen=True, slots=True)
class Model:
    """A booster and a linear model for each of TASKS; the exposure that is asked about."""

    boosters: dict[str, xgb.Booster]
    linears: dict[str, Linear]
    exposure: float


def fit(matrix: ibis.Table, as_of: date, params: ViralParams) -> Model:
    """Learn from observations before `as_of`, and from what had come of them by then.

    Raises DataRejected where there are none.
    """
    known = past(matrix, as_of, params)
    if not len(known.rows):
        raise DataRejected(
            f"table posts: no cascade reached {params.fewest} posts before {as_of}, so there is nothing to learn from",
            found="0 cascades",
            expected=f"posts that reshare others (parent_post_id), {params.fewest} or more to a first post",
            next_step="load an older part of posts, or lower families.viral.params.fewest in params.yaml",
        )
    labels = {"doubles": known.doubled, "growth": known.growth, "lead": known.lead}
    made = {task: _halves(task, known, label, params) for task, label in labels.items()}
    boosters = {task: trees for task, (trees, _) in made.items()}
    linears = {task: line for task, (_, line) in made.items()}
    return Model(boosters, linears, float(np.quantile(known.exposure, _ASKED)))


def _halves(task: str, known: Past, label: Floats, params: ViralParams) -> tuple[xgb.Booster, Linear]:
    some = np.isfinite(label)
    if some.sum() < _FEWEST_ROWS:  # too few peaks are known: everything peaks now
        some, label = np.ones(len(label), dtype=bool), np.nan_to_num(label)
    rows, target = _exposed(known.features[some], known.exposure[some]), label[some]
    recipe = _recipe(task, float(target.mean()), params)
    trees = boosting.grow(recipe, boosting.Table.of(COLUMNS, rows, recipe), target)
    line = (logistic if task == "doubles" else ridge)(rows, target, _STRENGTH[task])
    return trees, line


def _recipe(task: str, mean: float, params: ViralParams) -> boosting.Recipe:
    start = min(max(mean, 0.01), 0.99) if task == "doubles" else mean
    return boosting.Recipe(
        TASKS[task], params.rounds, learning_rate=0.03, depth=4, minimum_weight=5.0, rows=0.7, columns=0.3,
        seed=params.seed, nthread=params.nthread, options={"base_score": start},
    )  # fmt: skip


def _exposed(rows: NDArray[np.float32], exposure: Any) -> NDArray[np.float32]:
    column = np.broadcast_to(np.asarray(exposure, dtype=np.float32), len(rows))
    return np.column_stack([rows, column])


def raw(model: Model, task: str, rows: NDArray[np.float32]) -> Floats:
    """The average of both: log-odds of doubling, or the value itself."""
    asked = _exposed(rows, model.exposure)
    trees = boosting.predict(model.boosters[task], COLUMNS, asked)
    trees = np.log(trees / (1 - trees)) if task == "doubles" else trees
    return np.asarray((1 - _SHARE) * trees + _SHARE * model.linears[task].raw(asked), dtype=np.float64)


def contributions(model: Model, task: str, rows: NDArray[np.float32]) -> Floats:
    """n x (features + 2): what each feature adds to `raw`; the last columns are the exposure and the start."""
    asked = _exposed(rows, model.exposure)
    trees = boosting.contributions(model.boosters[task], COLUMNS, asked)
    return np.asarray(
        (1 - _SHARE) * trees + _SHARE * model.linears[task].contributions(asked), dtype=np.float64
    )


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
    rest = {"linears": plain, "exposure": model.exposure}
    (folder / "model.json").write_text(json.dumps(rest, indent=1, sort_keys=True))


def load(folder: Path) -> Model:
    """Read what `save` wrote."""
    rest = json.loads((folder / "model.json").read_text())
    boosters = {task: boosting.read(folder / task) for task in TASKS}
    return Model(boosters, {task: Linear.of(rest["linears"][task]) for task in TASKS}, rest["exposure"])
