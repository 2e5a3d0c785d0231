"""The commands `bellwether quarantine ...`: rows that were put aside, and what a person decides about them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from ml.cli_versions import AsJson, Why, who

if TYPE_CHECKING:
    from ml.actions.quarantine import Aside, Chosen

app = typer.Typer(
    name="quarantine",
    help="Rows that validation put aside: look at them, let them come back, or say that they are wrong for good.",
    no_args_is_help=True,
)
out, err = Console(), Console(stderr=True)
TableName = Annotated[str, typer.Argument(metavar="TABLE", help="A table of params.yaml.")]
Ids = Annotated[
    list[str] | None, typer.Argument(metavar="[ROW]...", help="Ids of rows, as `show` prints them.")
]
Reason = Annotated[str | None, typer.Option("--reason", help="All open rows whose reason has these words.")]
All = Annotated[bool, typer.Option("--all", help="All open rows.")]
AsOf = Annotated[
    datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="Of the ingest. Default: the newest.")
]
_STATES = {"open": "open", "accept": "accepted", "repair": "repaired", "drop": "dropped"}


def add_to(root: typer.Typer) -> None:
    """Add the commands to the `bellwether` command."""
    root.add_typer(app)


@app.command("list")
def list_(as_of: AsOf = None, as_json: AsJson = False) -> None:
    """What the newest ingest put aside, by table and reason. Example: bellwether quarantine list --as-of 2011-11-12"""
    from ml.actions.quarantine import put_aside

    with err.status("looking"):
        found = put_aside(None, _day(as_of))
    if as_json:
        out.print_json(json.dumps([_fields(aside) for aside in found], default=str))
        return
    if not found:
        out.print("no row is in quarantine")
        return
    for aside in found:
        states = Counter(aside.states)
        told = ", ".join(f"{states[state]:,} {word}" for state, word in _STATES.items())
        head = f"[bold]{aside.table}[/] as of {aside.as_of}: {len(aside.rows):,} rows ({told})"
        out.print(head, highlight=False, soft_wrap=True)
        for reason, count in aside.reasons.items():
            out.print(f"  {count:>7,}  {reason}", markup=False, highlight=False, soft_wrap=True)
    out.print("next: bellwether quarantine show TABLE", highlight=False)


@app.command()
def show(
    table: TableName,
    as_of: AsOf = None,
    reason: Reason = None,
    limit: Annotated[int, typer.Option(help="Rows to print.", min=1)] = 20,
    file: Annotated[
        Path | None, typer.Option("--out", help="Write all of them there instead: a .csv or .parquet file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The rows themselves, with their ids and reasons.

    Example: bellwether quarantine show order_lines --reason "price below nothing" --out rows.csv
    """
    from ml.actions.quarantine import like, put_aside
    from ml.actions.repaired_rows import write_rows

    with err.status("looking"):
        (aside,) = put_aside(table, _day(as_of))
    aside = like(aside, reason) if reason else aside
    if file is not None:
        write_rows(aside.rows, aside.states, file)
        out.print(f"{len(aside.rows):,} rows in {file}", highlight=False, soft_wrap=True)
        return
    if as_json:
        out.print_json(json.dumps(_rows(aside), default=str))
        return
    for row in _rows(aside)[:limit]:
        out.print(f"{row['row_id']}  {row['state']}", style="bold", highlight=False)
        values = (
            f"{name}={value}" for name, value in row.items() if name not in ("row_id", "state", "reasons")
        )
        out.print(f"  {', '.join(values)}", markup=False, highlight=False, soft_wrap=True)
        for said in row["reasons"]:
            out.print(f"  because: {said}", markup=False, highlight=False, soft_wrap=True)
    if len(aside.rows) > limit:
        out.print(f"and {len(aside.rows) - limit:,} more (--limit, or --out FILE for all)", highlight=False)
    if not len(aside.rows):
        out.print(
            f"no row of {table} is in quarantine" + (f" for a reason like {reason!r}" if reason else "")
        )


@app.command()
def release(
    table: TableName,
    why: Why,
    rows: Ids = None,
    reason: Reason = None,
    all_: All = False,
    repaired: Annotated[
        Path | None, typer.Option("--repaired", help="File of `show --out` in which you put rows right.")
    ] = None,
    as_of: AsOf = None,
) -> None:
    """Let rows come back: as they are, or as you repaired them. They do in the next ingest, and in a replay.

    Example: bellwether quarantine release order_lines 3f2a90c1b4d5e677 --why "a real bulk order, asked the shop"
    """
    from ml.actions.quarantine import release as let_back

    with err.status("keeping the rows"):
        count = let_back(
            table, _chosen(rows, reason, all_), who=who(), why=why, repaired=repaired, as_of=_day(as_of)
        )
    what = "repaired" if repaired else "accepted"
    out.print(f"{table}: {count:,} rows {what}; they come back in the next ingest", highlight=False)
    out.print(
        "for the same day: bellwether quarantine replay (or trigger `ingest` with replay)", highlight=False
    )


@app.command()
def drop(
    table: TableName,
    why: Why,
    rows: Ids = None,
    reason: Reason = None,
    all_: All = False,
    as_of: AsOf = None,
) -> None:
    """Say that rows are wrong for good, and nobody is asked again. What was released before goes aside again.

    Example: bellwether quarantine drop order_lines --reason "sold before its launch" --why "till clock was wrong"
    """
    from ml.actions.quarantine import drop as leave

    with err.status("keeping the rows"):
        count = leave(table, _chosen(rows, reason, all_), who=who(), why=why, as_of=_day(as_of))
    out.print(f"{table}: {count:,} rows dropped; in the next ingest they are in quarantine", highlight=False)


@app.command()
def replay(as_of: AsOf = None, as_json: AsJson = False) -> None:
    """Validate the newest snapshots again, with the rows that people let come back, and seal them.

    The warehouse is not read. Example: bellwether quarantine replay --as-of 2011-11-12
    """
    from ml.actions.loop import replay_ingest
    from ml.actions.quarantine import came_back

    def step(text: str) -> None:
        status.update(text)
        err.print(f"[dim]{datetime.now():%H:%M:%S}[/] {text}", highlight=False)

    with err.status("starting") as status:
        day = replay_ingest(_day(as_of), datetime.now(UTC).strftime("%Y%m%dT%H%M%S"), step)
    found = came_back(day)
    if as_json:
        out.print_json(json.dumps({"as_of": day.isoformat(), "tables": found}))
        return
    for table, counts in found.items():
        told = ", ".join(f"{rows:,} {what}" for what, rows in counts.items())
        out.print(f"{table} as of {day}: {told}", highlight=False)
    out.print("next: trigger retrain_FAMILY in Airflow; it reads the newest sealed tables", highlight=False)


def _chosen(rows: Sequence[str] | None, reason: str | None, all_open: bool) -> Chosen:
    from ml.actions.quarantine import Chosen

    return Chosen(tuple(rows or ()), reason, all_open)


def _fields(aside: Aside) -> dict[str, Any]:
    states = Counter(_STATES[state] for state in aside.states)
    names = ("table", "ingest", "as_of", "shop", "reasons")
    return {**{name: getattr(aside, name) for name in names}, "rows": len(aside.rows), "states": states}


def _rows(aside: Aside) -> list[dict[str, Any]]:
    pairs = zip(aside.rows.to_pylist(), aside.states, strict=True)
    return [{"row_id": row["row_id"], "state": _STATES[state], **row} for row, state in pairs]


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment else None
