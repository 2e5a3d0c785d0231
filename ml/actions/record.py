"""Record a judged retrain in MLflow: a run to compare, and a registered version with all that it was made of."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow.csv import write_csv

from ml import handover, workspace
from ml.actions.card import card_of, decided_in_words, facts_of
from ml.actions.judged import NOTE, judged
from ml.actions.retrain import finish_stages, verdict_in_words, verdict_of
from ml.config import Settings, settings
from ml.families import family as family_of
from ml.families.loading import load_model
from ml.families.pyfunc import _load_pyfunc
from ml.seams import versioning
from ml.seams.engine import open_engine
from ml.seams.ledger import Ledger
from ml.seams.ledger.models import Run
from ml.seams.tracking import Tracking
from ml.seams.tracking.records import DataInput, Record, Recorded
from ml.stages.family_params import params_of
from ml.toolkit.gate import CHALLENGER

if TYPE_CHECKING:
    from ml.families.record import Family

log = logging.getLogger(__name__)
EXPLAINED = 20
TIMED = 5
"""Answers that are timed."""
MADE = ("features", "model", "evaluation", "verdict")
REJUDGED = ("evaluation", "verdict", "workspace", "workspace/params")
"""Files of a recorded run that another judgement replaces."""


def record(run_id: str) -> Recorded:
    """Log the run and register its version; a retry finds what was logged before."""
    at = settings()
    ledger = Ledger(at.ledger)
    finish_stages(run_id)
    run = ledger.run(run_id)
    with workspace.held(workspace.existing(run_id)):
        served = _served(run)
        measured = {"latency_ms": latency(served)}
        ledger.update_run(run_id, notes={"measured": measured})
        entry = _entry(at, run, served, measured)
        recorded = Tracking(at.mlflow).record(entry)
    ledger.update_run(
        run_id,
        status="recorded",
        notes={
            "version": recorded.version,
            "mlflow_run_id": recorded.mlflow_run_id,
            NOTE: _judged(entry),
        },
    )
    log.info("recorded %s version %s: %s", run.family, recorded.version, recorded.url)
    return recorded


def record_again(run_id: str) -> None:
    """Record a new judgement on a version that is recorded: MLflow, the model card and the desk show the last one."""
    at = settings()
    ledger = Ledger(at.ledger)
    run = ledger.run(run_id)
    with workspace.held(workspace.existing(run_id)):
        entry = _entry(at, run, _served(run), run.notes["measured"])
        amended = replace(
            entry,
            tags={**entry.tags, "judged_again": _opponent(ledger, run)},
            files={name: entry.files[name] for name in REJUDGED},
            figures={},
        )
        Tracking(at.mlflow).amend(amended, run.notes["mlflow_run_id"], run.notes["version"])
    ledger.update_run(run_id, status="recorded", notes={NOTE: _judged(entry)})
    log.info("recorded the new judgement on %s version %s", run.family, run.notes["version"])


def _opponent(ledger: Ledger, run: Run) -> str:
    champion = ledger.champion(str(run.family))
    look = workspace.params_of(run.run_id).gate.look
    return f"against version {champion.version if champion else 'none'}, at look {look}"


def _judged(entry: Record) -> dict[str, Any]:
    folder, record = workspace.existing(entry.run_id), family_of(entry.family)
    return judged(folder, record, verdict_of(entry.run_id), entry.figures, entry.files["explanations"])


def _entry(at: Settings, run: Run, served: Served, measured: Mapping[str, float]) -> Record:
    record = family_of(str(run.family))
    folder = workspace.existing(run.run_id)
    source = folder / "data/evaluation" / record.name
    evaluation = json.loads((source / "metrics.json").read_text())
    verdict = verdict_of(run.run_id)
    data = tuple(_inputs(at, folder, run, record))
    predictions, truth = (pq.read_table(source / f"{name}.parquet") for name in ("predictions", "truth"))
    return Record(
        family=record.name,
        run_id=run.run_id,
        name=f"{record.name} as of {run.as_of}",
        tags={**_tags(run, verdict), **_decided(data)},
        params=_params(folder, record.name),
        metrics={**dict(_metrics(evaluation, verdict)), **measured},
        windows=_windows(evaluation),
        data=data,
        model=folder / "data/model" / record.name,
        example=served.request,
        predictions=served.answer,
        card=card_of(folder, run, record, evaluation, verdict, data),
        verdict=verdict_in_words(verdict),
        files={**_files(folder, record), "explanations": _explanations(folder, record, run.as_of)},
        figures=record.figures(predictions, truth),
        trials=record.trials(predictions, truth) if record.trials else {},
    )


def _tags(run: Run, verdict: Mapping[str, Any]) -> dict[str, str]:
    return {
        "family": str(run.family),
        "as_of": run.as_of.isoformat(),
        "data_digest": run.data_digest,
        "code_digest": run.code_digest,
        "git_commit": run.git_commit,
        "verdict": "approved" if verdict["approved"] else "refused",
        "bellwether.run_id": run.run_id,
        "bellwether.ingest": run.notes["ingest"],
    }


def _decided(data: Sequence[DataInput]) -> dict[str, str]:
    """The tag that says which rows of its data people let come back; {} where there are none."""
    told = "; ".join(f"{item.name}: {item.decided[0]}" for item in data if item.decided)
    return {"rows_by_decision": told} if told else {}


def _params(folder: Path, family: str) -> dict[str, str]:
    params = workspace.params_of(folder.name)
    own = family_of(family).params.model_validate(params.families[family].params)
    flat = {f"{family}.{name}": str(value) for name, value in own.model_dump().items()}
    gate = {f"gate.{name}": str(value) for name, value in params.gate.model_dump().items()}
    return {"as_of": params.as_of.isoformat(), "engine": params.features.engine, **flat, **gate}


def _metrics(evaluation: Mapping[str, Any], verdict: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for model, metrics in evaluation["folds"][evaluation["holdout"]].items():
        prefix = "" if model == CHALLENGER else f"{model}_"
        yield from ((f"{prefix}{name}", value) for name, value in metrics.items() if value is not None)
    if verdict["headline"]:
        yield from ((f"gate_{name}", verdict["headline"][name]) for name in ("difference", "low", "high"))


def _windows(evaluation: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    return {
        fold: {
            (name if model == CHALLENGER else f"{model}_{name}"): value
            for model, metrics in models.items()
            for name, value in metrics.items()
            if value is not None
        }
        for fold, models in evaluation["folds"].items()
    }


def _inputs(at: Settings, folder: Path, run: Run, record: Family) -> Iterator[DataInput]:
    lock = versioning.read_lock(folder)
    sealed = {
        item.table_name: item for item in Ledger(at.ledger).sealed_by(run.notes["ingest"], record.tables)
    }
    for table in record.tables:
        path = f"data/validated/{table}"
        digest = versioning.digest_of(lock, f"validate@{table}", path)
        source = f"{at.remote}/files/md5/{digest[:2]}/{digest[2:]}"
        checks, failed = facts_of(sealed[table])
        aside, decided = sealed[table].quarantined, decided_in_words(sealed[table])
        yield DataInput(table, digest, source, sealed[table].rows, checks, failed, aside, decided)


@dataclass(frozen=True, slots=True)
class Served:
    """What the registered model takes and gives, by example."""

    model: Path
    request: pa.Table
    answer: pa.Table


def _served(run: Run) -> Served:
    record = family_of(str(run.family))
    folder = handover.take(run.run_id, *(f"data/{made}/{record.name}" for made in MADE))
    home = folder / "data/model" / record.name
    if record.serving is None:
        predictions = pq.read_table(folder / "data/evaluation" / record.name / "predictions.parquet")
        return Served(home, _example(folder, record, predictions), predictions.slice(0, 20))
    model = load_model(record, home, "final")
    request = record.serving.example(model)
    return Served(home, request, record.serving.answer(model, request))


def latency(served: Served) -> float:
    """Median wall time in milliseconds of an answer to the example, as MLflow serves it, after one to warm up."""
    model, request = _load_pyfunc(str(served.model)), served.request.to_pandas()
    model.predict(request)
    taken = []
    for _ in range(TIMED):
        begun = perf_counter()
        model.predict(request)
        taken.append(1000 * (perf_counter() - begun))
    return median(taken)


def _example(folder: Path, record: Family, predictions: pa.Table) -> pa.Table:
    """All rows of the matrix of the first two entities that were predicted: enough to predict from."""
    params = workspace.params_of(folder.name)
    entity = record.key[0]
    some = sorted(set(predictions[entity].to_pylist()))[:2]
    with open_engine(params.features, folder / "data/scratch-example") as engine:
        matrix = engine.table("matrix", folder / "data/features" / record.name)
        rows: pa.Table = matrix.filter(matrix[entity].isin(some)).order_by(list(record.key)).to_pyarrow()
    return rows


def _explanations(folder: Path, record: Family, as_of: date) -> Path:
    """Why the version that would be served says what it says, of its EXPLAINED largest predictions, as a CSV file."""
    params = workspace.params_of(folder.name)
    with open_engine(params.features, folder / "data/scratch-explanations") as engine:
        matrix = engine.table("matrix", folder / "data/features" / record.name)
        model = load_model(record, folder / "data/model" / record.name, "final")
        given = record.explain(model, matrix, as_of, params_of(record, params))
    target = folder / "data/explanations" / record.name / "explanations.csv"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_csv(largest(given, record.key), target)
    return target


def largest(given: pa.Table, key: Sequence[str], count: int = EXPLAINED) -> pa.Table:
    """The contributions to what is said of the `count` entities (first column of the key) of the largest predictions.

    The contributions of one key add up to its prediction, on the scale of the model and up to a constant.
    """
    entity = key[0]
    made = given.group_by(list(key)).aggregate([("contribution", "sum")])
    best = made.group_by(entity).aggregate([("contribution_sum", "max")])
    ranked = best.sort_by([("contribution_sum_max", "descending"), (entity, "ascending")])
    return given.filter(pc.is_in(given.column(entity), ranked.column(entity).slice(0, count)))


def _files(folder: Path, record: Family) -> dict[str, Path]:
    """MLflow folder -> what goes there: how to rebuild it, what was found in the data, what the gate said."""
    validations = {table: f"data/validation/{table}" for table in record.tables}
    versioning.pull(folder, list(validations.values()))
    return {
        "evaluation": folder / "data/evaluation" / record.name / "metrics.json",
        "verdict": folder / "data/verdict" / record.name / "verdict.json",
        "workspace": folder / "dvc.lock",
        "workspace/params": folder / "params.yaml",
        **{f"data_docs/{table}": folder / path / "docs" for table, path in validations.items()},
    }
