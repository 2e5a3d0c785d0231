"""What killed processes have left: half-made workspaces, rebuilds, publishes that did not end, drafts of pages.

(Tables in the warehouse are replaced in one transaction: a process that is killed leaves none.)
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path

from ml import workspace
from ml.actions.doctor.finding import Case, Finding, Mend
from ml.actions.publish import PUBLISHED, publish_again, site_of
from ml.actions.reproduce import REBUILDS
from ml.config import Settings
from ml.publishing import swap
from ml.seams.ledger.models import Run

ABANDONED = "abandoned"
"""State of a publish that was killed, and whose work another one has done since."""


def check(case: Case) -> Iterator[Finding]:
    """Publishes of the family that did not end, and drafts of its pages."""
    yield from _publishes(case)
    site = site_of(case.at, case.family)
    drafts = swap.left_over(site)
    if drafts:
        yield case.finding(
            "drafts of landing pages were left",
            found=", ".join(path.name for path in drafts),
            expected="none: their writer has died",
            next_step="`bellwether doctor --mend` removes them",
            mend=Mend(f"remove drafts of the pages of {case.family}", partial(swap.sweep, site)),
        )


def anywhere(at: Settings) -> Iterator[Finding]:
    """Workspaces in which nobody works any more, and that nothing will go on with."""
    rebuilds = [path for path in at.runs.glob(f"{REBUILDS}*") if not workspace.is_held(path)]
    for path in [*workspace.drafts(), *rebuilds]:
        yield Finding(
            family="",
            what="a workspace of a killed process was left",
            found=path.name,
            expected="none: nobody works there",
            next_step="`bellwether doctor --mend` removes it",
            mend=Mend(f"remove {path}", partial(shutil.rmtree, path, ignore_errors=True)),
        )


def _publishes(case: Case) -> Iterator[Finding]:
    done = {item.run_id: item.published_at for item in case.ledger.publications(case.family)}
    newest = max(done.values(), default=None)
    for run in case.ledger.runs_of(case.family, "open", kind="publish"):
        folder = workspace.folder_of(run.run_id)
        if folder.is_dir() and workspace.is_held(folder):
            continue
        yield _unended(case, run, folder, run.run_id in done, newest)


def _unended(case: Case, run: Run, folder: Path, done: bool, newest: datetime | None) -> Finding:
    if done:
        mend = Mend(
            f"mark {run.run_id} as published", partial(case.ledger.update_run, run.run_id, status=PUBLISHED)
        )
    elif newest is not None and newest > run.opened_at:
        mend = Mend(f"put {run.run_id} aside", partial(_put_aside, case, run.run_id, folder))
    else:
        mend = Mend(f"publish {case.family} again", partial(publish_again, case.family))
    return case.finding(
        f"publish {run.run_id} did not end",
        found="its publication is in the ledger" if done else f"open since {run.opened_at:%Y-%m-%d %H:%M}",
        expected="a process at work, or the end",
        next_step=f"`bellwether doctor --mend`: {mend.name}; or let its task try again",
        mend=mend,
    )


def _put_aside(case: Case, run_id: str, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    case.ledger.update_run(run_id, status=ABANDONED)
