"""The ledger by itself: is the chain of decisions whole, and do the runs say what was decided about them?"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ml.actions.doctor.finding import Case, Finding, Mend
from ml.seams.ledger import PROMOTE, REJECT

_STATE = {PROMOTE: "promoted", REJECT: "refused"}


def check(case: Case) -> Iterator[Finding]:
    """A broken chain is for people; a run's state follows its decision."""
    for sentence in case.ledger.broken_chain(case.family):
        yield case.finding(
            "the chain of decisions is broken",
            found=sentence,
            expected="every decision as it was written, without a gap",
            next_step="restore the ledger from its backup, and find out who changed it; promote nothing until then",
        )
    for run_id, state in _decided(case).items():
        yield from _run(case, run_id, state)


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
