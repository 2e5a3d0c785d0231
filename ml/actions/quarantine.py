"""Rows that were put aside: which they are, and what a person decides about them.

A decision is about a row's content: it holds in every later ingest of the shop for as long as the warehouse has the row
as it was seen, and comes into the snapshot of a past day when that is replayed (`ml.actions.replay`). The ledger keeps
who decided what and why; the rows themselves lie in the data store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from difflib import get_close_matches
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import Table

from ml import workspace
from ml.actions.repaired_rows import read_repaired
from ml.config import load_params, settings
from ml.contracts import TABLES
from ml.contracts.base import references
from ml.errors import UsageError
from ml.seams import kept_rows, versioning
from ml.seams.ledger import Ledger
from ml.seams.ledger.models import RowDecision, Snapshot
from ml.seams.ledger.rows import ACCEPT, DROP, REPAIR, decide_rows, standing
from ml.seams.quality import never_waved
from ml.seams.quality.decided import ACCEPTED, REPAIRED, REPLACED, decided_file, decided_schema

OPEN = "open"
_FILES = {ACCEPT: ACCEPTED, REPAIR: REPLACED}


@dataclass(frozen=True, slots=True)
class Aside:
    """The rows of one table that one ingest put aside, or that came back by a decision that still holds.

    rows: the contract's columns as the rows were seen first, `reasons` and `row_id`.
    decided: row id -> the decision that holds.
    """

    table: str
    ingest: str
    as_of: date
    shop: str
    rows: pa.Table
    decided: Mapping[str, RowDecision] = field(default_factory=dict)

    @property
    def reasons(self) -> dict[str, int]:
        """Rows by reason, the most frequent first; a row may have several."""
        said = Counter(reason for of_row in self.rows.column("reasons").to_pylist() for reason in of_row)
        return dict(said.most_common())

    @property
    def states(self) -> list[str]:
        """Of each row: open, accept, repair or drop."""
        holds = {row_id: decision.action for row_id, decision in self.decided.items()}
        return [holds.get(row_id, OPEN) for row_id in self.rows.column("row_id").to_pylist()]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which rows are meant: by id, by words in a reason, or all that nobody decided about."""

    ids: Sequence[str] = ()
    reason: str | None = None
    all_open: bool = False


def put_aside(table: str | None = None, as_of: date | None = None) -> list[Aside]:
    """What the newest ingest (of `as_of`, if given) put aside of one table, or of every table that had to.

    Rows that are let back stay among them, whether or not that ingest saw them: a person may think better of it.
    """
    ledger = Ledger(settings().ledger)
    names = _known(table)
    newest = ledger.newest_ingest([table] if table else (), as_of)
    sealed = ledger.sealed_by(newest or "", names)
    decided: dict[str, list[RowDecision]] = {name: [] for name in names}
    for one in standing(ledger, sealed[0].shop, names) if sealed else ():
        decided[one.table_name].append(one)
    sealed = [item for item in sealed if table or item.quarantined or _released(decided[item.table_name])]
    if not sealed and (table or as_of or newest is None):
        raise UsageError(
            f"no ingest has sealed {table or 'a table'}" + (f" as of {as_of}" if as_of else ""),
            next_step="trigger `ingest` (or `bellwether run FAMILY`); `bellwether quarantine list` shows the newest",
        )
    return _with_rows(sealed, decided)


def _known(table: str | None) -> Sequence[str]:
    names = tuple(load_params(settings().project / "params.yaml").tables)
    if table is None:
        return names
    if table not in names:
        near = get_close_matches(table, names, n=1)
        raise UsageError(
            f"table {table!r} is not in params.yaml" + (f": did you mean {near[0]!r}?" if near else ""),
            expected=", ".join(names),
        )
    return (table,)


def _released(decisions: Iterable[RowDecision]) -> list[RowDecision]:
    return [one for one in decisions if one.action != DROP]


def _with_rows(sealed: Sequence[Snapshot], decided: Mapping[str, Sequence[RowDecision]]) -> list[Aside]:
    digests = [
        versioning.digest_of(item.lock, f"validate@{item.table_name}", f"data/quarantine/{item.table_name}")
        for item in sealed
    ]
    batches = [one.batch for item in sealed for one in _released(decided[item.table_name])]
    with kept_rows.brought(workspace.store(settings()), settings().runs, [*digests, *batches]) as folders:
        return [
            _aside(item, pq.read_table(folders[digest]), decided[item.table_name], folders)
            for item, digest in zip(sealed, digests, strict=True)
        ]


def _aside(
    sealed: Snapshot, rows: pa.Table, decided: Sequence[RowDecision], folders: Mapping[str, Path]
) -> Aside:
    if "row_id" not in rows.column_names:
        raise UsageError(
            f"the ingest {sealed.run_id} put rows of {sealed.table_name} aside before rows had ids",
            next_step=f"trigger `ingest` with as_of {sealed.as_of} once more",
        )
    there = set(rows.column("row_id").to_pylist())
    back = [one for one in _released(decided) if one.row_id not in there]
    rows = pa.concat_tables([rows, *(_as_seen(one, folders[one.batch], rows.schema) for one in back)])
    by_id = {one.row_id: one for one in decided}
    return Aside(sealed.table_name, sealed.run_id, sealed.as_of, sealed.shop, rows, by_id)


def _as_seen(decision: RowDecision, batch: Path, schema: pa.Schema) -> pa.Table:
    """The one row of a decision, as it was when it was put aside."""
    kept = pq.read_table(batch / kept_rows.ROWS)
    row = kept.filter(pc.equal(kept.column("row_id"), decision.row_id))
    reasons = pa.array([decision.reasons], schema.field("reasons").type)
    return row.append_column("reasons", reasons).select(schema.names).cast(schema)


def like(aside: Aside, words: str) -> Aside:
    """The same with those rows alone that have a reason with these words (upper and lower case are the same)."""
    said = aside.rows.column("reasons").to_pylist()
    fits = [any(words.casefold() in reason.casefold() for reason in reasons) for reasons in said]
    return replace(aside, rows=aside.rows.filter(pa.array(fits, pa.bool_())))


def came_back(as_of: date) -> dict[str, dict[str, int]]:
    """By table, how many rows people's decisions brought into the newest ingest of a day, and how many stay aside."""
    ledger = Ledger(settings().ledger)
    run_id = ledger.newest_ingest((), as_of)
    sealed = ledger.sealed_by(run_id, list(TABLES)) if run_id else []
    found = {item.table_name: (item.profile.get("decided"), item.quarantined) for item in sealed}
    return {
        table: {"accepted": decided["accepted"], "repaired": decided["repaired"], "still aside": aside}
        for table, (decided, aside) in found.items()
        if decided
    }


def release(
    table: str, chosen: Chosen, *, who: str, why: str, repaired: Path | None = None, as_of: date | None = None
) -> int:
    """Let rows come back: as they are, or, with the file `repaired`, as a person put them right. Returns how many.

    Raises UsageError for rows that are not there, for rows that break the contract itself and are not repaired, and for
    a file that does not hold rows of the contract.
    """
    _require_reason(why)
    (aside,) = put_aside(table, as_of)
    if repaired is not None:
        if chosen != Chosen():
            raise UsageError("the rows of a repair are those of its file", found="rows chosen otherwise too")
        right = read_repaired(repaired, TABLES[table], aside.rows)
        rows = _with_ids(aside, right.column("row_id").to_pylist())
        return _decide(aside, rows, REPAIR, who, why, {kept_rows.REPAIRED: right})
    rows = _chosen(aside, chosen)
    _require_acceptable(TABLES[table], rows)
    return _decide(aside, rows, ACCEPT, who, why, {})


def drop(table: str, chosen: Chosen, *, who: str, why: str, as_of: date | None = None) -> int:
    """Say that rows are wrong for good: nobody is asked again, and a release of them ends. Returns how many."""
    _require_reason(why)
    (aside,) = put_aside(table, as_of)
    return _decide(aside, _chosen(aside, chosen), DROP, who, why, {})


def _require_reason(why: str) -> None:
    if not why.strip():
        raise UsageError("a decision needs a reason", next_step='say it with --why "..."')


def _chosen(aside: Aside, chosen: Chosen) -> pa.Table:
    if chosen.ids:
        return _with_ids(aside, chosen.ids)
    if chosen.reason is None and not chosen.all_open:
        raise UsageError(
            "no row was chosen", expected="ids of rows, --reason TEXT, or --all", next_step=_look(aside)
        )
    alike = like(aside, chosen.reason or "")
    rows = alike.rows.filter(pa.array([state == OPEN for state in alike.states], pa.bool_()))
    if not len(rows):
        raise UsageError(
            f"table {aside.table}: no row is open"
            + (f" for a reason like {chosen.reason!r}" if chosen.reason else ""),
            found="; ".join(f"{count} x {reason}" for reason, count in aside.reasons.items()) or "no row",
            next_step=_look(aside),
        )
    return rows


def _with_ids(aside: Aside, ids: Iterable[str]) -> pa.Table:
    wanted = list(dict.fromkeys(ids))
    there = set(aside.rows.column("row_id").to_pylist())
    missing = [one for one in wanted if one not in there]
    if missing:
        raise UsageError(
            f"table {aside.table}: the ingest as of {aside.as_of} put no such row aside, and none was let back",
            found=f"{len(missing)} unknown ids, e.g. {', '.join(missing[:5])}",
            expected=f"ids such as {', '.join(sorted(there)[:3])}" if there else "nothing: no row is aside",
            next_step=_look(aside),
        )
    return aside.rows.filter(pc.is_in(aside.rows.column("row_id"), pa.array(wanted, pa.string())))


def _look(aside: Aside) -> str:
    return f"`bellwether quarantine show {aside.table} --as-of {aside.as_of}` shows them with their ids"


def _require_acceptable(contract: Table, rows: pa.Table) -> None:
    others = {to.split(".")[0] for to in references(contract).values()}
    asked = set(never_waved(contract, others))
    said = zip(rows.column("row_id").to_pylist(), rows.column("reasons").to_pylist(), strict=True)
    breaks = {row_id: asked.intersection(reasons) for row_id, reasons in said if asked.intersection(reasons)}
    if breaks:
        some = "; ".join(f"{row_id}: {', '.join(sorted(why))}" for row_id, why in list(breaks.items())[:3])
        raise UsageError(
            f"table {contract.name}: {len(breaks)} of {len(rows)} rows break the contract, and cannot be accepted",
            found=some,
            expected="rows that a family can read",
            next_step=f"`bellwether quarantine show {contract.name} --out rows.csv`, put them right there, and "
            "`release --repaired rows.csv`; or choose the others by their ids",
        )


def _decide(
    aside: Aside, rows: pa.Table, action: str, who: str, why: str, more: Mapping[str, pa.Table]
) -> int:
    """Keep the rows (one of several equal ones), then write the decisions: without its rows there is no decision."""
    at = settings()
    first = dict(zip(reversed(rows.column("row_id").to_pylist()), reversed(range(len(rows))), strict=True))
    rows = rows.take(pa.array(sorted(first.values()), pa.int64()))
    kept = rows.select(decided_schema(TABLES[aside.table]).names)
    batch = kept_rows.keep(workspace.store(at), at.runs, {kept_rows.ROWS: kept, **more})
    told = zip(rows.column("row_id").to_pylist(), rows.column("reasons").to_pylist(), strict=True)
    decide_rows(
        Ledger(at.ledger),
        [
            RowDecision(
                shop=aside.shop, table_name=aside.table, row_id=row_id, action=action, ingest=aside.ingest,
                as_of=aside.as_of, reasons=reasons, batch=batch, actor=who, why=why,
            )
            for row_id, reasons in told
        ],
    )  # fmt: skip
    return len(rows)


def write_decided(folder: Path, shop: str, tables: Sequence[str]) -> dict[str, list[dict[str, object]]]:
    """Write, into a run's inputs, the rows of these tables that come back by a decision; who decided, by table.

    What the folder held of that kind before is replaced. The same decisions give the same bytes.
    """
    at = settings()
    for old in (
        decided_file(folder, table, what) for table in tables for what in (ACCEPTED, REPLACED, REPAIRED)
    ):
        old.unlink(missing_ok=True)
    holds = [one for one in standing(Ledger(at.ledger), shop, tables) if one.action != DROP]
    if not holds:
        return {}
    with kept_rows.brought(workspace.store(at), at.runs, [one.batch for one in holds]) as folders:
        for table in tables:
            _write_table(folder, TABLES[table], [one for one in holds if one.table_name == table], folders)
    return _by_whom(holds)


def _write_table(
    folder: Path, contract: Table, holds: Sequence[RowDecision], batches: Mapping[str, Path]
) -> None:
    for action, what in _FILES.items():
        mine = [one for one in holds if one.action == action]
        _write(decided_file(folder, contract.name, what), contract, mine, batches, kept_rows.ROWS)
        if action == REPAIR:
            _write(decided_file(folder, contract.name, REPAIRED), contract, mine, batches, kept_rows.REPAIRED)


def _write(
    file: Path, contract: Table, holds: Sequence[RowDecision], batches: Mapping[str, Path], part: str
) -> None:
    if not holds:
        return
    found = [
        rows.filter(pc.equal(rows.column("row_id"), one.row_id))
        for one in sorted(holds, key=lambda one: one.row_id)
        for rows in [pq.read_table(batches[one.batch] / part)]
    ]
    pq.write_table(pa.concat_tables(found).cast(decided_schema(contract)), file, store_schema=False)


def _by_whom(holds: Sequence[RowDecision]) -> dict[str, list[dict[str, object]]]:
    counts = Counter((one.table_name, one.action, one.actor, one.why) for one in holds)
    told: dict[str, list[dict[str, object]]] = {}
    for (table, action, actor, why), rows in counts.items():
        told.setdefault(table, []).append({"action": action, "actor": actor, "why": why, "rows": rows})
    return told
