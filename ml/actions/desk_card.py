"""A family at a glance, from the rows of the ledger: who is in service, who came after, on which data."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from ml.actions.judged import NOTE
from ml.config import FamilyEntry, Settings
from ml.publishing.desk import (
    Card,
    Data,
    Decided,
    Difference,
    Drift,
    Finding,
    Headline,
    Reproduction,
    Shown,
    TableChecked,
    Version,
)
from ml.publishing.trend import Point
from ml.seams.ledger import PROMOTE, REJECT, ROLL_BACK
from ml.seams.ledger.desk import DecisionRow, DeskRows, RunRow

ADDRESSABLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""Names of versions and of plots that may stand in an address."""
_OUTCOMES = {PROMOTE: "promoted", REJECT: "refused"}
_STATES = {
    "open": "in training",
    "judged": "judged",
    "recorded": "waits for a decision",
    "approved": "waits for a decision",
    "promoted": "promoted",
    "refused": "refused",
}


def card(at: Settings, rows: DeskRows, family: str, entry: FamilyEntry) -> Card:
    """One family. The challenger is its newest retrain, if that is not the champion's own."""
    champion, newest = rows.champions.get(family), rows.newest.get(family)
    serving = rows.runs.get(champion.run_id) if champion else None
    challenger = newest if newest and (champion is None or newest.run_id != champion.run_id) else None
    said: Mapping[str, Any] = next(
        (run.notes[NOTE] for run in (newest, serving) if run and NOTE in run.notes), {}
    )
    points, metric = tuple(_points(rows, family)), tuple(_metric_points(rows, family))
    return Card(
        family=family,
        purpose=said.get("purpose", ""),
        policy=entry.approval,
        champion=version_of(at, rows, serving, champion) if serving else None,
        challenger=version_of(at, rows, challenger) if challenger else None,
        points=points,
        metric=str(said.get("headline", "")),
        metric_better=str(said.get("better", {}).get(said.get("headline"), "lower")) if said else "",
        metric_points=() if _same(points, metric) else metric,
        data=_data(at, rows, newest or serving, said.get("tables")),
        shown=_shown(at, rows, family),
        drift=_drift(rows, family),
    )


def version_of(at: Settings, rows: DeskRows, run: RunRow, decision: DecisionRow | None = None) -> Version:
    """A run's version; `decision`: the one to tell of, the last one about the run where it is not given."""
    of_run = [row for row in rows.decisions if row.run_id == run.run_id]
    last = decision or (of_run[-1] if of_run else None)
    judged: Mapping[str, Any] = run.notes.get(NOTE, {})
    number = str(run.notes.get("version", ""))
    verdict = judged.get("verdict", {})
    headline = (last.headline if last else None) or verdict.get("headline")
    return Version(
        number=number,
        run_id=run.run_id,
        as_of=run.as_of,
        at=last.decided_at if last else run.opened_at,
        state="in service" if decision else _STATES.get(run.status, run.status),
        by=last.actor if last else "",
        reasons=(last.why,) if last else tuple(verdict.get("reasons", ())),
        headline=_headline(judged),
        difference=difference_of(headline),
        data_digest=run.data_digest,
        git_commit=run.git_commit,
        mlflow=_mlflow_run(at, run),
        address=_address(str(run.family), number),
        reproduction=reproduction_of(run),
    )


def _headline(judged: Mapping[str, Any]) -> Headline | None:
    name = judged.get("headline", "")
    models = judged.get("metrics", {})
    value = models.get("challenger", {}).get(name)
    if value is None:
        return None
    champion, baseline = (models.get(model, {}).get(name) for model in ("champion", "baseline"))
    return Headline(name, value, champion, baseline)


def difference_of(part: Mapping[str, Any] | None) -> Difference | None:
    """A comparison of the gate; None where it has no interval."""
    if not part or part.get("low") is None or part.get("high") is None:
        return None
    return Difference(
        against=str(part["against"]),
        cases=int(part["cases"]),
        loss=float(part["challenger"]),
        reference=float(part["reference"]),
        value=float(part["difference"]),
        low=float(part["low"]),
        high=float(part["high"]),
    )


def reproduction_of(run: RunRow) -> Reproduction | None:
    """What the last `bellwether reproduce` of the run's version found; None before the first."""
    when = run.notes.get("reproduced_at")
    if not when:
        return None
    return Reproduction(datetime.fromisoformat(when).replace(tzinfo=None), bool(run.notes.get("identical")))


def _points(rows: DeskRows, family: str) -> Iterator[Point]:
    """The judged versions whose decisions are looked back on, oldest first, then those that wait."""
    runs = {run.run_id: run for run in rows.waiting if run.family == family}
    for row in rows.decisions:
        found = difference_of(row.headline)
        if row.family == family and row.action in _OUTCOMES and found:
            runs.pop(row.run_id, None)
            yield _point(str(row.version), row.decided_at.date(), found, _OUTCOMES[row.action])
    for run in runs.values():
        found = difference_of(run.notes.get(NOTE, {}).get("verdict", {}).get("headline"))
        if found:
            yield _point(str(run.notes.get("version", "")), run.opened_at.date(), found, "waiting")


def _point(version: str, day: date, found: Difference, outcome: str) -> Point:
    low, high = (found.reference * (1 + bound) for bound in (found.low, found.high))
    return Point(version, day, found.loss, low, high, found.reference, found.against, outcome)


def _metric_points(rows: DeskRows, family: str) -> Iterator[Point]:
    """The family's headline metric of the same versions; the reference is the champion's of then, or the baseline's."""
    waiting = {run.run_id: run for run in rows.waiting if run.family == family}
    for row in rows.decisions:
        if row.family == family and row.action in _OUTCOMES:
            waiting.pop(row.run_id, None)
            yield from _metric_point(
                rows, row.run_id, str(row.version), row.decided_at.date(), _OUTCOMES[row.action]
            )
    for run in waiting.values():
        version = str(run.notes.get("version", ""))
        yield from _metric_point(rows, run.run_id, version, run.opened_at.date(), "waiting")


def _metric_point(rows: DeskRows, run_id: str, version: str, day: date, outcome: str) -> Iterator[Point]:
    found = rows.metrics.get(run_id)
    value = found.of("challenger") if found else None
    if found is None or value is None:
        return
    against = "champion" if found.of("champion") is not None else "baseline"
    yield Point(version, day, value, None, None, found.of(against), against, outcome)


def _same(points: Sequence[Point], metric: Sequence[Point]) -> bool:
    """Whether the metric is the loss that the gate compares (but for rounding): one chart is enough then."""
    losses = {point.version: point.value for point in points}
    return all(math.isclose(p.value, losses.get(p.version, math.inf), rel_tol=1e-6) for p in metric)


def _data(at: Settings, rows: DeskRows, run: RunRow | None, tables: Sequence[str] | None) -> Data | None:
    ingest = str(run.notes.get("ingest", "")) if run else ""
    sealed = [
        row for row in rows.snapshots if row.run_id == ingest and (not tables or row.table_name in tables)
    ]
    if not sealed:
        return None
    checked = (
        TableChecked(
            name=row.table_name,
            rows=row.rows,
            quarantined=row.quarantined,
            made=int((row.checks or {}).get("made", 0)),
            failed=int((row.checks or {}).get("failed", 0)),
            digest=row.digest,
            docs=_docs(at, ingest, row.table_name),
            decided=sum(int((row.decided or {}).get(what, 0)) for what in ("accepted", "repaired")),
        )
        for row in sealed
    )
    return Data(ingest, sealed[0].as_of, max(row.sealed_at for row in sealed), tuple(checked))


def _docs(at: Settings, ingest: str, table: str) -> str:
    there = (at.runs / ingest / "data/validation" / table / "docs/index.html").is_file()
    return f"runs/{quote(ingest)}/docs/{quote(table)}/index.html" if there else ""


def _shown(at: Settings, rows: DeskRows, family: str) -> Shown | None:
    row = rows.publications.get(family)
    if row is None:
        return None
    there = row.site and (at.reports / "collections" / family / "index.html").is_file()
    site = f"reports/collections/{quote(family)}/index.html" if there else ""
    return Shown(row.version, row.as_of, row.published_at, dict(row.names), site)


def _drift(rows: DeskRows, family: str) -> Drift | None:
    look = rows.looks.get(family)
    if look is None:
        return None
    findings = tuple(
        Finding(
            kind=str(item.get("kind", "")),
            name=str(item.get("name", "")),
            statistic=item.get("statistic"),
            limit=item.get("limit"),
            breached=bool(item.get("breached")),
            why=str(item.get("why") or ""),
        )
        for item in look.findings
    )
    return Drift(look.looked_at, look.as_of, look.version, look.breached, look.asked, look.why, findings)


def log_of(decisions: Sequence[DecisionRow]) -> tuple[Decided, ...]:
    """The decisions, newest first."""
    newest = sorted(decisions, key=lambda row: (row.decided_at, row.family, row.seq), reverse=True)
    return tuple(
        Decided(
            at=row.decided_at,
            family=row.family,
            action={PROMOTE: "promoted", REJECT: "refused", ROLL_BACK: "rolled back to"}.get(
                row.action, row.action
            ),
            version=row.version or "",
            by=row.actor,
            why=row.why,
            address=_address(row.family, row.version or ""),
            difference=difference_of(row.headline),
        )
        for row in newest
    )


def _address(family: str, version: str) -> str:
    if not ADDRESSABLE.fullmatch(version):
        return ""
    return f"families/{quote(family, safe='')}?version={quote(version, safe='')}"


def _mlflow_run(at: Settings, run: RunRow) -> str:
    recorded = run.notes.get("mlflow_run_id")
    return f"{web(at.mlflow)}/#/runs/{quote(recorded, safe='')}" if recorded and web(at.mlflow) else ""


def web(url: str) -> str:
    """The address of a server as a browser may see it, without a password; "" for a store without a server."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        return ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
