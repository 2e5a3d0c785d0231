"""What the desk reads of the ledger: few queries, however many versions there are, and only the columns it shows.

Locks, parameters and profiles are large and stay where they are; of a decision's verdict comes the headline alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any, TypeVar

from sqlalchemy import JSON, Row, Select, and_, func, or_, select, type_coerce
from sqlalchemy.orm import Session

from ml.seams.ledger import ENTHRONES, Ledger
from ml.seams.ledger.models import Decision, Look, Publication, Run, Snapshot

RETRAIN, INGEST = "retrain", "ingest"
MOST_WAITING, LAST_INGESTS = 50, 5


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """One decision, with the headline of its verdict (null in a roll back)."""

    family: str
    seq: int
    action: str
    run_id: str
    version: str | None
    actor: str
    why: str
    decided_at: datetime
    headline: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run without its lock and parameters."""

    run_id: str
    kind: str
    family: str | None
    as_of: date
    opened_at: datetime
    status: str
    git_commit: str
    data_digest: str
    notes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """One validated table of one ingest; `checks`: how many were made and failed.

    decided: rows that came back from quarantine by people's decisions, and whose these were; None where none did.
    """

    run_id: str
    table_name: str
    as_of: date
    sealed_at: datetime
    digest: str
    rows: int
    quarantined: int
    checks: Mapping[str, int] | None
    decided: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class PublicationRow:
    """What was published last of a family."""

    family: str
    version: str
    as_of: date
    names: Mapping[str, int]
    site: str
    published_at: datetime


@dataclass(frozen=True, slots=True)
class LookRow:
    """The monitor's last look at a family."""

    family: str
    version: str
    as_of: date
    looked_at: datetime
    breached: bool
    asked: bool
    why: str
    findings: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class MetricRow:
    """The headline metric that was kept of a judged run, and all metrics by model."""

    run_id: str
    headline: str | None
    metrics: Mapping[str, Mapping[str, float | None]] | None

    def of(self, model: str) -> float | None:
        """The headline metric of a model on the hold-out."""
        return (self.metrics or {}).get(model, {}).get(self.headline or "")


@dataclass(frozen=True, slots=True)
class DeskRows:
    """Everything for the pages. `decisions`: the last of each family, oldest first; `ingests`: newest first.

    metrics: of the runs that were decided about, and of those that wait.
    """

    decisions: tuple[DecisionRow, ...]
    champions: Mapping[str, DecisionRow]
    runs: Mapping[str, RunRow]
    newest: Mapping[str, RunRow]
    waiting: tuple[RunRow, ...]
    ingests: tuple[RunRow, ...]
    snapshots: tuple[SnapshotRow, ...]
    publications: Mapping[str, PublicationRow]
    looks: Mapping[str, LookRow]
    metrics: Mapping[str, MetricRow]


_Kind = TypeVar("_Kind", DecisionRow, RunRow, SnapshotRow, PublicationRow, LookRow, MetricRow)
_COMPUTED = {
    (DecisionRow, "headline"): type_coerce(Decision.verdict["headline"], JSON),
    (MetricRow, "headline"): type_coerce(Run.notes[("judged", "headline")], JSON),
    (MetricRow, "metrics"): type_coerce(Run.notes[("judged", "metrics")], JSON),
    (SnapshotRow, "checks"): type_coerce(Snapshot.profile["checks"], JSON),
    (SnapshotRow, "decided"): type_coerce(Snapshot.profile["decided"], JSON),
}


def read_desk(
    ledger: Ledger, families: Sequence[str], last: int, undecided: Sequence[str], also: str | None = None
) -> DeskRows:
    """Read all for `families` in one transaction: the `last` decisions of each, champions, runs, data.

    `undecided`: states of a run that waits for a decision. `also`: the id of one more run.
    """
    with ledger._session() as session:
        decisions = _all(session, DecisionRow, _select(DecisionRow, Decision).where(_recent(families, last)))
        champions = _all(session, DecisionRow, _select(DecisionRow, Decision).where(_enthroned(families)))
        named = {row.run_id for row in champions} | ({also} if also else set())
        runs = _all(session, RunRow, _select(RunRow, Run).where(_of_interest(families, undecided, named)))
        ingests = _all(session, RunRow, _ingests())
        wanted = {row.notes.get("ingest") for row in runs} | {
            row.run_id for row in ingests if row.status == "sealed"
        }
        snapshots = _all(
            session, SnapshotRow, _select(SnapshotRow, Snapshot).where(Snapshot.run_id.in_(wanted))
        )
        publications = _all(session, PublicationRow, _newest_publications(families))
        looks = _all(session, LookRow, _newest_looks(families))
        about = {row.run_id for row in decisions} | {run.run_id for run in runs}
        metrics = _all(session, MetricRow, _select(MetricRow, Run).where(Run.run_id.in_(about)))
    return DeskRows(
        decisions=tuple(sorted(decisions, key=lambda row: (row.family, row.seq))),
        champions={row.family: row for row in champions},
        runs={row.run_id: row for row in runs},
        newest=_newest(runs),
        waiting=tuple(sorted((r for r in runs if r.status in undecided), key=lambda row: row.opened_at)),
        ingests=tuple(ingests),
        snapshots=tuple(sorted(snapshots, key=lambda row: row.table_name)),
        publications={row.family: row for row in publications},
        looks={row.family: row for row in looks},
        metrics={row.run_id: row for row in metrics},
    )


def run_of(ledger: Ledger, family: str, version: str) -> str | None:
    """The run that made a version that was decided about, by the family's decisions; None if there is none."""
    with ledger._session() as session:
        return session.scalar(
            select(Decision.run_id).where(Decision.family == family, Decision.version == version).limit(1)
        )


def mlflow_run_of(ledger: Ledger, run_id: str) -> str | None:
    """The run in MLflow of a run; None where it was not recorded."""
    with ledger._session() as session:
        notes = session.scalar(select(Run.notes).where(Run.run_id == run_id))
    return None if notes is None else notes.get("mlflow_run_id")


def _select(kind: type[_Kind], model: Any) -> Select[Any]:
    columns = [_COMPUTED.get((kind, f.name)) for f in fields(kind)]
    named = [
        getattr(model, field.name) if column is None else column.label(field.name)
        for field, column in zip(fields(kind), columns, strict=True)
    ]
    return select(*named)


def _all(session: Session, kind: Callable[..., _Kind], query: Select[Any]) -> list[_Kind]:
    rows: Sequence[Row[Any]] = session.execute(query).all()
    return [kind(*row) for row in rows]


def _recent(families: Sequence[str], last: int) -> Any:
    newest = (
        select(Decision.family, func.max(Decision.seq).label("seq"))
        .where(Decision.family.in_(families))
        .group_by(Decision.family)
        .subquery()
    )
    return (
        select(newest.c.seq)
        .where(newest.c.family == Decision.family, Decision.seq > newest.c.seq - last)
        .exists()
    )


def _enthroned(families: Sequence[str]) -> Any:
    newest = (
        select(Decision.family, func.max(Decision.seq).label("seq"))
        .where(Decision.family.in_(families), Decision.action.in_(ENTHRONES))
        .group_by(Decision.family)
        .subquery()
    )
    return (
        select(newest.c.seq).where(newest.c.family == Decision.family, newest.c.seq == Decision.seq).exists()
    )


def _of_interest(families: Sequence[str], undecided: Sequence[str], named: set[str]) -> Any:
    """Runs that are named, the newest retrain of each family, and those that wait for a decision."""
    newest = (
        select(Run.family, func.max(Run.opened_at).label("opened_at"))
        .where(Run.family.in_(families), Run.kind == RETRAIN)
        .group_by(Run.family)
        .subquery()
    )
    of_newest = select(newest.c.family).where(
        newest.c.family == Run.family, newest.c.opened_at == Run.opened_at
    )
    waiting = (
        select(Run.run_id)
        .where(Run.family.in_(families), Run.kind == RETRAIN, Run.status.in_(undecided))
        .order_by(Run.opened_at.desc())
        .limit(MOST_WAITING)
    )
    return or_(
        Run.run_id.in_(named),
        and_(Run.kind == RETRAIN, of_newest.exists()),
        Run.run_id.in_(waiting),
    )


def _ingests() -> Select[Any]:
    return (
        _select(RunRow, Run)
        .where(Run.kind == INGEST)
        .order_by(Run.opened_at.desc(), Run.run_id.desc())
        .limit(LAST_INGESTS)
    )


def _newest_publications(families: Sequence[str]) -> Select[Any]:
    newest = (
        select(func.max(Publication.publication_id))
        .where(Publication.family.in_(families))
        .group_by(Publication.family)
    )
    return _select(PublicationRow, Publication).where(Publication.publication_id.in_(newest))


def _newest_looks(families: Sequence[str]) -> Select[Any]:
    newest = (
        select(Look.family, func.max(Look.looked_at).label("looked_at"))
        .where(Look.family.in_(families))
        .group_by(Look.family)
        .subquery()
    )
    of_newest = select(newest.c.family).where(
        newest.c.family == Look.family, newest.c.looked_at == Look.looked_at
    )
    return _select(LookRow, Look).where(of_newest.exists())


def _newest(runs: Sequence[RunRow]) -> dict[str, RunRow]:
    found: dict[str, RunRow] = {}
    for run in sorted(runs, key=lambda row: (row.opened_at, row.run_id)):
        if run.family is not None and run.kind == RETRAIN:
            found[run.family] = run
    return found
