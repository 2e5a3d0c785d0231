"""Replay an ingest: the same snapshots of the same day, validated again with what people decided about their rows.

The warehouse is not read: a replay starts from the snapshots as they were sealed, and is sealed as an ingest of its own
that names the one it replays.
"""

from __future__ import annotations

import shutil
from datetime import date

from ml import handover, workspace
from ml.actions.ingest import IngestRun
from ml.actions.quarantine import write_decided
from ml.config import settings
from ml.errors import UsageError
from ml.handover import HISTORY
from ml.seams import versioning
from ml.seams.ledger import Ledger
from ml.seams.ledger.models import Run


def open_replay(run_id: str, as_of: date | None = None) -> IngestRun:
    """Open (or find again) a replay of the newest ingest (of `as_of`, if given).

    Raises UsageError where there is no such ingest, or where nobody decided anything about its tables' rows.
    """
    ledger = Ledger(settings().ledger)
    known = handover.opened(run_id)
    if known is None:
        source = ledger.newest_ingest((), as_of)
        if source is None:
            raise UsageError(
                "there is no ingest to replay" + (f" as of {as_of}" if as_of else ""),
                next_step="trigger `ingest` (or `bellwether run FAMILY`) first",
            )
        known = _open(ledger, ledger.run(source), run_id)
    return IngestRun(run_id, known.as_of, tuple(known.notes["tables"]), (), ())


def _open(ledger: Ledger, source: Run, run_id: str) -> Run:
    at = settings()
    sealed = ledger.sealed_by(source.run_id, source.notes["tables"])
    tables = [item.table_name for item in sealed]
    read_by = source.notes.get("snapshot_of", source.run_id)
    raw = workspace.raw_params(at.project, as_of=source.as_of, snapshot_of=read_by)
    folder = workspace.create(run_id, raw, {HISTORY: source.notes["history"]})
    read = {f"snapshot@{item.table_name}": item.lock[f"snapshot@{item.table_name}"] for item in sealed}
    versioning.write_lock(folder, read)
    versioning.pull(folder, [*(f"data/snapshot/{table}" for table in tables), f"{HISTORY}.dvc"])
    decided = write_decided(folder / HISTORY, source.notes["shop"], tables)
    pointer = versioning.add(folder, HISTORY)
    if pointer == source.notes["history"]:
        shutil.rmtree(folder)
        raise UsageError(
            f"nothing was decided about rows of the ingest {source.run_id} since it was made",
            next_step="`bellwether quarantine list`, then `bellwether quarantine release TABLE ... --why ...`",
        )
    if at.shared:
        versioning.push(folder, [f"{HISTORY}.dvc"])
    return ledger.open_run(
        Run(
            run_id=run_id,
            kind="ingest",
            as_of=source.as_of,
            git_commit=workspace.git_commit(at.project),
            code_digest=workspace.code_digest(at.project),
            params=(folder / "params.yaml").read_text(),
            lock=(folder / "dvc.lock").read_text(),
            notes={
                "tables": tables,
                "shop": source.notes["shop"],
                "history": pointer,
                "inputs": {HISTORY: pointer},
                "decided": decided,
                "replays": source.run_id,
                "snapshot_of": read_by,
            },
        )
    )
