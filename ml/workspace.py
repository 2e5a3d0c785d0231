"""A run's workspace: a DVC workspace of its own, over the shared cache, with the code that made the run.

    $BELLWETHER_HOME/runs/<run_id>/
      dvc.yaml params.yaml dvc.lock     the pipeline, this run's parameters, what has been made
      ml/ expectations/                 the code and the suites as they were when the run was opened
      data/                             inputs and outputs of the stages

Nothing is written into the checkout. `dvc repro` typed in a workspace runs the very commands that Airflow runs.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from ml.config import Params, Settings, load_params, parse_params, read_yaml, settings
from ml.errors import UsageError
from ml.seams import versioning

_CODE = ("ml/contracts", "ml/stages", "ml/seams", "ml/families", "ml/toolkit", "expectations")
_FILES = ("dvc.yaml", ".dvcignore", "ml/__init__.py", "ml/errors.py", "ml/config.py")
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,119}")
_IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc")


def store(at: Settings) -> versioning.Store:
    """The cache and remote that all workspaces share."""
    return versioning.Store(cache=at.cache, remote=at.remote, site=at.home / "dvc-site")


def folder_of(run_id: str) -> Path:
    """Where the workspace of a run is, or will be. Raises UsageError for what is no name: it becomes a path."""
    if not _RUN_ID.fullmatch(run_id):
        raise UsageError(
            f"{run_id[:80]!r} is not the name of a run",
            expected="letters, digits, '.', '_' and '-', a letter or digit first, at most 120 of them",
            next_step="`bellwether decisions` and `bellwether history FAMILY` name runs",
        )
    return settings().runs / run_id


def create(
    run_id: str, params: Mapping[str, Any], inputs: Mapping[str, str], *, project: Path | None = None
) -> Path:
    """Create the workspace of `run_id` with these raw parameters; a workspace that exists is left as it is.

    `inputs`: texts of .dvc files by the path that they stand for (for example data/inputs/champion); the data itself
    is brought by `versioning.pull`. `project`: where the code is copied from (default: the checkout). The folder
    appears whole or not at all.
    """
    at = settings()
    target = folder_of(run_id)
    if target.exists():
        return target
    fresh = target.with_name(f".{run_id}.tmp")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    with held(fresh):
        _copy_code(project or at.project, fresh)
        (fresh / "params.yaml").write_text(yaml.safe_dump(dict(params), sort_keys=False))
        for name in ("data/inputs/history", "data/inputs/champion"):
            _input(fresh, name, inputs.get(name))
        versioning.configure(fresh, store(at))
        fresh.rename(target)
    return target


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Show other processes of this machine that somebody works here: a shared lock, which ends with the process."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def is_held(folder: Path) -> bool:
    """Whether a process of this machine works there."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def drafts() -> list[Path]:
    """Workspaces that were being made when their process died: none of those that are being made now."""
    return [path for path in settings().runs.glob(".*.tmp") if path.is_dir() and not is_held(path)]


def _input(folder: Path, name: str, pointer: str | None) -> None:
    if pointer is None:
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "README.md").write_text("Nothing yet.\n")
        return
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.dvc").write_text(pointer)


def _copy_code(project: Path, target: Path) -> None:
    for name in _CODE:
        shutil.copytree(project / name, target / name, ignore=_IGNORED)
    for name in _FILES:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(project / name, target / name)


def raw_params(project: Path, **overrides: Any) -> dict[str, Any]:
    """params.yaml of the project with top-level keys replaced; checked. Dates are texts: DVC knows no others."""
    path = project / "params.yaml"
    texts = {
        name: value.isoformat() if isinstance(value, date) else value for name, value in overrides.items()
    }
    raw: dict[str, Any] = read_yaml(path)
    parse_params(raw, str(path))
    return {**raw, **texts}


def set_param(run_id: str, section: str, name: str, value: object) -> None:
    """Change one parameter of a run."""
    path = existing(run_id) / "params.yaml"
    raw = read_yaml(path)
    raw[section] = {**raw.get(section, {}), name: value}
    path.write_text(yaml.safe_dump(raw, sort_keys=False))


def params_of(run_id: str) -> Params:
    """The parameters of a run."""
    return load_params(existing(run_id) / "params.yaml")


def existing(run_id: str) -> Path:
    """The workspace of a run. Raises UsageError if it is not on this machine."""
    folder = folder_of(run_id)
    if not (folder / "dvc.yaml").exists():
        raise UsageError(
            f"run {run_id!r} has no workspace here", expected=str(folder), next_step="open the run first"
        )
    return folder


def run_stage(run_id: str, stage: str, *, force: bool = False) -> Path:
    """Run one DVC stage in the run's workspace; returns the workspace. Errors of the stage keep their class."""
    folder = existing(run_id)
    versioning.repro(folder, stage, force=force)
    return folder


def code_digest(project: Path) -> str:
    """SHA-256 over the code and suites that a workspace copies: equal digests, equal code."""
    digest = hashlib.sha256()
    for path in sorted(_code_files(project)):
        digest.update(f"{path.relative_to(project)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _code_files(project: Path) -> Iterator[Path]:
    for name in _CODE:
        yield from (
            path
            for path in (project / name).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
        )
    yield from (project / name for name in _FILES)


def git_commit(project: Path) -> str:
    """The checkout's commit, with `+changes` when files differ from it; empty outside git."""
    head = _git(project, "rev-parse", "HEAD")
    if not head:
        return ""
    return f"{head}+changes" if _git(project, "status", "--porcelain", "--untracked-files=no") else head


def _git(project: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=project, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
