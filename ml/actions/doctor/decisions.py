"""The ledger by itself: is the chain of decisions whole, and do the runs say what was decided about them?

Decisions that were deleted at the chain's end leave it whole; the runs that they were about still tell of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ml.actions.doctor.finding import Case, Finding, Mend
from ml.seams.ledger import DECIDED, PROMOTE, REJECT
from ml.seams.ledger.models import Run

_STATE = {PROMOTE: "promoted", REJECT: "refused"}
_RESTORE = "restore the ledger from its backup, and find out who changed it; promote nothing until then"


def check(case: Case) -> Iterator[Finding]:
    """A broken chain and lost decisions are for people; a run's state follows its decision."""
    for sentence in case.ledger.broken_chain(case.family):
        yield case.finding(
            "the chain of decisions is broken",
            found=sentence,
            expected="every decision as it was written, without a gap",
            next_step=_RESTORE,
            untrusted=True,
        )
    yield from _lost(case)
    for run_id, state in _decided(case).items():
        yield from _run(case, run_id, state)


def _lost(case: Case) -> Iterator[Finding]:
    about = {row.seq: row.run_id for row in case.decisions}
    for run in case.ledger.runs_of(case.family):
        number = run.notes.get(DECIDED)
        if about.get(number) == run.run_id if number else not _lacks(case, run):
            continue
        yield case.finding(
            f"a decision about run {run.run_id} is not in the ledger",
            found=f"{len(about)} decisions; the run is marked as {run.status}",
            expected=f"decision {number} about it" if number else "the decision that made it so",
            next_step=_RESTORE,
            untrusted=True,
        )


def _lacks(case: Case, run: Run) -> bool:
    """Whether a run is marked as decided, and nothing was decided about it."""
    return run.status in _STATE.values() and all(row.run_id != run.run_id for row in case.decisions)


def _decided(case: Case) -> dict[str, str]:
    """The state that each run should be in by its own last decision."""
    return {row.run_id: _STATE[row.action] for row in case.decisions if row.action in _STATE}


def _run(case: Case, run_id: str, state: str) -> Iterator[Finding]:
    run = case.ledger.find_run(run_id)
    if run is None:
        yield case.finding(
            f"run {run_id} is not in the ledger",
            found="no such run",
            expected=f"the run about which it was decided ({state})",
            next_step="restore the ledger from its backup: that version cannot be rebuilt without it",
        )
    elif run.status != state:
        yield case.finding(
            f"run {run_id} is not marked as decided",
            found=run.status,
            expected=state,
            next_step="`bellwether doctor --mend` marks it",
            mend=Mend(f"mark run {run_id} as {state}", partial(case.ledger.update_run, run_id, status=state)),
        )
