"""Stage `evaluate`: losses of challenger, champion and baselines on the same cases.

data/evaluation/<family>/ gets
  losses.parquet    fold, model, case, entity, loss, weight, slice_*
  metrics.json      {fold: {model: {metric: value}}}; `holdout` names the fold that the gate reads
  predictions.parquet, truth.parquet   of the hold-out, for plots
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from ml.config import load_params
from ml.families import family as family_of
from ml.families.loading import ABOUT, check
from ml.seams.engine import open_engine
from ml.stages import NEWEST, run_stage_main
from ml.stages.family_params import params_of
from ml.toolkit.gate import BASELINE, CHALLENGER, CHAMPION

if TYPE_CHECKING:
    from ml.families.record import Family, Fold

log = logging.getLogger(__name__)
CHAMPION_FOLDER = Path("data/inputs/champion")
AGE = "data_age_days"


def evaluate(name: str) -> None:
    """Score every window of the backtest with its own model and the baselines; the last one with the champion too."""
    params = load_params()
    record = family_of(name)
    own = params_of(record, params)
    target = _emptied(Path("data/evaluation") / name)
    check(Path("data/model") / name)
    with open_engine(params.features, Path(f"data/scratch-{name}")) as engine:
        matrix = engine.table("matrix", Path("data/features") / name)
        folds = record.folds(matrix, params.as_of, own)
        losses: list[pa.Table] = []
        metrics: dict[str, dict[str, dict[str, float]]] = {}
        for number, fold in enumerate(folds, start=1):
            log.info("judge %d of %d: %s", number, len(folds), fold.name)
            truth = fold.truth.to_pyarrow()
            metrics[fold.name] = {}
            for model, predictions in _predictions(record, fold, own, name, last=fold is folds[-1]):
                losses.append(_labelled(record.losses(predictions, truth), fold.name, model))
                metrics[fold.name][model] = dict(record.metrics(predictions, truth))
                if fold is folds[-1] and model == CHALLENGER:
                    pq.write_table(predictions, target / "predictions.parquet")
                    pq.write_table(truth, target / "truth.parquet")
    metrics[folds[-1].name][CHALLENGER] |= _age(Path("data/features") / name / NEWEST, params.as_of)
    pq.write_table(pa.concat_tables(losses), target / "losses.parquet")
    summary = {"holdout": folds[-1].name, "headline": record.headline, "folds": metrics}
    (target / "metrics.json").write_text(json.dumps(summary, indent=1, sort_keys=True))


def _age(newest: Path, as_of: date) -> dict[str, float]:
    """How old the newest event was at `as_of`, in days: a limit of the gate, for data that stopped arriving."""
    said = json.loads(newest.read_text())["newest"] if newest.exists() else None
    if said is None:
        return {}
    return {AGE: (datetime.combine(as_of, time()) - datetime.fromisoformat(said)) / timedelta(days=1)}


def _predictions(
    record: Family, fold: Fold, own: Any, name: str, *, last: bool
) -> Iterator[tuple[str, pa.Table]]:
    model = record.load(Path("data/model") / name / "folds" / fold.name)
    yield CHALLENGER, record.score(model, fold.test, fold.as_of)
    if last:
        yield from _champion(record, fold)
    for baseline, predictions in record.baselines(fold.test, fold.as_of, own).items():
        yield (BASELINE if baseline == record.baseline else baseline), predictions


def _champion(record: Family, fold: Fold) -> Iterator[tuple[str, pa.Table]]:
    if not (CHAMPION_FOLDER / ABOUT).exists():
        return
    folder = CHAMPION_FOLDER / "folds" / check(CHAMPION_FOLDER)["holdout"]
    try:
        yield CHAMPION, record.score(record.load(folder), fold.test, fold.as_of)
    except (KeyError, ValueError, TypeError) as error:
        log.warning("the champion cannot score today's features (%s): the baseline judges", error)


def _labelled(losses: pa.Table, fold: str, model: str) -> pa.Table:
    rows = losses.num_rows
    labelled = losses.add_column(0, "model", pa.array([model] * rows, pa.string()))
    return labelled.add_column(0, "fold", pa.array([fold] * rows, pa.string()))


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


if __name__ == "__main__":
    run_stage_main(evaluate)
