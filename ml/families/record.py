"""What a model family is: a frozen record of plain functions. The stages know nothing else about it.

Three words are used throughout:

- *tables*: the validated contract tables by name, lazily, as Ibis tables;
- *matrix*: the family's feature table, lazily; one row per `key`; what only the past may know is null in rows
  after the origin (future rows carry what is planned in advance); the origin's own row holds what was known before it;
- *as_of*: the origin; nothing that happened at or after 00:00 UTC of this day is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Tables = Mapping[str, ibis.Table]


class FamilyParams(BaseModel):
    """Base of a family's typed parameters: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = 7
    nthread: int = 2


@dataclass(frozen=True, slots=True)
class Fold:
    """One window of the backtest: fit on `train`, score `test`, compare with `truth`.

    `train` and `test` are matrices as they stood at `as_of`; `truth` holds the family's key and what came true.
    """

    name: str
    as_of: date
    train: ibis.Table
    test: ibis.Table
    truth: ibis.Table


@dataclass(frozen=True, slots=True)
class Serving:
    """How a model answers requests by itself, where callers do not have rows of the matrix.

    answer(model, requests) -> rows; columns that a request may leave out are null or absent.
    example(model) -> a small request with every column; it and its answer are the signature that MLflow shows.
    """

    answer: Callable[[Any, pa.Table], pa.Table]
    example: Callable[[Any], pa.Table]


@dataclass(frozen=True, slots=True)
class Realised:
    """How what was published turned out.

    days: how old a publication is before it can be judged. losses(published, matrix, as_of, now, params) -> rows as
    of `Family.losses`, of the tables that were published as of `as_of`, by what the matrix of `now` knows; None where
    it is too early. A column `expected` is the loss that the publication itself promised for the case (without it the
    backtest's losses are what was to be expected); columns `also_<name>` are reported by their mean.
    """

    days: int
    losses: Callable[[Mapping[str, pa.Table], ibis.Table, date, date, Any], pa.Table | None]


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting of a sweep that was judged on the hold-out: what was set, and what came of it."""

    params: Mapping[str, str | float]
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Family:
    """A model family. All functions are pure: same inputs (and seed), same outputs, inputs untouched.

    tables: what it reads, first the events that it learns from.
    features(tables, as_of, params) -> the matrix.
    folds(matrix, as_of, params) -> windows of the backtest, oldest first; the last is the hold-out that the gate reads.
    fit(matrix, as_of, params) -> a model; sees only what the matrix knows before `as_of`.
    save(model, folder), load(folder) -> the model as files (UBJSON and JSON, never pickles).
    score(model, matrix, as_of) -> predictions, one row per key that is to be predicted.
    baselines(matrix, as_of, params) -> {name: predictions}, of the same columns; `baseline` names the one that judges.
    losses(predictions, truth) -> one row per case: case, entity (shared by cases that depend on each other), loss,
        weight, and one string column `slice_<name>` per slice. Lower is better; a mean is sum(loss) / sum(weight).
    metrics(predictions, truth) -> {metric: value}; `headline` names the one to show.
    explain(model, matrix, as_of, params) -> contributions: key, feature, words, value, contribution; those of one key
        add up to its prediction, on the scale of the model and up to a constant. A retrain's are kept with its run.
    figures(predictions, truth) -> {file stem: figure} for MLflow.
    purpose, limitations: sentences for the model card. `better`: which way a metric gets better, where not "lower".
    publications(model, matrix, tables, as_of, params) -> {table name: rows} for the warehouse and the pages.
    trials(predictions, truth) -> {name: trial}: settings that the family has swept over, as nested runs in MLflow.
    serving: how the registered model answers; None: it scores rows of the matrix.
    asked(matrix) -> what a model is asked, over time: rows of the matrix with a column `asked_at`, without outcomes and
        without what depends on how long ago that was. The monitor compares its columns; None: they are not watched.
    asked_between(matrix, start, end, most) -> the matrix and the as_of that `score` would have been given for the days
        from `start` on and before `end`; of about `most` entities where the answer to one does not hang on others. The
        monitor compares what is answered now with what would have been a year ago; None: scores are not watched.
    realised: how what was published turned out; None: nobody can tell.
    """

    name: str
    tables: tuple[str, ...]
    key: tuple[str, ...]
    headline: str
    baseline: str
    params: type[FamilyParams]
    features: Callable[[Tables, date, Any], ibis.Table]
    folds: Callable[[ibis.Table, date, Any], tuple[Fold, ...]]
    fit: Callable[[ibis.Table, date, Any], Any]
    save: Callable[[Any, Path], None]
    load: Callable[[Path], Any]
    score: Callable[[Any, ibis.Table, date], pa.Table]
    baselines: Callable[[ibis.Table, date, Any], Mapping[str, pa.Table]]
    losses: Callable[[pa.Table, pa.Table], pa.Table]
    metrics: Callable[[pa.Table, pa.Table], Mapping[str, float]]
    explain: Callable[[Any, ibis.Table, date, Any], pa.Table]
    figures: Callable[[pa.Table, pa.Table], Mapping[str, Figure]]
    publications: Callable[[Any, ibis.Table, Tables, date, Any], Mapping[str, pa.Table]]
    purpose: str = ""
    better: Mapping[str, str] = field(default_factory=dict)
    limitations: tuple[str, ...] = ()
    trials: Callable[[pa.Table, pa.Table], Mapping[str, Trial]] | None = None
    serving: Serving | None = None
    asked: Callable[[ibis.Table], ibis.Table] | None = None
    asked_between: Callable[[ibis.Table, date, date, int], tuple[ibis.Table, date]] | None = None
    realised: Realised | None = None
