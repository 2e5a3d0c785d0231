"""DVC: runs one stage in a workspace, and moves data between workspaces, the shared cache and the remote."""

from __future__ import annotations

import configparser
import contextlib
import hashlib
import io
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ml.config import from_yaml
from ml.errors import BellwetherError, SeamUnavailable, from_json

log = logging.getLogger(__name__)
_TAIL = 30
_ADVICE = ("Use `dvc push` to send your updates to remote storage.",)
"""What DVC tells people who work by hand, and what Bellwether does itself."""


@dataclass(frozen=True, slots=True)
class Store:
    """Where data lives: the shared cache, the remote, and DVC's own scratch space (kept private, it holds pickles)."""

    cache: Path
    remote: str
    site: Path


def configure(folder: Path, store: Store) -> None:
    """Make `folder` a DVC workspace without SCM over `store`."""
    config = configparser.ConfigParser()
    config["core"] = {
        "no_scm": "true",
        "analytics": "false",
        "check_update": "false",
        "remote": "store",
        "site_cache_dir": str(store.site),
    }
    config["cache"] = {"dir": str(store.cache), "type": '"reflink,hardlink,copy"'}
    config['remote "store"'] = {"url": store.remote}
    text = io.StringIO()
    config.write(text)
    (folder / ".dvc").mkdir(parents=True, exist_ok=True)
    (folder / ".dvc" / "config").write_text(text.getvalue())
    for private in (store.cache, store.site):
        private.mkdir(parents=True, exist_ok=True, mode=0o700)


def repro(folder: Path, stage: str, *, force: bool = False) -> None:
    """Run one stage of the workspace `folder` if anything that it depends on changed.

    The stage's own error is raised again, with its class; any other failure is a BellwetherError with the last lines.
    """
    with tempfile.TemporaryDirectory() as scratch:
        error_file = Path(scratch) / "error.json"
        arguments = ["repro", "--single-item", *(["--force"] if force else []), stage]
        tail = _dvc(folder, arguments, {"BELLWETHER_ERROR_FILE": str(error_file)})
        if tail is None:
            return
        if error_file.exists():
            raise from_json(error_file.read_text())
    raise BellwetherError(
        f"stage {stage} failed in {folder}", found="\n".join(tail), next_step="read the log above"
    )


def add(folder: Path, path: str) -> str:
    """Put `path` (relative to the workspace) under DVC; returns the text of its .dvc file."""
    _required(folder, ["add", "--quiet", path], "cannot add to the data cache")
    return (folder / f"{path}.dvc").read_text()


def pull(folder: Path, targets: Sequence[str]) -> None:
    """Bring `targets` (outputs or .dvc files) into the workspace from the cache, or else from the remote.

    Each kind by a command of its own: given both, DVC filled an empty cache with what the .dvc files name alone.
    """
    pointers = [target for target in targets if target.endswith(".dvc")]
    outputs = [target for target in targets if not target.endswith(".dvc")]
    for group in filter(None, (pointers, outputs)):
        _required(folder, ["pull", *group], "data is neither in the cache nor in the remote")


def push(folder: Path, targets: Sequence[str] = ()) -> None:
    """Send outputs (all that the lock names, or only `targets`) from the cache to the remote."""
    _required(folder, ["push", *targets], "the data remote does not take data")


def read_lock(folder: Path) -> dict[str, Any]:
    """The stages of dvc.lock by name (empty before the first stage ran)."""
    path = folder / "dvc.lock"
    return parse_lock(path.read_text()) if path.exists() else {}


def parse_lock(text: str) -> dict[str, Any]:
    """The stages of a dvc.lock given as text."""
    stages: dict[str, Any] = from_yaml(text)["stages"]
    return stages


def write_lock(folder: Path, stages: Mapping[str, Any]) -> None:
    """Write a dvc.lock that holds `stages`."""
    (folder / "dvc.lock").write_text(lock_text(stages))


def lock_text(stages: Mapping[str, Any]) -> str:
    """The text of a dvc.lock that holds `stages`."""
    return str(yaml.safe_dump({"schema": "2.0", "stages": dict(stages)}, sort_keys=False))


def merged(text: str, stages: Mapping[str, Any]) -> str:
    """The text of a dvc.lock (empty: none yet) with these stages set to what is given."""
    return lock_text({**(parse_lock(text) if text else {}), **stages})


def update_lock(folder: Path, stages: Mapping[str, Any]) -> None:
    """Set these stages of a workspace's dvc.lock, while no dvc process of this machine writes to it."""
    from dvc.lock import make_lock

    if _up_to_date(folder, stages):
        return
    scratch = folder / ".dvc" / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    with make_lock(str(scratch / "lock"), tmp_dir=str(scratch), wait=True):
        write_lock(folder, {**read_lock(folder), **stages})


def _up_to_date(folder: Path, stages: Mapping[str, Any]) -> bool:
    there = read_lock(folder)
    return all(there.get(name) == body for name, body in stages.items())


def inputs_of(folder: Path, stage: str) -> list[str]:
    """The data that a stage of the workspace reads, as paths in it (its code and parameters left out)."""
    from dvc.repo import Repo

    with Repo(str(folder)) as repo:
        found = repo.stage.load_one(str(folder / "dvc.yaml"), stage)
        read = dict.fromkeys(dep.def_path for dep in found.deps)
        return [path for path in read if path.startswith("data/")]


def outdated(folder: Path, path: str) -> list[str]:
    """What to pull for `path` to be as the workspace's dvc.lock or .dvc file has it; [] where it is, or has neither."""
    beside = folder / f"{path}.dvc"
    if beside.exists():
        (out,) = from_yaml(beside.read_text())["outs"]
        recorded, target = out["md5"], f"{path}.dvc"
    else:
        outs = [out for body in read_lock(folder).values() for out in body.get("outs", ())]
        recorded, target = next((out["md5"] for out in outs if out["path"] == path), None), path
    there = digest_of_folder(folder / path) if (folder / path).is_dir() else None
    return [target] if recorded not in (None, there) else []


def digest_of(lock: Mapping[str, Any], stage: str, path: str) -> str:
    """The content digest that a lock's stage gives to its output `path`."""
    for out in lock[stage]["outs"]:
        if out["path"] == path:
            return str(out["md5"])
    raise KeyError(f"{path} is not an output of {stage}")


def digest_of_folder(folder: Path) -> str:
    """The digest that DVC gives to the files of a folder, computed from their bytes."""
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    listing = [{"md5": md5(file), "relpath": str(file.relative_to(folder))} for file in files]
    text = json.dumps(sorted(listing, key=lambda item: item["relpath"]), sort_keys=True)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() + ".dir"


def md5(file: Path) -> str:
    """The digest of one file."""
    digest = hashlib.md5(usedforsecurity=False)
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def pointer(path: str, digest: str) -> str:
    """Text of a .dvc file that names a folder by its digest (as in dvc.lock)."""
    return str(yaml.safe_dump({"outs": [{"md5": digest, "hash": "md5", "path": path}]}))


def _required(folder: Path, arguments: Sequence[str], what: str) -> None:
    tail = _dvc(folder, arguments, {})
    if tail is not None:
        raise SeamUnavailable(
            what,
            found="\n".join(tail[-6:]),
            expected="the DVC remote of BELLWETHER_REMOTE_URL, and room on its disk",
            next_step=f"try `dvc {' '.join(arguments)}` in {folder}",
        )


def _dvc(folder: Path, arguments: Sequence[str], extra: Mapping[str, str]) -> list[str] | None:
    """Run dvc, passing its output on to the log; None on success, else the last lines.

    When we are stopped (a timeout, Ctrl-C), dvc and the stage that it runs are stopped too.
    """
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=_environment(extra),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        tail = _follow(process)
    except BaseException:
        _stop(process)
        raise
    return None if process.returncode == 0 else tail


def _follow(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    tail: deque[str] = deque(maxlen=_TAIL)
    with process.stdout as lines:
        for line in map(str.rstrip, lines):
            if line not in _ADVICE:
                log.info("%s", line)
                tail.append(line)
    process.wait()
    return list(tail)


def _stop(process: subprocess.Popen[str]) -> None:
    """Ask the child's whole group to end, then make it."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal_number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
            return


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The child's environment: this interpreter first on PATH, the workspace's code instead of ours, no telemetry."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    path = f"{Path(sys.executable).parent}{os.pathsep}{inherited.get('PATH', '')}"
    fixed = {
        "PATH": path,
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "DO_NOT_TRACK": "1",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    }
    return {**inherited, **fixed, **extra}
