"""The first run: data where there is none, and an ingest of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, date, datetime

from ml.actions.ingest import day_after_newest
from ml.actions.load import load, tables_of
from ml.config import Settings, load_params
from ml.contracts import TABLES
from ml.errors import SeamUnavailable
from ml.platform.airflow_api import Airflow
from ml.platform.start import Say
from ml.seams.ledger import Ledger
from ml.seams.warehouse import connect
from ml.sources import WORLD

INGEST = "ingest"
SEED = 7


def fill(url: str, size: str, say: Say) -> bool:
    """Load the simulated world into a warehouse without any contract table; returns whether it did."""
    if _contract_tables(url):
        return False
    tables, _ = tables_of(WORLD, size=size, seed=SEED)
    written = load(url, WORLD, tables)
    rows = ", ".join(f"{count:,} {name}" for name, count in written.items() if count)
    say(f"the warehouse was empty; loaded the simulated shop ({rows})")
    return True


def _contract_tables(url: str) -> tuple[str, ...]:
    with connect(url) as warehouse:
        return tuple(sorted(warehouse.tables() & set(TABLES)))


def newest_day(url: str) -> date:
    """The `as_of` that knows all of the warehouse's data."""
    with connect(url) as warehouse:
        present = warehouse.tables()
        return day_after_newest(warehouse, [name for name in TABLES if name in present])


def families_untried(settings: Settings) -> Sequence[str]:
    """The families of `params.yaml` of which nothing was decided yet, and that have no version waiting for a person.

    One whose version lost the gate is not among them: the same data would be judged the same way again.
    """
    ledger = Ledger(settings.ledger)
    families = load_params(settings.project / "params.yaml").families
    return [name for name in families if not ledger.decisions(name) and not ledger.runs_of(name, "recorded")]


def families_without_champion(settings: Settings) -> Sequence[str]:
    """The families of `params.yaml` that have nothing in service."""
    ledger = Ledger(settings.ledger)
    families = load_params(settings.project / "params.yaml").families
    return [name for name in families if ledger.champion(name) is None]


def trigger_ingest(airflow: Airflow, as_of: date, seconds: float = 180.0) -> datetime:
    """Start an ingest, unless one that was asked for, or a retrain, is at work; returns when to follow from."""
    _await_dag(airflow, seconds)
    active = airflow.active()
    since = min([datetime.now(UTC), *(run.due for run in active)])
    if not any(run.by_hand or run.dag_id.startswith("retrain_") for run in active):
        airflow.trigger(INGEST, {"as_of": as_of.isoformat()})
    return since


def _await_dag(airflow: Airflow, seconds: float) -> None:
    """A DAG can be triggered once the DAG processor has read its file."""
    deadline = time.monotonic() + seconds
    while not airflow.has_dag(INGEST):
        errors = airflow.import_errors()
        if errors or time.monotonic() > deadline:
            raise SeamUnavailable(
                f"Airflow knows no DAG {INGEST!r}",
                found="\n".join(f"{file}:\n{_last_lines(trace)}" for file, trace in errors.items())
                or "no error",
                expected="dags/ingest.py to be read",
                next_step="mend the file it names, or see logs/dag-processor.log in BELLWETHER_HOME",
            )
        time.sleep(0.5)


def _last_lines(trace: str, lines: int = 8) -> str:
    return "\n".join(trace.strip().splitlines()[-lines:])
