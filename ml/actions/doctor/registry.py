"""MLflow's registry against the ledger: the alias, the versions that were in service, and half-made ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from ml import workspace
from ml.actions.doctor.finding import Case, Finding, Mend
from ml.actions.retrain import IN_SERVICE, follow
from ml.seams.ledger import ENTHRONES
from ml.seams.ledger.models import Run
from ml.seams.tracking import CHAMPION, RUN_TAG
from ml.seams.tracking.records import Version


def check(case: Case) -> Iterator[Finding]:
    """The ledger decides: alias and tags follow it; a version that is gone is for people."""
    versions = case.tracking.versions(case.family)
    yield from _alias(case, versions)
    for number, run_id in _served(case).items():
        yield from _in_service(case, versions.get(number), number, case.ledger.find_run(run_id))
    yield from _unknown(case, versions)


def _alias(case: Case, versions: Mapping[str, Version]) -> Iterator[Finding]:
    found = case.tracking.version_of(case.family)
    if case.champion is None and found is not None:
        yield case.finding(
            f"MLflow's alias `{CHAMPION}` points at a version that nobody promoted",
            found=f"version {found}",
            expected="no alias: the ledger has no champion",
            next_step="if the ledger was lost, restore it; else remove the alias in MLflow",
        )
    if case.champion is not None and found != case.champion.version:
        there = case.champion.version in versions
        follows = Mend(f"let the alias of {case.family} follow the ledger", partial(follow, case.family))
        yield case.finding(
            f"MLflow's alias `{CHAMPION}` is not at the champion",
            found=f"version {found}" if found else "no alias",
            expected=f"version {case.champion.version}",
            next_step="`bellwether doctor --mend` moves it" if there else "first bring the version back",
            mend=follows if there else None,
        )


def _served(case: Case) -> dict[str, str]:
    """Versions that are or were in service, and the runs that made them."""
    return {str(row.version): row.run_id for row in case.decisions if row.action in ENTHRONES}


def _in_service(case: Case, version: Version | None, number: str, run: Run | None) -> Iterator[Finding]:
    if version is None:
        yield case.finding(
            f"version {number} is not in the registry",
            found="no such version in MLflow",
            expected=f"the version that run {run.run_id if run else 'unknown'} registered",
            next_step=f"restore MLflow's database; meanwhile `bellwether rollback {case.family} --why ...`",
        )
        return
    wanted = {**_recorded(run), **IN_SERVICE} if run else dict(IN_SERVICE)
    wrong = {key: value for key, value in wanted.items() if version.tags.get(key) != value}
    if wrong:
        yield case.finding(
            f"tags of version {number} in the registry differ",
            found=", ".join(f"{key}={version.tags.get(key, 'none')}" for key in wrong),
            expected=", ".join(f"{key}={value}" for key, value in wrong.items()),
            next_step="`bellwether doctor --mend` sets them",
            mend=Mend(
                f"set the tags of version {number} of {case.family}",
                partial(case.tracking.tag_version, case.family, number, wrong),
            ),
        )


def _recorded(run: Run) -> dict[str, str]:
    return {
        RUN_TAG: run.run_id,
        "family": str(run.family),
        "as_of": run.as_of.isoformat(),
        "data_digest": run.data_digest,
        "code_digest": run.code_digest,
        "git_commit": run.git_commit,
    }


def _unknown(case: Case, versions: Mapping[str, Version]) -> Iterator[Finding]:
    noted = {str(run.notes["version"]) for run in case.ledger.runs_of(case.family) if "version" in run.notes}
    for number in sorted(set(versions) - noted, key=int):
        yield from _unnoted(case, versions[number])


def _unnoted(case: Case, version: Version) -> Iterator[Finding]:
    run_id, finished = case.tracking.maker_of(version)
    run = case.ledger.find_run(run_id) if run_id else None
    if run is not None and _is_recording(run_id):
        return
    mend = None
    if run is not None and not finished:
        mend = Mend(
            f"remove the half-made version {version.number} of {case.family}",
            partial(case.tracking.forget_unfinished, run_id),
        )
    elif run is not None and "version" not in run.notes:
        notes = {"version": version.number, "mlflow_run_id": version.mlflow_run_id}
        mend = Mend(
            f"note version {version.number} with run {run_id}",
            partial(case.ledger.update_run, run_id, notes=notes, status="recorded"),
        )
    yield case.finding(
        f"version {version.number} of the registry is not in the ledger",
        found=f"made by run {run_id or 'unknown'}, {'finished' if finished else 'not finished'}",
        expected="a run of the ledger that has this version",
        next_step="`bellwether doctor --mend` removes what was left half-made, and notes what is whole"
        if mend
        else "somebody else registered it: delete it in MLflow, or leave it there under another name",
        mend=mend,
    )


def _is_recording(run_id: str) -> bool:
    folder = workspace.folder_of(run_id)
    return folder.is_dir() and workspace.is_held(folder)
