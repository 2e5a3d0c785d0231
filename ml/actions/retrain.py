"""Retrain one family: open a workspace on sealed tables; later record, approve, promote."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ml import handover, workspace
from ml.config import load_params, parse_params, settings
from ml.errors import DataRejected, UsageError
from ml.families import family as family_of
from ml.handover import HISTORY
from ml.pipeline import stages_of
from ml.seams import versioning
from ml.seams.ledger import PROMOTE, REJECT, Champion, Ledger
from ml.seams.ledger.models import Run, Snapshot
from ml.seams.tracking import Tracking
from ml.seams.tracking.libraries import library_version
from ml.stages.family_params import checked, params_of
from ml.toolkit.gate import MEASURED, Limit, in_words, with_measured

IN_SERVICE = {"verdict": "approved", "promoted": "true"}
"""Tags of a registered version that is or was in service."""
_ARITHMETIC = ("xgboost", "numpy", "scipy", "scikit-learn", "duckdb", "ibis-framework", "pyarrow", "pandas")
_EXTRA = ("torch",)


@dataclass(frozen=True, slots=True)
class RetrainRun:
    """An opened retrain; `unchanged` says that these very data, code and parameters were judged before."""

    run_id: str
    family: str
    as_of: date
    data_digest: str
    unchanged: bool


def stage_name(stage: str, family: str) -> str:
    """The name of a family's stage in dvc.yaml."""
    return f"features-{family}" if stage == "features" else f"{stage}@{family}"


def open_retrain(
    family: str, run_id: str, as_of: date | None = None, *, overrides: dict[str, Any] | None = None
) -> RetrainRun:
    """Open (or find again) a retrain on the newest sealed tables (of `as_of`, if given).

    Raises DataRejected if a table that the family reads has not been sealed.
    """
    run = open_workspace(family, run_id, as_of, kind="retrain", overrides=overrides)
    unchanged = Ledger(settings().ledger).judged_before(run)
    return RetrainRun(run_id, family, run.as_of, run.data_digest, unchanged)


def open_workspace(
    family: str, run_id: str, as_of: date | None = None, *, kind: str, overrides: dict[str, Any] | None = None
) -> Run:
    """Open (or find again) a workspace of one family on the newest sealed tables (of `as_of`, if given)."""
    at = settings()
    ledger = Ledger(at.ledger)
    known = handover.opened(run_id)
    if known is not None:
        return known
    sealed = _sealed(ledger, family, as_of)
    source = ledger.run(sealed[0].run_id)
    read_by = source.notes.get("snapshot_of", source.run_id)
    raw = _raw_params(family, sealed[0].as_of, read_by, overrides or {})
    raw["gate"] = {**raw.get("gate", {}), "look": look(ledger, family)}
    folder, inputs = _create(run_id, raw, ledger, sealed, source, family)
    code = workspace.code_digest(at.project)
    return ledger.open_run(
        Run(
            run_id=run_id,
            kind=kind,
            family=family,
            as_of=sealed[0].as_of,
            git_commit=workspace.git_commit(at.project),
            code_digest=code,
            data_digest=data_digest(sealed),
            recipe_digest=recipe_digest(code, raw),
            params=(folder / "params.yaml").read_text(),
            lock=(folder / "dvc.lock").read_text(),
            notes={
                "inputs": inputs,
                "ingest": source.run_id,
                "decided_after": _last_seq(ledger, family),
                "libraries": libraries(),
            },
        )
    )


def libraries() -> dict[str, str]:
    """Versions of the libraries whose arithmetic a model's bytes depend on; of an extra's where it is installed."""
    extra = [name for name in _EXTRA if find_spec(name)]
    return {name: library_version(name) for name in (*_ARITHMETIC, *extra)}


def check_overrides(family: str, overrides: dict[str, Any]) -> None:
    """Raise UsageError for an unknown family, or for a parameter that the family does not take."""
    params = load_params(settings().project / "params.yaml")
    own = params.entry(family).params
    record = family_of(family)
    params_of(record, params)
    checked(record, {**own, **overrides}, "a value of --set")


def _raw_params(family: str, as_of: date, read_by: str, overrides: dict[str, Any]) -> dict[str, Any]:
    raw = workspace.raw_params(settings().project, as_of=as_of, snapshot_of=read_by)
    parse_params(raw, "params.yaml").entry(family)
    entry = raw["families"][family]
    entry["params"] = {**(entry.get("params") or {}), **overrides}
    return raw


def _sealed(ledger: Ledger, family: str, as_of: date | None) -> list[Snapshot]:
    tables = family_of(family).tables
    sealed = ledger.sealed(tables, as_of)
    if sealed:
        return sealed
    raise DataRejected(
        f"family {family}: no ingest has sealed all of its tables" + (f" as of {as_of}" if as_of else ""),
        expected=f"validated snapshots of {', '.join(tables)}",
        next_step=f"trigger `ingest`{f' with as_of {as_of}' if as_of else ''} (or `bellwether run {family}`), "
        "and look at the table that it rejects",
    )


def data_digest(sealed: Sequence[Snapshot]) -> str:
    """SHA-256 over the tables' names and digests: equal digests, equal data."""
    text = "\n".join(
        f"{item.table_name} {item.digest}" for item in sorted(sealed, key=lambda s: s.table_name)
    )
    return hashlib.sha256(text.encode()).hexdigest()


def recipe_digest(code: str, params: dict[str, Any]) -> str:
    """SHA-256 over code and parameters, without which reading of the warehouse, and which look at it, it was."""
    gate = {name: value for name, value in params.get("gate", {}).items() if name != "look"}
    others = ("snapshot_of", "monitor")
    rest = {name: value for name, value in params.items() if name not in others} | {"gate": gate}
    return hashlib.sha256((code + json.dumps(rest, sort_keys=True, default=str)).encode()).hexdigest()


def _last_seq(ledger: Ledger, family: str) -> int:
    last = ledger.last_decision(family)
    return last.seq if last else 0


def look(ledger: Ledger, family: str) -> int:
    """How often the champion has been challenged since its promotion, this time included."""
    champion = ledger.champion(family)
    return _last_seq(ledger, family) - (champion.seq if champion else 0) + 1


def _create(
    run_id: str, raw: dict[str, Any], ledger: Ledger, sealed: list[Snapshot], source: Run, family: str
) -> tuple[Path, dict[str, str]]:
    inputs = {HISTORY: source.notes["history"]}
    champion = _champion_pointer(ledger, family)
    if champion:
        inputs["data/inputs/champion"] = champion
    folder = workspace.create(run_id, raw, inputs)
    versioning.write_lock(folder, {name: body for item in sealed for name, body in item.lock.items()})
    bring = [f"data/validated/{item.table_name}" for item in sealed]
    versioning.pull(folder, [*bring, *(f"{name}.dvc" for name in inputs)])
    return folder, inputs


def _champion_pointer(ledger: Ledger, family: str) -> str | None:
    champion = ledger.champion(family)
    return model_pointer(ledger, champion, "champion") if champion else None


def model_pointer(ledger: Ledger, champion: Champion, name: str) -> str:
    """Text of a .dvc file that brings a champion's model folder under this name."""
    return versioning.pointer(name, _model_digest(ledger.run(champion.run_id)))


def _model_digest(run: Run) -> str:
    lock = versioning.parse_lock(run.lock)
    return versioning.digest_of(lock, f"train@{run.family}", f"data/model/{run.family}")


def check_model(folder: Path, run: Run) -> None:
    """Raise DataRejected where a model folder is not, byte for byte, the one that the ledger recorded of `run`."""
    found, recorded = versioning.digest_of_folder(folder), _model_digest(run)
    if found != recorded:
        raise DataRejected(
            f"the model of {run.family} version {run.notes.get('version')} is not the one that was recorded",
            found=f"digest {found} in {folder}",
            expected=f"{recorded}, as the ledger has it of run {run.run_id}",
            next_step="remove this copy and its object in the data cache, so that it is fetched again; if it differs "
            "there too, go back to another version (`bellwether rollback`) and find out who wrote to the store",
        )


def finish_stages(run_id: str) -> None:
    """Keep the run's lock in the ledger and its outputs in the remote: from here on it can be rebuilt.

    A run that has a version and is judged again goes on waiting for its decision.
    """
    folder = handover.take(run_id)
    ledger = Ledger(settings().ledger)
    run = ledger.run(run_id)
    if not settings().shared:
        versioning.push(folder, stages_of(run.family or ""))  # elsewhere each stage has done so
    state = run.status if "version" in run.notes else "judged"
    ledger.update_run(run_id, lock=(folder / "dvc.lock").read_text(), status=state)


def verdict_of(run_id: str) -> dict[str, Any]:
    """The gate's verdict on a run, with the limits of what was measured when the run was recorded."""
    run = Ledger(settings().ledger).run(run_id)
    path = f"data/verdict/{run.family}"
    verdict: dict[str, Any] = json.loads((handover.take(run_id, path) / path / "verdict.json").read_text())
    measured = run.notes.get("measured")
    if measured is None:
        return verdict
    limits = workspace.params_of(run_id).entry(str(run.family)).limits
    return with_measured(
        verdict, [Limit(name, measured.get(name), *limits[name]) for name in MEASURED if name in limits]
    )


def verdict_in_words(verdict: Mapping[str, Any]) -> tuple[str, ...]:
    """What the gate said, one sentence an item: what was compared, on how many cases, each guardrail, each limit."""
    return in_words(verdict)


def tables_read(run_id: str) -> tuple[str, tuple[str, ...]]:
    """The ingest whose tables a retrain read, and those tables."""
    run = Ledger(settings().ledger).run(run_id)
    return run.notes["ingest"], family_of(str(run.family)).tables


def approve(run_id: str) -> bool:
    """Whether the run's version may be promoted under the policy `auto`; a refusal is written into the ledger."""
    ledger = Ledger(settings().ledger)
    verdict = verdict_of(run_id)
    if not verdict["approved"]:
        refuse(run_id, actor="gate", why="; ".join(verdict["reasons"]))
        return False
    if ledger.run(run_id).status in ("judged", "recorded"):  # not what a person has decided meanwhile
        ledger.update_run(run_id, status="approved")
    return True


def refuse(run_id: str, *, actor: str, why: str) -> None:
    """Write that the run's version is not promoted; doing so again changes nothing.

    Raises UsageError if it was promoted meanwhile, StaleDecision if another decision comes at the same moment.
    """
    ledger = Ledger(settings().ledger)
    run = ledger.run(run_id)
    if run.status == "refused":
        return
    if ledger.decision_on(run_id, PROMOTE) is not None:
        raise UsageError(
            f"run {run_id} was promoted meanwhile",
            next_step=f'to take its version out of service: `bellwether rollback {run.family} --why "..."`',
        )
    if ledger.decision_on(run_id, REJECT) is None:
        ledger.decide(
            str(run.family),
            after=_last_seq(ledger, str(run.family)),
            action=REJECT,
            run_id=run_id,
            version=run.notes.get("version"),
            actor=actor,
            why=why,
            verdict=verdict_of(run_id),
        )
    ledger.update_run(run_id, status="refused")


def promote(run_id: str, *, actor: str = "gate", why: str = "") -> str | None:
    """Make the run's version the champion: the ledger first (compare-and-swap), then MLflow's alias. Returns it.

    If another version became champion since the run was judged, it is judged again, against that one: a lost gate is
    written into the ledger and gives None; so does a run that a person has rejected. Raises StaleDecision if yet
    another decision comes at the same moment.
    """
    ledger = Ledger(settings().ledger)
    run = ledger.run(run_id)
    family, version = str(run.family), str(run.notes["version"])
    if run.status == "refused" or ledger.decision_on(run_id, REJECT) is not None:
        return None
    if ledger.decision_on(run_id, PROMOTE) is None:
        last = _last_seq(ledger, family)
        if _promoted_since(ledger, run):
            rejudge(run_id, last)
        if not approve(run_id):  # also where a process was killed between judging again and refusing
            return None
        judged = verdict_of(run_id)
        ledger.decide(
            family,
            after=last,
            action=PROMOTE,
            run_id=run_id,
            version=version,
            actor=actor,
            why=why or "; ".join(judged["reasons"]),
            verdict=judged,
        )
    follow(family)
    ledger.update_run(run_id, status="promoted")
    return version


def _promoted_since(ledger: Ledger, run: Run) -> bool:
    champion = ledger.champion(str(run.family))
    return champion is not None and champion.seq > int(run.notes["decided_after"])


def rejudge(run_id: str, decided_after: int) -> None:
    """Compare the run's version with the champion of now, in the run's workspace, and record what the gate says."""
    from ml.actions.record import record_again  # which imports this module

    ledger = Ledger(settings().ledger)
    family = str(ledger.run(run_id).family)
    folder = handover.take(run_id)
    pointer = _champion_pointer(ledger, family)
    if pointer is not None:
        shutil.rmtree(folder / "data/inputs/champion", ignore_errors=True)
        (folder / "data/inputs/champion.dvc").write_text(pointer)
        versioning.pull(folder, ["data/inputs/champion.dvc"])
    workspace.set_param(run_id, "gate", "look", look(ledger, family))
    for stage in ("evaluate", "gate"):
        handover.run_stage(run_id, stage_name(stage, family))
    finish_stages(run_id)
    record_again(run_id)
    ledger.update_run(run_id, notes={"decided_after": decided_after})


def follow(family: str) -> None:
    """Let MLflow's alias `champion` point at the ledger's champion."""
    at = settings()
    champion = Ledger(at.ledger).champion(family)
    if champion is not None:
        tracking = Tracking(at.mlflow)
        tracking.set_champion(family, champion.version)
        tracking.tag_version(family, champion.version, IN_SERVICE)
