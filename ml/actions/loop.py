"""The whole loop for one family without Airflow: ingest, retrain, publish, one step after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from ml import handover
from ml.actions.ingest import IngestRun, open_ingest, read, require_tables, seal
from ml.actions.publish import Published, publish
from ml.actions.record import record
from ml.actions.replay import open_replay
from ml.actions.retrain import approve, check_overrides, open_retrain, promote, verdict_of
from ml.config import settings
from ml.families import family as family_of
from ml.pipeline import stages_of
from ml.seams.ledger import migrate

Step = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a loop ended."""

    family: str
    as_of: date
    version: str
    promoted: bool
    verdict: dict[str, Any]
    mlflow: str
    published: Published | None = field(default=None)


def run_loop(
    family: str,
    as_of: date | None,
    *,
    overrides: dict[str, Any] | None = None,
    replay: bool = False,
    step: Step = lambda _text: None,
) -> Outcome:
    """Run everything for one family; `step` is told what begins. The champion stays unless the gate approves.

    replay: do not read the warehouse, but take the newest snapshots again with what people decided about their rows.
    """
    at = settings()
    check_overrides(family, overrides or {})
    migrate(at.ledger)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    day = replay_ingest(as_of, stamp, step) if replay else _ingest(family, as_of, stamp, step)
    return _retrain(family, day, stamp, overrides or {}, step)


def _ingest(family: str, as_of: date | None, stamp: str, step: Step) -> date:
    step("open the warehouse")
    require_tables(family)
    run = open_ingest(f"ingest-{stamp}", as_of, only=family_of(family).tables)
    for table in run.tables:
        step(f"snapshot {table} as of {run.as_of}")
        read(run.run_id, f"snapshot@{table}")
    return _validate_and_seal(run, step)


def replay_ingest(as_of: date | None, stamp: str, step: Step = lambda _text: None) -> date:
    """Replay the newest ingest (of `as_of`, if given) and seal it; returns its day."""
    migrate(settings().ledger)
    step("bring the snapshots, and the rows that come back")
    return _validate_and_seal(open_replay(f"replay-{stamp}", as_of), step)


def _validate_and_seal(run: IngestRun, step: Step) -> date:
    for table in run.tables:
        step(f"validate {table}")
        handover.run_stage(run.run_id, f"validate@{table}")
    step("seal the validated tables")
    seal(run.run_id)
    return run.as_of


def _retrain(family: str, as_of: date, stamp: str, overrides: dict[str, Any], step: Step) -> Outcome:
    run_id = f"{family}-{stamp}"
    open_retrain(family, run_id, as_of, overrides=overrides)
    for stage in stages_of(family):
        step(f"run {stage}")
        handover.run_stage(run_id, stage)
    step("record in MLflow")
    recorded = record(run_id)
    promoted = approve(run_id)
    published = None
    if promoted:
        step("promote")
        promote(run_id)
        step("publish")
        published = publish(family, f"publish-{run_id}")
    return Outcome(family, as_of, recorded.version, promoted, verdict_of(run_id), recorded.url, published)
