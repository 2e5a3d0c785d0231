"""Data of every version that was in service: in the cache or the remote; and the champion's model, byte for byte."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from ml import workspace
from ml.actions.doctor.finding import Case, Finding, Mend
from ml.errors import UsageError
from ml.pipeline import stages_of
from ml.seams import stored, versioning
from ml.seams.ledger import ENTHRONES
from ml.seams.ledger.models import Run
from ml.seams.versioning import Store

_SHOWN = 5


def check(case: Case) -> Iterator[Finding]:
    """Lost data is for people; a changed file of the cache goes, where the remote has it as it was."""
    store = workspace.store(case.at)
    runs = _served(case)
    yield from _lost(case, store, runs)
    champion = case.ledger.find_run(case.champion.run_id) if case.champion else None
    if champion is not None:
        yield from _changed(case, store, champion)
        yield from _registered(case, champion)


def _served(case: Case) -> list[Run]:
    """The runs whose versions are or were in service, and whose lock is known."""
    names = dict.fromkeys(row.run_id for row in case.decisions if row.action in ENTHRONES)
    runs = [run for name in names if (run := case.ledger.find_run(name)) is not None]
    return [run for run in runs if run.lock]


def folders_of(run: Run) -> dict[str, str]:
    """What has to be there to rebuild a version: path -> digest of its tables, outputs, and the champion it met."""
    lock = versioning.parse_lock(run.lock)
    own = stages_of(str(run.family))
    outs = {out["path"]: str(out["md5"]) for name in own for out in lock[name]["outs"]}
    deps = {
        dep["path"]: str(dep["md5"])
        for name in own
        for dep in lock[name]["deps"]
        if dep["path"].startswith("data/validated/") or _is_champion(dep)
    }
    return deps | outs


def _is_champion(dep: Mapping[str, object]) -> bool:
    """A champion to beat; without one the folder holds a note, which is nobody's data."""
    return dep["path"] == "data/inputs/champion" and int(str(dep.get("nfiles", 0))) > 1


def _lost(case: Case, store: Store, runs: list[Run]) -> Iterator[Finding]:
    wanted = {run.run_id: folders_of(run) for run in runs}
    folders = {digest for paths in wanted.values() for digest in paths.values()}
    files = stored.listings(store, folders)
    objects = {digest for listing in files.values() if listing for digest in listing.values()}
    gone = stored.lost(store, objects)
    for run in runs:
        for path, digest in wanted[run.run_id].items():
            listing = files[digest]
            missing = [digest] if listing is None else [d for d in listing.values() if d in gone]
            if missing:
                yield _loss(case, run, path, missing)


def _loss(case: Case, run: Run, path: str, missing: list[str]) -> Finding:
    return case.finding(
        f"data of version {run.notes.get('version', '?')} is lost: {path}",
        found=f"{len(missing)} objects neither in the cache nor in the remote: {', '.join(missing[:_SHOWN])}",
        expected=f"all files of {path} as run {run.run_id} recorded them",
        next_step="restore the remote from its backup; where a workspace still has it: "
        f"`dvc commit` and `dvc push` in {workspace.folder_of(run.run_id)}",
    )


def _changed(case: Case, store: Store, run: Run) -> Iterator[Finding]:
    path, digest = _model(run)
    listing = stored.listings(store, [digest])[digest] or {}
    objects = {digest, *listing.values()}
    damaged = stored.changed(store, objects)
    if not damaged:
        return
    spare = stored.in_remote(store, damaged)
    mend = Mend(f"drop changed files of {path} from the cache", partial(stored.drop, store, damaged))
    yield case.finding(
        f"files of the champion's model were changed in the cache: {path}",
        found=", ".join(sorted(damaged)[:_SHOWN]),
        expected="bytes that have the digest of their name",
        next_step="`bellwether doctor --mend` drops them: the remote has them as they were"
        if spare == damaged
        else "restore the remote from its backup, then delete these files from the cache",
        mend=mend if spare == damaged else None,
    )


def _registered(case: Case, run: Run) -> Iterator[Finding]:
    """The copy of the model that the registry serves."""
    _, digest = _model(run)
    version = str(run.notes.get("version", ""))
    with tempfile.TemporaryDirectory(prefix="bellwether-doctor-") as scratch:
        try:
            folder = case.tracking.download(case.family, version, Path(scratch))
        except UsageError as error:
            found = str(error.what)
        else:
            found = versioning.digest_of_folder(folder)
    if found != digest:
        yield case.finding(
            f"the model of version {version} in the registry is not the one that was judged",
            found=found,
            expected=digest,
            next_step="do not load it; restore MLflow's artifacts from their backup, or roll back",
        )


def _model(run: Run) -> tuple[str, str]:
    path = f"data/model/{run.family}"
    return path, versioning.digest_of(versioning.parse_lock(run.lock), f"train@{run.family}", path)
