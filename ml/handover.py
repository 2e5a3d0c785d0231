"""Between workers on several machines: each of them goes on with a run where another left it.

Before a task the run's workspace is made where it is missing (parameters and pointers from the ledger, code from the
checkout), its `dvc.lock` gets what other workers have done since, and what the task reads is pulled. After a stage its
outputs go to the remote and its entry of `dvc.lock` into the ledger. References travel, data does not.

All this happens where the remote is an address that other machines reach too (`Settings.shared`). Where it is a folder,
the workers share one home, and the workspace in it is all there is.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ml import workspace
from ml.config import Settings, from_yaml, settings
from ml.errors import SeamUnavailable
from ml.seams import versioning
from ml.seams.ledger import Ledger
from ml.seams.ledger.models import Run

HISTORY = "data/inputs/history"
"""What earlier snapshots looked like: an input of every run."""


def run_stage(run_id: str, stage: str, *, force: bool = False) -> Path:
    """Run one DVC stage on whichever machine this is; returns the workspace. Errors of the stage keep their class."""
    at = settings()
    if not at.shared:
        return workspace.run_stage(run_id, stage, force=force)
    folder = take(run_id)
    _bring(folder, versioning.inputs_of(folder, stage))
    workspace.run_stage(run_id, stage, force=force)
    versioning.push(folder, [stage])
    done = {stage: versioning.read_lock(folder)[stage]}
    Ledger(at.ledger).change_lock(run_id, lambda lock: versioning.merged(lock, done))
    return folder


def take(run_id: str, *paths: str) -> Path:
    """The run's workspace, with `paths` in it as the run's stages left them, wherever they ran.

    Raises UsageError for a run that nobody opened, SeamUnavailable where this machine has other code than the run's.
    """
    at = settings()
    if not at.shared:
        return workspace.existing(run_id)
    run = Ledger(at.ledger).run(run_id)
    if not _is_here(run):
        _rebuild(at, run)
    folder = workspace.existing(run_id)
    if run.lock:
        versioning.update_lock(folder, versioning.parse_lock(run.lock))
    _bring(folder, paths)
    return folder


def opened(run_id: str) -> Run | None:
    """The run if some worker opened it before (a retry), with its workspace here; None for a new one."""
    at = settings()
    run = Ledger(at.ledger).find_run(run_id)
    if run is None or not (at.shared or workspace.folder_of(run_id).exists()):
        return None
    take(run_id)
    return run


def _is_here(run: Run) -> bool:
    """Whether this home has the run's workspace, and not that of a try to open it which the ledger never heard of."""
    folder = workspace.folder_of(run.run_id)
    if not folder.exists():
        return False
    pointer = folder / f"{HISTORY}.dvc"
    same = pointer.exists() and pointer.read_text() == run.notes.get("inputs", {}).get(HISTORY)
    return same and workspace.params_of(run.run_id).as_of == run.as_of


def _rebuild(at: Settings, run: Run) -> None:
    found = workspace.code_digest(at.project)
    if found != run.code_digest:
        raise SeamUnavailable(
            f"run {run.run_id} was opened by a worker with other code than this one's",
            found=f"code digest {found[:12]} in {at.project}",
            expected=run.code_digest[:12],
            next_step="bring all workers to one release; the next try may reach one that has it",
        )
    with _alone(at):
        if _is_here(run):
            return
        shutil.rmtree(workspace.folder_of(run.run_id), ignore_errors=True)
        params: dict[str, Any] = from_yaml(run.params)
        workspace.create(run.run_id, params, run.notes.get("inputs", {}))


@contextmanager
def _alone(at: Settings) -> Iterator[None]:
    """One at a time on this machine: two tasks of a run may arrive at once."""
    at.runs.mkdir(parents=True, exist_ok=True)
    with (at.runs / ".handover.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _bring(folder: Path, paths: Iterable[str]) -> None:
    """Pull those of `paths` that are under DVC and not here as the lock (or the .dvc file) has them."""
    wanted = list(paths)
    versioning.pull(folder, [target for path in wanted for target in versioning.outdated(folder, path)])
    missing = [path for path in wanted if versioning.outdated(folder, path)]
    if missing:
        raise SeamUnavailable(
            f"run {folder.name}: what another worker made has not arrived",
            found=f"{', '.join(missing)} is not as dvc.lock has it",
            next_step=f"try `dvc pull` in {folder}; the next try of the task does so",
        )
