"""The commands `up`, `down` and `status`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ml.config import Settings, settings

Home = Annotated[
    Path | None,
    typer.Option("--home", help="Where the platform keeps everything. Default: $BELLWETHER_HOME."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands to the `bellwether` command."""
    for command in (up, down, status):
        app.command()(command)


def _settings(home: Path | None) -> Settings:
    if home is not None:
        os.environ["BELLWETHER_HOME"] = str(home.expanduser().resolve())
    return settings()


def up(
    home: Home = None,
    demo: Annotated[bool, typer.Option("--demo/--no-demo", help="Fill an empty warehouse and train.")] = True,
    detach: Annotated[bool, typer.Option("--detach", help="Do not follow what was triggered.")] = False,
    size: Annotated[
        str, typer.Option(help="Of the simulated shop: small, medium, large, 1m, 10m or 100m.")
    ] = "small",
) -> None:
    """Start the platform, see a champion into service, and say where everything is. It keeps running.

    Example: bellwether up --no-demo
    """
    from ml import platform

    platform.up(_settings(home), Console(), demo=demo, detach=detach, size=size)


def down(home: Home = None) -> None:
    """Stop every process that `up` started, and only those. Example: bellwether down"""
    from ml import platform

    stopped = platform.down(_settings(home))
    words = f"stopped {stopped} processes; data and settings stay" if stopped else "nothing was running"
    typer.echo(words)


def status(home: Home = None, as_json: AsJson = False) -> None:
    """What runs, where, and whether it is well (exit code 75 if not). Example: bellwether status --json"""
    from ml import platform
    from ml.platform.survey import tell

    found = platform.status(_settings(home))
    if as_json:
        typer.echo(json.dumps(found.as_json()))
    else:
        tell(Console(), found)
    raise typer.Exit(0 if found.well else 75)
