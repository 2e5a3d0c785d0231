"""Ingest: open a workspace for all tables as of one day, and seal what was validated."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from ml import handover, workspace
from ml.actions.quarantine import write_decided
from ml.config import Params, load_params, settings
from ml.contracts import TABLES
from ml.contracts.base import event_time
from ml.errors import DataRejected
from ml.families import family as family_of
from ml.handover import HISTORY
from ml.seams import versioning
from ml.seams.ledger import Ledger
from ml.seams.ledger.models import Run, Snapshot
from ml.seams.warehouse import Warehouse, connect

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IngestRun:
    """An opened ingest: what the warehouse has, and which families are off because of what it has not."""

    run_id: str
    as_of: date
    tables: tuple[str, ...]
    absent: tuple[str, ...]
    families_off: tuple[str, ...]


def open_ingest(
    run_id: str, as_of: date | None = None, *, only: Sequence[str] = (), scheduled: bool = False
) -> IngestRun:
    """Open (or find again) the ingest `run_id`.

    `as_of` None means: the day after the newest order line, but never later than today. `only`: no other tables than
    these (and those that their keys refer to). `scheduled`: the clock asks, not a person; a shop that `bellwether load`
    filled gets no older with it, and is read as of the day after its newest rows at the latest.
    Raises DataRejected if the warehouse has no table that any family could use.
    """
    at = settings()
    params = load_params(at.project / "params.yaml")
    with connect(at.warehouse) as warehouse:
        there = warehouse.tables()
        tables, absent = _split(params, there, only)
        off = _families_off(params, there, only)
        if not tables:
            raise _nothing_to_read(at.warehouse, sorted(there))
        day = as_of or day_after_newest(warehouse, tables)
        if scheduled and warehouse.loaded():
            day = min(day, day_after_newest(warehouse, tables))
        shop = warehouse.shop()
    _open_workspace(run_id, day, tables, shop)
    return IngestRun(run_id, day, tables, absent, off)


def day_after_newest(warehouse: Warehouse, tables: Sequence[str]) -> date:
    """The day after the last day that has rows as a day usually has (a stray date ahead of time does not count).

    Looks at the order lines where there are any, else at the first table with a time; never later than today.
    """
    today = datetime.now(UTC).date()
    named = (
        "order_lines" if "order_lines" in tables else next((t for t in tables if event_time(TABLES[t])), None)
    )
    counts = warehouse.rows_by_day(TABLES[named], today) if named else {}
    if not counts:
        return today
    usual = 0.1 * median(counts.values())
    return max(day for day, rows in counts.items() if rows >= usual) + timedelta(days=1)


def _split(params: Params, there: set[str], only: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    others = (other for name in only for other in params.tables[name].checked_against)
    wanted = {*only, *others} or set(params.tables)
    usable = [
        name
        for name, table in params.tables.items()
        if name in wanted and there.issuperset({name, *table.checked_against})
    ]
    return tuple(usable), tuple(name for name in params.tables if name in wanted and name not in usable)


def require_tables(family: str) -> None:
    """Raise DataRejected, naming them, where the warehouse lacks tables that the family needs."""
    at = settings()
    params = load_params(at.project / "params.yaml")
    with connect(at.warehouse) as warehouse:
        there = warehouse.tables()
    missing = _missing(params, there, family)
    if missing:
        raise DataRejected(
            f"family {family} needs tables that the warehouse does not have: {', '.join(missing)}",
            found=", ".join(sorted(there & set(params.tables))) or "no table of the contract",
            expected=", ".join(family_of(family).tables),
            next_step=f"make a table or a view named {missing[0]} (the contract's columns are in the README)",
        )


def _missing(params: Params, there: set[str], family: str) -> list[str]:
    """Tables that the family reads, or that the keys of those refer to, and that are not there."""
    tables = family_of(family).tables
    needed = dict.fromkeys([*tables, *(other for t in tables for other in params.tables[t].checked_against)])
    return [table for table in needed if table not in there]


def _families_off(params: Params, there: set[str], only: Sequence[str]) -> tuple[str, ...]:
    """Families that cannot be trained for want of a table, of those that read none but `only` (if given)."""
    off = []
    for name in params.families:
        missing = _missing(params, there, name)
        if missing and (not only or set(family_of(name).tables) <= set(only)):
            log.warning("family %s is off: the warehouse has no table %s", name, ", ".join(missing))
            off.append(name)
    return tuple(off)


def _nothing_to_read(url: str, there: list[str]) -> DataRejected:
    from sqlalchemy import make_url

    return DataRejected(
        "the warehouse has none of the contract's tables",
        found=", ".join(there) or "no table at all",
        expected=f"tables or views of the contract in {make_url(url).render_as_string(hide_password=True)}",
        next_step="`bellwether load world --size small`, or create views over your own tables (README)",
    )


def _open_workspace(run_id: str, as_of: date, tables: tuple[str, ...], shop: str) -> None:
    at = settings()
    ledger = Ledger(at.ledger)
    if handover.opened(run_id) is not None:
        return
    raw = workspace.raw_params(at.project, as_of=as_of, snapshot_of=run_id)
    if not workspace.folder_of(run_id).exists():
        folder = workspace.create(run_id, raw, {})
        _write_history(folder, ledger, tables, shop, as_of)
    folder = workspace.existing(run_id)
    decided = write_decided(folder / HISTORY, shop, tables)
    pointer = versioning.add(folder, HISTORY)
    if at.shared:
        versioning.push(folder, [f"{HISTORY}.dvc"])
    ledger.open_run(
        Run(
            run_id=run_id,
            kind="ingest",
            as_of=as_of,
            git_commit=workspace.git_commit(at.project),
            code_digest=workspace.code_digest(at.project),
            params=(workspace.folder_of(run_id) / "params.yaml").read_text(),
            notes={
                "tables": list(tables),
                "shop": shop,
                "history": pointer,
                "inputs": {HISTORY: pointer},
                "decided": decided,
            },
        )
    )


def read(run_id: str, stage: str) -> None:
    """Read one table of the warehouse anew, whatever was read before; a replay keeps what was read then."""
    earlier = replayed(run_id)
    if earlier:
        log.info("%s: as the ingest %s read it", stage, earlier)
        return
    handover.run_stage(run_id, stage, force=True)


def replayed(run_id: str) -> str | None:
    """The ingest that this one replays, or None."""
    earlier: str | None = Ledger(settings().ledger).run(run_id).notes.get("replays")
    return earlier


def _write_history(folder: Path, ledger: Ledger, tables: tuple[str, ...], shop: str, as_of: date) -> None:
    target = folder / HISTORY
    for table in tables:
        profiles = ledger.history(table, shop, as_of)
        if profiles:
            (target / f"{table}.json").write_text(json.dumps({"snapshots": profiles}, sort_keys=True))


def seal(run_id: str) -> tuple[str, ...]:
    """Write the validated tables into the ledger and push them; returns their names. Sealing again changes nothing."""
    ledger = Ledger(settings().ledger)
    run = ledger.run(run_id)
    folder = handover.take(run_id, *(f"data/validation/{name}" for name in run.notes["tables"]))
    lock = versioning.read_lock(folder)
    tables = [name for name in run.notes["tables"] if f"validate@{name}" in lock]
    if not settings().shared:
        versioning.push(folder)  # elsewhere each stage has done so
    ledger.seal([_snapshot(folder, lock, run, name) for name in tables])
    ledger.update_run(run_id, status="sealed", lock=(folder / "dvc.lock").read_text())
    return tuple(tables)


def _snapshot(folder: Path, lock: dict[str, dict[str, object]], run: Run, table: str) -> Snapshot:
    validation = folder / "data/validation" / table
    result = json.loads((validation / "result.json").read_text())
    return Snapshot(
        run_id=run.run_id,
        table_name=table,
        as_of=run.as_of,
        shop=run.notes["shop"],
        digest=versioning.digest_of(lock, f"validate@{table}", f"data/validated/{table}"),
        rows=result["rows"]["passed"],
        quarantined=result["rows"]["quarantined"],
        lock={stage: lock[stage] for stage in (f"snapshot@{table}", f"validate@{table}")},
        profile={
            **json.loads((validation / "profile.json").read_text()),
            "checks": _checks(result),
            **_decided(run, table, result),
        },
    )


def _decided(run: Run, table: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """What came back by people's decisions, and whose they were; {} where nothing did."""
    counts = result["rows"].get("decided")
    return {"decided": {**counts, "by": run.notes["decided"].get(table, [])}} if counts else {}


def _checks(result: Mapping[str, Any]) -> dict[str, int]:
    """How many expectations were asked, and how many were not met (row by row failures included)."""
    asked = [item for item in result["expectations"] if not item["skipped"]]
    return {"made": len(asked), "failed": sum(not item["success"] for item in asked)}
