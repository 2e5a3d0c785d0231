"""Rebuild a registered version from what was recorded of it, and say whether it is the same, byte for byte.

The recorded commit gives the code, the ledger the parameters and the lock, the remote the validated tables. Everything
after them is computed anew in a workspace of its own; nothing is taken from DVC's cache of runs.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ml import workspace
from ml.actions.retrain import libraries, recipe_digest
from ml.actions.score import resolve
from ml.config import Settings, from_yaml, settings
from ml.errors import NotReproducible, SeamUnavailable
from ml.pipeline import stages_of
from ml.seams import versioning
from ml.seams.ledger import Ledger
from ml.seams.ledger.models import Run
from ml.seams.tracking import Tracking

Step = Callable[[str], None]
REBUILDS = "reproduce-"
"""How the names of workspaces begin in which a version is rebuilt; they go when that is done."""
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Reproduction:
    """A version that was rebuilt: the digests of its outputs by stage, all as recorded."""

    family: str
    version: str
    run_id: str
    digests: Mapping[str, str]


def reproduce(spec: str, *, step: Step = lambda _text: None) -> Reproduction:
    """Rebuild `family[@alias|:version]` and compare every output; the registry's version is stamped either way.

    Raises NotReproducible with what differs and the likely reason, UsageError for an unknown version.
    """
    family, version = resolve(spec)
    at = settings()
    run = Ledger(at.ledger).run_of_version(family, version)
    try:
        found = _rebuilt(at, run, step)
    except NotReproducible:
        _stamp(at, run, identical=False)
        raise
    _stamp(at, run, identical=True)
    return Reproduction(family, version, run.run_id, found)


def _stamp(at: Settings, run: Run, *, identical: bool) -> None:
    """Into the ledger, which the desk reads, and onto the registry's version, which others do."""
    when = datetime.now(UTC).isoformat(timespec="seconds")
    Ledger(at.ledger).update_run(run.run_id, notes={"reproduced_at": when, "identical": identical})
    tags = {"reproduced_at": when, "identical": str(identical).lower()}
    Tracking(at.mlflow).tag_version(str(run.family), run.notes["version"], tags)


def _rebuilt(at: Settings, run: Run, step: Step) -> dict[str, str]:
    step(f"bring the code of {run.git_commit[:12] or 'the checkout'}")
    with _code_of(at, run) as project:
        params = _recorded_params(run)
        folder = _workspace(run, params, project)
    try:
        with workspace.held(folder):
            return _recomputed(at, folder, run, step)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _recomputed(at: Settings, folder: Path, run: Run, step: Step) -> dict[str, str]:
    step("bring the validated tables")
    _bring_inputs(folder, run)
    for stage in stages_of(str(run.family), folder):
        step(f"run {stage}")
        versioning.repro(folder, stage, force=True)
    return _compared(at, folder, run)


@contextmanager
def _code_of(at: Settings, run: Run) -> Iterator[Path]:
    """A folder with the code that made the run: the checkout where it is the same, else the recorded commit's."""
    if workspace.code_digest(at.project) == run.code_digest:
        yield at.project
        return
    with tempfile.TemporaryDirectory(prefix="bellwether-code-") as scratch:
        _check_out(at.project, run.git_commit.removesuffix("+changes"), Path(scratch))
        found = workspace.code_digest(Path(scratch))
        if found != run.code_digest:
            raise NotReproducible(
                f"the code of run {run.run_id} is not to be had",
                found=f"code digest {found[:12]} at commit {run.git_commit or 'unknown'}",
                expected=f"{run.code_digest[:12]}"
                + (
                    ": the checkout had changes that were never committed"
                    if "+changes" in run.git_commit
                    else ""
                ),
                next_step="retrain from a committed checkout; such a version can be rebuilt anywhere",
            )
        yield Path(scratch)


def _check_out(project: Path, commit: str, target: Path) -> None:
    done = subprocess.run(["git", "archive", commit or "HEAD"], cwd=project, capture_output=True, check=False)
    if done.returncode:
        raise NotReproducible(
            f"commit {commit or 'HEAD'} is not in {project}",
            found=done.stderr.decode(errors="replace").strip(),
            next_step="fetch it: `git fetch origin`, or run this in a clone that has it",
        )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(target, filter="data")


def _recorded_params(run: Run) -> dict[str, Any]:
    params: dict[str, Any] = from_yaml(run.params)
    changed, found = list(_changed_params(run, params)), recipe_digest(run.code_digest, params)
    if changed or found != run.recipe_digest:
        raise NotReproducible(
            f"the recorded parameters of run {run.run_id} are not those that it ran with",
            found="; ".join(changed[:_SHOWN]) or f"recipe digest {found[:12]}",
            expected=f"recipe digest {run.recipe_digest[:12]}, and parameters as in the run's dvc.lock",
            next_step="compare `params` of the run in MLflow with the ledger's; somebody changed one of them",
        )
    return params


def _changed_params(run: Run, params: Mapping[str, Any]) -> Iterator[str]:
    """Which parameters the ledger has otherwise than the run's lock, which DVC wrote as the stages ran.

    Not the look of the gate: a run that was judged again looked again.
    """
    lock = versioning.parse_lock(run.lock)
    recorded: dict[str, Any] = {}
    for stage in stages_of(str(run.family)):
        recorded |= lock[stage]["params"]["params.yaml"]
    then = dict(leaf for name, value in recorded.items() for leaf in _leaves(name, value))
    now = dict(leaf for name in recorded for leaf in _leaves(name, _under(params, name)))
    for key in sorted({*then, *now} - {"gate.look"}):
        was, found = then.get(key, "not set"), now.get(key, "not set")
        if was != found:
            yield f"{key} {was} → {found}"


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What is not a mapping, by its path: `gate.confidence`."""
    if not isinstance(value, Mapping):
        yield name, value
        return
    for key, item in value.items():
        yield from _leaves(f"{name}.{key}", item)


def _under(params: Mapping[str, Any], name: str) -> Any:
    found: Any = params
    for key in name.split("."):
        found = found.get(key, {}) if isinstance(found, Mapping) else {}
    return found


def _workspace(run: Run, params: dict[str, Any], project: Path) -> Path:
    lock = versioning.parse_lock(run.lock)
    gate = _looked(run)
    champion = _dependency(lock, f"evaluate@{run.family}", "data/inputs/champion")
    inputs = {"data/inputs/champion": versioning.pointer("champion", champion)} if champion else {}
    name = f"{REBUILDS}{run.run_id}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    folder = workspace.create(name, {**params, "gate": gate}, inputs, project=project)
    versioning.write_lock(
        folder, {n: body for n, body in lock.items() if n.startswith(("snapshot@", "validate@"))}
    )
    return folder


def _looked(run: Run) -> dict[str, Any]:
    """The gate's parameters as of the last judgement: a run that was judged again looked again."""
    lock = versioning.parse_lock(run.lock)
    gate: dict[str, Any] = lock[f"gate@{run.family}"]["params"]["params.yaml"]["gate"]
    return gate


def _dependency(lock: Mapping[str, Any], stage: str, path: str) -> str | None:
    """The digest of a folder that a stage depended on; None for one that held nothing but its README."""
    for item in lock[stage]["deps"]:
        if item["path"] == path and item.get("nfiles", 0) > 1:
            return str(item["md5"])
    return None


def _bring_inputs(folder: Path, run: Run) -> None:
    lock = versioning.read_lock(folder)
    tables = [
        out["path"]
        for body in lock.values()
        for out in body["outs"]
        if out["path"].startswith("data/validated/")
    ]
    champion = ["data/inputs/champion.dvc"] if (folder / "data/inputs/champion.dvc").exists() else []
    try:
        versioning.pull(folder, [*tables, *champion])
    except SeamUnavailable as error:
        raise NotReproducible(
            f"data of run {run.run_id} is lost",
            found=str(error.found),
            expected=f"{', '.join(tables)} in the cache or the remote",
            next_step="restore the remote from its backup; `bellwether doctor` lists what else is missing",
        ) from error
    for path in tables:
        _check_bytes(folder / path, path, _out_digest(lock, path))


def _out_digest(lock: Mapping[str, Any], path: str) -> str:
    return next(str(out["md5"]) for body in lock.values() for out in body["outs"] if out["path"] == path)


def _check_bytes(folder: Path, path: str, digest: str) -> None:
    """Raise NotReproducible where the files are not those of the digest: a cache can be changed behind DVC's back."""
    found = versioning.digest_of_folder(folder)
    if found != digest:
        raise NotReproducible(
            f"{path} is not what was recorded: a file of the data cache was changed",
            found=found,
            expected=digest,
            next_step="delete the changed object from the cache, so that it is fetched from the remote, and try again",
        )


def _compared(at: Settings, folder: Path, run: Run) -> dict[str, str]:
    recorded, found = (
        _outputs(lock, str(run.family))
        for lock in (versioning.parse_lock(run.lock), versioning.read_lock(folder))
    )
    different = [path for path in recorded if found.get(path) != recorded[path]]
    if different:
        raise NotReproducible(
            f"{run.family} version {run.notes['version']} was rebuilt, and differs",
            found="; ".join(_words(at, folder, path, recorded[path]) for path in different),
            expected="the recorded digests: "
            + ", ".join(f"{path} {recorded[path][:12]}" for path in different),
            next_step=_likely(run),
        )
    return found


def _outputs(lock: Mapping[str, Any], family: str) -> dict[str, str]:
    return {out["path"]: str(out["md5"]) for name in stages_of(family) for out in lock[name]["outs"]}


def _words(at: Settings, folder: Path, path: str, recorded: str) -> str:
    """Which files of an output differ, where the recorded listing is at hand, and by how much metrics do."""
    files = _changed_files(at, folder / path, recorded)
    metrics = "; " + _metric_words(at, folder / path, recorded) if path.startswith("data/evaluation/") else ""
    return f"{path}: {', '.join(files[:_SHOWN]) or 'another digest'}{metrics}"


def _changed_files(at: Settings, folder: Path, recorded: str) -> list[str]:
    was = {item["relpath"]: item["md5"] for item in _listing(at, recorded)}
    now = {
        str(file.relative_to(folder)): versioning.md5(file) for file in folder.rglob("*") if file.is_file()
    }
    return sorted(name for name in {*was, *now} if was and was.get(name) != now.get(name))


def _listing(at: Settings, digest: str) -> list[dict[str, str]]:
    """What DVC recorded of a folder; [] where the object is in no local store."""
    for store in (at.cache, Path(at.remote)):
        file = store / "files/md5" / digest[:2] / digest[2:]
        if file.is_file():
            listing: list[dict[str, str]] = json.loads(file.read_text())
            return listing
    return []


def _metric_words(at: Settings, folder: Path, recorded: str) -> str:
    digest = {item["relpath"]: item["md5"] for item in _listing(at, recorded)}.get("metrics.json", "")
    was = [store / "files/md5" / digest[:2] / digest[2:] for store in (at.cache, Path(at.remote))]
    there = next((file for file in was if digest and file.is_file()), None)
    if there is None:
        return "the recorded metrics are not at hand"
    old, new = (
        dict(_flat(json.loads(file.read_text())["folds"])) for file in (there, folder / "metrics.json")
    )
    moved = [
        f"{name} {old[name]:.6g} → {new[name]:.6g}" for name in old if name in new and old[name] != new[name]
    ]
    return ", ".join(moved[:_SHOWN]) or "all metrics are the same"


def _flat(folds: Mapping[str, Mapping[str, Mapping[str, float | None]]]) -> Iterator[tuple[str, float]]:
    for fold, models in folds.items():
        for model, metrics in models.items():
            yield from (
                (f"{fold}/{model}/{name}", value) for name, value in metrics.items() if value is not None
            )


def _likely(run: Run) -> str:
    then, now = run.notes.get("libraries", {}), libraries()
    moved = [
        f"{name} {then[name]} then, {now.get(name, 'none')} now"
        for name in then
        if now.get(name) != then[name]
    ]
    if moved:
        return f"install the versions of then ({'; '.join(moved)}), and try again"
    return "the libraries are those of then: look for a random number without a seed, or another processor"
