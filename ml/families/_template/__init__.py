"""The smallest complete family, to be copied: how many units each product sells on the next day.

To add a family: copy this folder to `ml/families/<name>/`, rename it in FAMILY, add `<name>` under `families` of
`params.yaml`, a `features-<name>` stage to `dvc.yaml`, and `expectations/features/<name>.json`. Everything else (train,
evaluate, gate, record, promote, the DAG, the conformance suite in `tests/families`) finds it by its name.

Each function below is pure. Larger families give each of them a module of its own, as `seasonality` does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import ibis
import numpy as np
import pyarrow as pa
from pydantic import Field

from ml.families.record import Family, FamilyParams, Fold, Tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KEY = ("product_id", "day")


class TemplateParams(FamilyParams):
    """What may be set in `params.yaml`; an unknown key is an error that names the nearest known one."""

    history_days: int = Field(28, ge=7)
    windows: int = Field(3, ge=3)


@dataclass(frozen=True, slots=True)
class Model:
    """One number: the share of the recent mean that is expected."""

    share: float


def features(tables: Tables, as_of: date, params: TemplateParams) -> ibis.Table:
    """One row per product and day up to `as_of`: its units, and the mean of the days before it.

    A column may look only at rows before its own day; what happened on the day itself is the target, null from
    `as_of` on.
    """
    lines = tables["order_lines"]
    sold = lines.filter(lines.ordered_at < ibis.timestamp(str(as_of)))
    daily = sold.group_by("product_id", day=sold.ordered_at.date()).aggregate(units=sold.quantity.sum())
    products = tables["products"].select("product_id", "category")
    days = ibis.range(ibis.timestamp(str(as_of - timedelta(days=90))), ibis.timestamp(str(as_of + timedelta(days=1))),
                      ibis.interval(days=1)).unnest().name("moment").as_table()  # fmt: skip
    grid = products.cross_join(days.select(day=days.moment.date()))
    dense = grid.left_join(daily, list(KEY)).select(grid.product_id, grid.category, grid.day, daily.units)
    past = ibis.window(group_by="product_id", order_by="day", preceding=(params.history_days, 1))
    filled = dense.mutate(units=dense.units.fill_null(0.0))
    known = filled.mutate(recent=filled.units.mean().over(past).fill_null(0.0))
    return known.mutate(units=ibis.ifelse(known.day < ibis.date(as_of), known.units, None))


def folds(matrix: ibis.Table, as_of: date, params: TemplateParams) -> tuple[Fold, ...]:
    """The last `windows` days, one by one, each as it stood in its morning."""
    return tuple(_fold(matrix, as_of - timedelta(days=back)) for back in range(params.windows, 0, -1))


def _fold(matrix: ibis.Table, origin: date) -> Fold:
    stood = _as_it_stood(matrix, origin)
    truth = matrix.filter(matrix.day == ibis.date(origin)).select("product_id", "day", "units", "category")
    return Fold(f"origin-{origin.isoformat()}", origin, stood, stood, truth.order_by(*KEY))


def _as_it_stood(matrix: ibis.Table, origin: date) -> ibis.Table:
    known = matrix.filter(matrix.day <= ibis.date(origin))
    return known.mutate(units=ibis.ifelse(known.day < ibis.date(origin), known.units, None))


def fit(matrix: ibis.Table, as_of: date, params: TemplateParams) -> Model:
    """Learn from rows before `as_of` alone."""
    past = matrix.filter(matrix.day < ibis.date(as_of))
    sums = past.aggregate(units=past.units.sum(), recent=past.recent.sum()).to_pyarrow().to_pylist()[0]
    return Model((sums["units"] or 0.0) / max(sums["recent"] or 0.0, 1e-9))


def save(model: Model, folder: Path) -> None:
    """Write the model as JSON, XGBoost models as UBJSON, arrays as safetensors (`ml.toolkit.arrays`); never pickles."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").write_text(json.dumps({"share": model.share}))


def load(folder: Path) -> Model:
    """Read what `save` wrote."""
    return Model(**json.loads((folder / "model.json").read_text()))


def score(model: Model, matrix: ibis.Table, as_of: date) -> pa.Table:
    """One row per key that is to be predicted, sorted by key."""
    return _predict(matrix, as_of, model.share)


def _predict(matrix: ibis.Table, as_of: date, share: float) -> pa.Table:
    today = matrix.filter(matrix.day == ibis.date(as_of))
    made = today.select("product_id", "day", mean=today.recent.cast("float64") * share)
    return made.order_by(*KEY).to_pyarrow()


def baselines(matrix: ibis.Table, as_of: date, params: TemplateParams) -> Mapping[str, pa.Table]:
    """What a sceptic would use: the recent mean itself."""
    return {"recent_mean": _predict(matrix, as_of, 1.0)}


def losses(predictions: pa.Table, truth: pa.Table) -> pa.Table:
    """One row per case with its loss, its weight, the cluster it belongs to, and its slices."""
    both = _joined(predictions, truth)
    loss = np.abs(both.column("units").to_numpy() - both.column("mean").to_numpy())
    return pa.table(
        {
            "case": both.column("product_id"), "entity": both.column("product_id"), "loss": loss,
            "weight": np.abs(both.column("units").to_numpy()), "slice_category": both.column("category"),
        }
    )  # fmt: skip


def _joined(predictions: pa.Table, truth: pa.Table) -> pa.Table:
    return truth.join(predictions, list(KEY), join_type="inner").sort_by(
        [(name, "ascending") for name in KEY]
    )


def metrics(predictions: pa.Table, truth: pa.Table) -> Mapping[str, float]:
    """The numbers to show, each in its exact variant."""
    cases = losses(predictions, truth)
    weight = float(cases.column("weight").to_numpy().sum())
    return {"wape": float(cases.column("loss").to_numpy().sum()) / weight if weight else float("nan")}


def explain(model: Model, matrix: ibis.Table, as_of: date, params: TemplateParams) -> pa.Table:
    """Contributions in words: key, feature, words, value, contribution."""
    made = score(model, matrix, as_of)
    count = len(made)
    named = {"feature": ["recent"] * count, "words": ["what it sold of late"] * count}
    values = {"value": made.column("mean"), "contribution": made.column("mean")}
    return pa.table({"product_id": made.column("product_id"), "day": made.column("day"), **named, **values})


def figures(predictions: pa.Table, truth: pa.Table) -> Mapping[str, Figure]:
    """Pictures for the run's page; made without pyplot, which keeps global state."""
    from matplotlib.figure import Figure

    both = _joined(predictions, truth)
    figure = Figure()
    figure.add_subplot().plot(both.column("mean").to_numpy(), both.column("units").to_numpy(), ".")
    return {"scatter": figure}


def publications(
    model: Model, matrix: ibis.Table, tables: Tables, as_of: date, params: TemplateParams
) -> Mapping[str, pa.Table]:
    """Tables that customers' systems read; swapped in atomically."""
    return {"expected_units": score(model, matrix, as_of)}


def asked(matrix: ibis.Table) -> ibis.Table:
    """What the model was asked over time, for the monitor: no outcome, and when it was asked."""
    return matrix.mutate(asked_at=matrix.day).drop("day", "units")


def asked_between(matrix: ibis.Table, start: date, end: date, most: int) -> tuple[ibis.Table, date]:
    """What the model would have been given for earlier days, for the monitor: without what nobody knew then."""
    return _as_it_stood(matrix, end), end


FAMILY = Family(
    name="_template", tables=("order_lines", "products"), key=KEY, headline="wape",
    baseline="recent_mean", params=TemplateParams, features=features, folds=folds, fit=fit, save=save, load=load,
    score=score, baselines=baselines, losses=losses, metrics=metrics, explain=explain, figures=figures,
    publications=publications, asked=asked, asked_between=asked_between,
    purpose="What a family predicts, in a sentence or two.", limitations=("What it cannot do, one sentence each.",),
)  # fmt: skip
