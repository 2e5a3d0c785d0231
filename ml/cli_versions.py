"""The commands about versions: `decisions`, `approve`, `reject`, `history`, `rollback`, `reproduce`, `monitor`."""

from __future__ import annotations

import getpass
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ml.seams.ledger.models import Decision, Look

Why = Annotated[str, typer.Option("--why", help="The reason; the ledger keeps it with your name.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="As `bellwether decisions` shows it.")]
FamilyName = Annotated[str, typer.Argument(metavar="FAMILY", help="A family of params.yaml.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
out = Console()
_NEAREST = 3


def add_to(app: typer.Typer) -> None:
    """Add the commands to the `bellwether` command."""
    for command in (decisions, approve, reject, history, rollback, reproduce, monitor):
        app.command()(command)


def decisions(
    family: Annotated[str | None, typer.Argument(metavar="[FAMILY]", help="One family only.")] = None,
    as_json: AsJson = False,
) -> None:
    """What waits for a decision, with the gate's verdict. Example: bellwether decisions seasonality"""
    from ml.actions.govern import waiting

    found = waiting(family)
    if as_json:
        out.print_json(json.dumps([asdict(item) for item in found], default=str))
        return
    if not found:
        out.print("nothing waits for a decision")
    for item in found:
        out.print(
            f"[bold]{item.family}[/] version {item.version} as of {item.as_of}, since {item.since:%Y-%m-%d %H:%M}"
        )
        for reason in item.reasons:
            out.print(f"  {reason}", highlight=False, markup=False)
        out.print(f'  bellwether approve {item.run_id} --why "..."', highlight=False, markup=False)


def approve(run: RunId, why: Why) -> None:
    """Promote a version that won the gate and waits for a person, and publish what it says of the newest tables.

    Example: bellwether approve retrain-seasonality-20111112 --why "looks right for the Christmas range"
    """
    from ml.actions.govern import approve_by_hand

    champion = approve_by_hand(run, who=who(), why=why)
    out.print(f"promoted version {champion.version}")
    _tell_airflow(run, "Approve")
    _publish_again(champion.family)


def reject(run: RunId, why: Why) -> None:
    """Turn down a version that waits for a person; the champion stays.

    Example: bellwether reject retrain-seasonality-20111112 --why "the promotion plan was not final"
    """
    from ml.actions.govern import reject_by_hand

    reject_by_hand(run, who=who(), why=why)
    out.print("rejected; the champion stays")
    _tell_airflow(run, "Reject")


def _tell_airflow(run: str, answer: str) -> None:
    """Airflow's task waits for an answer in Airflow alone; until then no other retrain of the family begins."""
    from ml.actions.govern import still_asking

    page = still_asking(run)
    if page:
        out.print(
            f"Airflow still asks, and holds back the next retrain until its deadline: answer {answer} at {page}",
            style="yellow", highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip


def _publish_again(family: str) -> None:
    from ml.actions.publish import publish_again

    said = publish_again(family)
    out.print(
        f"published as of {said.as_of}: {', '.join(said.rows)}"
        if said
        else "nothing published: no newer tables fit it"
    )


def history(family: FamilyName, as_json: AsJson = False) -> None:
    """Every decision about a family, newest first. Example: bellwether history seasonality"""
    from ml.actions import govern

    rows = govern.history(family)
    if as_json:
        out.print_json(json.dumps([_fields(row) for row in rows], default=str))
        return
    out.print(_table(family, rows) if rows else f"no decision about {family} yet")


def _fields(row: Decision) -> dict[str, Any]:
    names = ("seq", "decided_at", "action", "version", "run_id", "actor", "why", "verdict", "digest")
    return {name: getattr(row, name) for name in names}


def _table(family: str, rows: Sequence[Decision]) -> Table:
    table = Table("no.", "when (UTC)", "what", "version", "by", "why", title=f"decisions about {family}")
    for row in rows:
        when = f"{row.decided_at:%Y-%m-%d %H:%M}"
        table.add_row(str(row.seq), when, row.action, row.version or "–", row.actor, row.why)
    return table


def rollback(
    family: FamilyName,
    why: Why,
    to: Annotated[
        str | None, typer.Option("--to", help="A version that was champion. Default: the one before.")
    ] = None,
) -> None:
    """Put an earlier champion into service again, and publish what it says of the newest tables.

    Customers see today's collections by the earlier version, not those that it published then.

    Example: bellwether rollback seasonality --to 3 --why "version 4 overstates toys"
    """
    from ml.actions.govern import roll_back

    champion = roll_back(family, to=to, who=who(), why=why)
    out.print(f"{family}: version {champion.version} is champion again")
    _publish_again(champion.family)


def reproduce(
    version: Annotated[
        str, typer.Argument(metavar="FAMILY[@alias|:version]", help="No suffix: the champion.")
    ],
    as_json: AsJson = False,
) -> None:
    """Rebuild a version from what was recorded of it, and compare every byte. Exit code 3 where it differs.

    Example: bellwether reproduce seasonality:3
    """
    from ml.actions.reproduce import reproduce as rebuild

    with Console(stderr=True).status("starting") as status:
        found = rebuild(version, step=status.update)
    if as_json:
        out.print_json(json.dumps(asdict(found)))
        return
    out.print(f"{found.family} version {found.version} was rebuilt: [green]identical[/]")
    for path, digest in found.digests.items():
        out.print(f"  {path}  {digest}", highlight=False)


def monitor(
    family: Annotated[
        str | None, typer.Argument(metavar="[FAMILY]", help="One family. Default: all that have a champion.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look at the champions from outside: inputs, scores, realised errors, freshness. The ledger keeps what was seen.

    It asks for nothing: that is for the DAG `monitor`, which somebody hears. Example: bellwether monitor seasonality
    """
    from ml.actions.monitor import look, ready

    names = ready() if family is None else (family,)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    with Console(stderr=True).status("looking"):
        seen = [look(name, f"monitor-{name}-{stamp}", ask=False) for name in names]
    if as_json:
        out.print_json(json.dumps([_look_fields(one) for one in seen], default=str))
        return
    for one in seen:
        out.print(_look_table(one))
        for finding in one.findings:
            if finding["breached"]:
                out.print(f"  beyond: {finding['why']}", highlight=False, markup=False)
    if not seen:
        out.print("no family has a champion for the newest tables")


def _look_fields(seen: Look) -> dict[str, Any]:
    names = ("family", "run_id", "version", "as_of", "looked_at", "breached", "asked", "why", "findings")
    return {name: getattr(seen, name) for name in names}


def _look_table(seen: Look) -> Table:
    """What came nearest to its limit, of each kind."""
    verdict = "beyond its limits" if seen.breached else "within its limits"
    table = Table(
        "kind",
        "what",
        "found",
        "limit",
        "chance",
        title=f"{seen.family} {seen.version} as of {seen.as_of}: {verdict}",
    )
    for kind in dict.fromkeys(finding["kind"] for finding in seen.findings):
        rows = [finding for finding in seen.findings if finding["kind"] == kind]
        rows.sort(key=lambda row: (not row["breached"], -(row["statistic"] or 0) / (row["limit"] or 1)))
        for row in rows[:_NEAREST]:
            numbers = (
                "–" if row[name] is None else f"{row[name]:.3g}" for name in ("statistic", "limit", "chance")
            )
            table.add_row(kind, row["name"], *numbers, style="bold" if row["breached"] else None)
    return table


def who() -> str:
    """The name that the ledger keeps with a decision."""
    return getpass.getuser()
