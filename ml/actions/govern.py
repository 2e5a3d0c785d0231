"""What people decide: approve, reject, roll back; and what was decided before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ml.actions.asked import NOTE, answer_page
from ml.actions.retrain import follow, promote, refuse, verdict_in_words, verdict_of
from ml.actions.score import resolve
from ml.config import load_params, settings
from ml.errors import UsageError
from ml.seams.ledger import ENTHRONES, ROLL_BACK, Champion, Ledger
from ml.seams.ledger.models import Decision, Run

JUDGED = ("recorded", "approved")
"""States of a run that waits for a decision: it has a version, and nobody has said yes or no."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A version that won the gate and waits for a person."""

    family: str
    run_id: str
    version: str
    as_of: str
    since: datetime
    reasons: tuple[str, ...]


def families() -> tuple[str, ...]:
    """The families of params.yaml."""
    return tuple(load_params(settings().project / "params.yaml").families)


def champions() -> tuple[str, ...]:
    """The families that have a champion."""
    ledger = Ledger(settings().ledger)
    return tuple(family for family in families() if ledger.champion(family))


def family_of_version(version: str) -> str:
    """The family that `family[@alias|:version]` names. Raises UsageError for one that there is not."""
    return resolve(version)[0]


def known(family: str) -> str:
    """The family's own name. Raises UsageError that names the nearest one."""
    load_params(settings().project / "params.yaml").entry(family)
    return family


def waiting(family: str | None = None) -> list[Waiting]:
    """The versions that wait for a person, of one family or of all, oldest first."""
    ledger = Ledger(settings().ledger)
    names = families() if family is None else (known(family),)
    runs = [run for name in names for state in JUDGED for run in ledger.runs_of(name, state)]
    return [
        _waiting(run)
        for run in sorted(runs, key=lambda run: run.opened_at)
        if verdict_of(run.run_id)["approved"]
    ]


def _waiting(run: Run) -> Waiting:
    reasons = verdict_in_words(verdict_of(run.run_id))
    return Waiting(
        str(run.family), run.run_id, run.notes["version"], run.as_of.isoformat(), run.opened_at, reasons
    )


def asked(run_id: str, *, dag_id: str, dag_run: str, task_id: str) -> None:
    """Write down which task of Airflow waits for the answer, so that a page can lead to it."""
    where = {"dag_id": dag_id, "dag_run": dag_run, "task_id": task_id}
    Ledger(settings().ledger).update_run(run_id, notes={NOTE: where})


def still_asking(run_id: str) -> str | None:
    """The address at which Airflow asks about the run; None where nobody was asked there.

    Its task is parked until somebody answers there: it cannot see that the answer was given elsewhere.
    """
    at = settings()
    page = answer_page(Ledger(at.ledger).run(run_id).notes)
    return page and f"{at.airflow_url.rstrip('/')}/{page}"


def history(family: str) -> list[Decision]:
    """All decisions about a family, newest first."""
    return list(reversed(Ledger(settings().ledger).decisions(known(family))))


def approve_by_hand(run_id: str, *, who: str, why: str) -> Champion:
    """Promote a version that waits; returns it. Raises UsageError for a run that lost the gate or is decided."""
    run = _undecided(run_id, why)
    if not verdict_of(run_id)["approved"]:
        raise UsageError(
            f"run {run_id} lost the gate",
            found="; ".join(verdict_of(run_id)["reasons"]),
            next_step="the champion stays; to go back to an earlier version: `bellwether rollback`",
        )
    champion = None
    if promote(run_id, actor=who, why=why) is not None:
        champion = Ledger(settings().ledger).champion(str(run.family))
    if champion is None:
        raise UsageError(
            f"run {run_id} lost the gate against the champion of now",
            next_step=f"`bellwether history {run.family}`",
        )
    return champion


def reject_by_hand(run_id: str, *, who: str, why: str) -> None:
    """Decide that a version which waits is not promoted. Raises UsageError for a run that is decided."""
    _undecided(run_id, why)
    refuse(run_id, actor=who, why=why)


def _undecided(run_id: str, why: str) -> Run:
    _reason(why)
    run = Ledger(settings().ledger).run(run_id)
    if run.status not in JUDGED:
        raise UsageError(
            f"run {run_id} does not wait for a decision",
            found=f"its state: {run.status}",
            expected=" or ".join(JUDGED),
            next_step="`bellwether decisions` lists what waits",
        )
    return run


def roll_back(family: str, *, to: str | None, who: str, why: str) -> Champion:
    """Put an earlier champion into service again (without `to`: the one before); returns it.

    Raises UsageError where there is no such version; StaleDecision if another decision comes at the same moment.
    """
    _reason(why)
    ledger = Ledger(settings().ledger)
    served = [row for row in ledger.decisions(known(family)) if row.action in ENTHRONES]
    target = _earlier(family, served, to)
    last = ledger.last_decision(family)
    ledger.decide(
        family, after=last.seq if last else 0, action=ROLL_BACK, run_id=target.run_id, version=target.version,
        actor=who, why=why, verdict={"from": served[-1].version},
    )  # fmt: skip
    follow(family)
    champion = ledger.champion(family)
    assert champion is not None
    return champion


def _earlier(family: str, served: list[Decision], to: str | None) -> Decision:
    now = served[-1].version if served else None
    fits = [row for row in served if row.version != now and to in (None, row.version)]
    if not fits:
        raise UsageError(
            f"{family} has no earlier champion{f' of version {to}' if to else ''} to go back to",
            found=", ".join(dict.fromkeys(str(row.version) for row in served)) or "none ever",
            next_step=f"`bellwether history {family}` lists who was in service",
        )
    return fits[-1]


def _reason(why: str) -> None:
    if not why.strip():
        raise UsageError("a decision needs a reason", next_step='add --why "..."; the ledger keeps it')
