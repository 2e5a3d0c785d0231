"""Look at a champion from outside: what it is asked now, what it says, how it turned out, how old everything is.

A look reads the newest sealed tables and writes one row into the ledger and one report; it changes nothing else.
Where something is beyond its limits it may ask for a retrain, but not again before `cool_down_days` of data passed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ml import workspace
from ml.actions.findings import Finding, Watched, age, finite, freshness, inputs, realised, scores
from ml.actions.publish import not_ready, ready_champion
from ml.actions.retrain import open_workspace, stage_name
from ml.config import from_yaml, load_params, settings
from ml.families import family as family_of
from ml.seams.engine import open_engine
from ml.seams.ledger import Champion, Ledger
from ml.seams.ledger.models import Look
from ml.stages.family_params import checked
from ml.toolkit.paired import spent

_TESTED = ("inputs", "scores", "realised")
_TOLD = 3


def ready() -> tuple[str, ...]:
    """The families that have a champion for the newest tables."""
    return tuple(
        name for name in load_params(settings().project / "params.yaml").families if not not_ready(name)
    )


def look(family: str, run_id: str, *, ask: bool) -> Look:
    """Look at the champion of a family; the same run's look again (a retry) is the one that is in the ledger.

    `ask`: whether somebody hears it if a retrain is asked for. Raises UsageError where there is no champion.
    """
    at, ledger = settings(), Ledger(settings().ledger)
    known = next((one for one in ledger.monitoring(family, limit=20) if one.run_id == run_id), None)
    if known is not None:
        return known
    watched = _open(ledger, ready_champion(ledger, family), run_id)
    try:
        found = _look(watched, workspace.run_stage(run_id, stage_name("features", family)))
    finally:
        shutil.rmtree(workspace.folder_of(run_id), ignore_errors=True)
    kept = ledger.record_look(_row(ledger, watched, found, ask=ask))
    _report(at.reports / "monitoring" / f"{family}.json", kept)
    return kept


def _open(ledger: Ledger, champion: Champion, run_id: str) -> Watched:
    family = champion.family
    rules = load_params(settings().project / "params.yaml").monitor
    record, learnt = family_of(family), ledger.run(champion.run_id)
    given = from_yaml(learnt.params)["families"][family].get("params") or {}
    run = open_workspace(family, run_id, kind="monitor", overrides=given)
    seen = {one.as_of for one in ledger.monitoring(family, limit=1000) if one.champion_run == learnt.run_id}
    level = (1 - rules.confidence) * spent(len(seen - {run.as_of}) + 1) / len(_TESTED)
    own = checked(record, given, f"the parameters of run {learnt.run_id}")
    return Watched(record, champion, learnt, run, own, rules, level)


def _look(watched: Watched, folder: Path) -> list[Finding]:
    record, ledger = watched.record, Ledger(settings().ledger)
    features = workspace.params_of(folder.name).features
    with open_engine(features, folder / "data/scratch-monitor") as engine:
        matrix = engine.table("matrix", folder / "data/features" / record.name)
        tables = {name: engine.table(name, folder / "data/validated" / name) for name in record.tables}
        return [
            *inputs(watched, matrix),
            *scores(watched, matrix, folder / "data/inputs/champion"),
            *realised(watched, ledger, matrix, folder),
            *freshness(watched, ledger, tables),
            age(watched),
        ]


def _row(ledger: Ledger, watched: Watched, found: Sequence[Finding], *, ask: bool) -> Look:
    beyond = [one for one in found if one.breached]
    due = [one for one in beyond if one.kind in watched.rules.asks]
    held = _held_back(ledger, watched) if due else ""
    told = "; ".join(one.why for one in [*due, *(one for one in beyond if one not in due)][:_TOLD])
    more = f"; and {len(beyond) - _TOLD} more" if len(beyond) > _TOLD else ""
    return Look(
        family=watched.record.name, run_id=watched.run.run_id, version=watched.champion.version,
        champion_run=watched.learnt.run_id, ingest=watched.run.notes["ingest"], as_of=watched.run.as_of,
        breached=bool(beyond), asked=bool(ask and due and not held), why="; ".join(filter(None, [told + more, held])),
        findings=[_plain(one) for one in found],
    )  # fmt: skip


def _held_back(ledger: Ledger, watched: Watched) -> str:
    """Why no retrain is asked for now: one was, and was heard, and not enough has come in since. "" if it may be."""
    last = next((one for one in ledger.monitoring(watched.record.name, limit=1000) if one.asked), None)
    if last is None or (watched.run.as_of - last.as_of).days >= watched.rules.cool_down_days:
        return ""
    heard = any(run.opened_at >= last.looked_at for run in ledger.runs_of(watched.record.name))
    if not heard:
        return ""
    days = watched.rules.cool_down_days
    return f"a retrain was asked for as of {last.as_of}, and again {days} days later at the earliest"


def _plain(one: Finding) -> dict[str, Any]:
    return {name: finite(value) if isinstance(value, float) else value for name, value in asdict(one).items()}


def _report(path: Path, seen: Look) -> None:
    """The look as JSON, in place of the one before."""
    names = [column.name for column in Look.__table__.columns]
    text = json.dumps({name: getattr(seen, name) for name in names}, indent=1, default=str)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(text)
    draft.replace(path)
