"""The command `bellwether doctor`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from ml.actions.doctor import Finding

DISAGREE = 3
"""Exit code where something disagrees: as of a version that cannot be reproduced, a person has to look."""
out, err = Console(), Console(stderr=True)


def add_to(app: typer.Typer) -> None:
    """Add the command to the `bellwether` command."""
    app.command()(doctor)


def doctor(
    family: Annotated[str | None, typer.Argument(metavar="[FAMILY]", help="One family only.")] = None,
    mend: Annotated[
        bool, typer.Option("--mend", help="Repair what is safe: alias, tags, publications, left-overs.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")] = False,
) -> None:
    """Do ledger, registry, data and publications agree? Exit code 0 if they do, 3 if not.

    Decisions that were changed or deleted, and lost data, are named and left to a person.

    Example: bellwether doctor --mend
    """
    from ml.actions import doctor as actions

    with err.status("looking") as status:
        found = actions.examine(family, step=status.update)
        done, found = actions.mend(found, family, step=status.update) if mend else ([], found)
    if as_json:
        out.print_json(
            json.dumps({"agree": not found, "mended": done, "findings": [_fields(f) for f in found]})
        )
    else:
        _tell(found, done)
    if found:
        raise typer.Exit(DISAGREE)


def _fields(item: Finding) -> dict[str, Any]:
    names = ("family", "what", "found", "expected", "next_step")
    return {**{name: getattr(item, name) for name in names}, "mendable": item.mend is not None}


def _tell(found: Sequence[Finding], done: Sequence[str]) -> None:
    for deed in done:
        out.print(f"mended: {deed}", style="green", markup=False, highlight=False, soft_wrap=True)
    for item in found:
        head = f"{item.family}: {item.what}" if item.family else item.what
        out.print(head, style="bold", markup=False, highlight=False, soft_wrap=True)
        for name in ("found", "expected", "next_step"):
            text = f"  {name.replace('_', ' ')}: {getattr(item, name)}"
            out.print(text, markup=False, highlight=False, soft_wrap=True)
    if not found:
        out.print("ledger, registry, data and publications agree")
