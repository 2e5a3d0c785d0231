"""The `bellwether` command: thin; every command calls one function of `ml.actions` or `ml.platform`."""

from __future__ import annotations

import json
import logging
import signal
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import yaml
from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.table import Table

from ml import __version__, cli_doctor, cli_quarantine, cli_versions
from ml.errors import BellwetherError, UsageError, refusal
from ml.platform import commands

app = typer.Typer(
    name="bellwether",
    help="Keeps a store's discovery models fresh: retrained on schedule, compared with the champion, rebuildable.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
out, err = Console(), Console(stderr=True)
AsOf = Annotated[
    datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="Only what happened before it.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")]


def main() -> None:
    """Run the command; an error of ours becomes a message and its exit code. SIGTERM ends it as Ctrl-C does."""
    asked = _stop_when_asked()
    try:
        app(standalone_mode=True)
    except BaseException as error:
        if asked:  # whatever became of it on its way here: DuckDB, for one, raises an error of its own
            err.print("stopped")
            sys.exit(130)
        _tell(error)


def _stop_when_asked() -> list[int]:
    """Let SIGTERM and SIGINT interrupt this process; the list holds those that have come."""
    asked: list[int] = []

    def stop(number: int, _frame: object) -> None:
        asked.append(number)
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)
    return asked


def _tell(error: BaseException) -> NoReturn:
    if isinstance(
        error, SystemExit
    ):  # 2 is how the parser says "wrong use"; ours is 64, for 2 means rejected data
        sys.exit(UsageError.exit_code if error.code == 2 else error.code)
    if isinstance(error, BellwetherError):
        _end(error)
    if isinstance(error, OSError) and error.filename is not None:
        _end(refusal(error.filename, error))
    raise error


def _end(error: BellwetherError) -> NoReturn:
    err.print(f"[bold red]{type(error).__name__}[/] {escape(str(error))}", highlight=False, soft_wrap=True)
    sys.exit(error.exit_code)


@app.callback()
def common(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show what the stages print.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    """Options of every command."""
    if version:
        out.print(__version__)
        raise typer.Exit
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(
        level=level, format="%(message)s", handlers=[RichHandler(console=err, show_path=False)]
    )


def _sources(asked: bool) -> None:
    if not asked:
        return
    from ml.sources import described

    for name, (what, origin) in described().items():
        out.print(
            f"[bold]{name}[/]",
            f"  {escape(what)}",
            f"  original: {origin}",
            sep="\n",
            soft_wrap=True,
            highlight=False,
        )
    raise typer.Exit


@app.command()
def load(
    name: Annotated[
        str, typer.Argument(help="world (the simulated shop), or a public data set: see --list.")
    ],
    path: Annotated[
        Path | None, typer.Option(help="Folder with the original files of a public data set.")
    ] = None,
    size: Annotated[
        str, typer.Option(help="Of the world: small, medium, large, 1m, 10m or 100m (order lines).")
    ] = "small",
    seed: Annotated[int, typer.Option(help="Of the world.")] = 7,
    to: Annotated[
        Path | None, typer.Option(help="Write Parquet files there instead of into the warehouse.")
    ] = None,
    replace: Annotated[
        bool, typer.Option(help="Overwrite contract tables that Bellwether did not load.")
    ] = False,
    as_json: AsJson = False,
    list_: Annotated[
        bool,
        typer.Option(
            "--list",
            help="What the public data sets are, and where to get them.",
            is_eager=True,
            callback=_sources,
        ),
    ] = False,
) -> None:
    """Fill the warehouse with the simulated world or a public data set.

    Example: bellwether load online_retail_uci --path ~/data/online_retail_uci
    """
    from ml.actions.load import load as load_into
    from ml.actions.load import tables_of, write_folder
    from ml.config import settings

    with err.status(f"reading {name}"):
        tables, dropped = tables_of(name, path=path, size=size, seed=seed)
    with err.status("writing"):
        if to is not None:
            rows = write_folder(to, tables)
        else:
            rows = load_into(settings().warehouse, name, tables, replace=replace)
    _tell_loaded(name, rows, dict(dropped), as_json)


def _tell_loaded(name: str, rows: dict[str, int], dropped: dict[str, int], as_json: bool) -> None:
    if as_json:
        out.print_json(json.dumps({"name": name, "rows": rows, "dropped": dropped}))
        return
    table = Table("table", "rows", title=f"loaded {name}")
    for contract, count in rows.items():
        table.add_row(contract, f"{count:,}")
    out.print(table)
    for reason, count in dropped.items():
        out.print(f"  left out: {count:,} rows: {reason}", highlight=False)


@app.command()
def run(
    family: Annotated[str, typer.Argument(help="A family of params.yaml.")],
    as_of: AsOf = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A parameter of the family, for this run."),
    ] = None,
    replay: Annotated[
        bool,
        typer.Option("--replay", help="Take the newest snapshots again, with rows that people released."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Ingest, retrain, judge, and (if approved) promote and publish one family, without Airflow.

    Without --as-of: the day after the newest order line. Example: bellwether run seasonality --as-of 2011-11-12
    """
    from ml.actions.loop import run_loop

    with err.status("starting") as status:

        def step(text: str) -> None:
            status.update(text)
            err.print(f"[dim]{datetime.now():%H:%M:%S}[/] {text}", highlight=False)

        overrides = _assignments(set_ or [])
        outcome = run_loop(family, _day(as_of), overrides=overrides, replay=replay, step=step)
    if as_json:
        summary = {
            "family": family,
            "as_of": outcome.as_of.isoformat(),
            "version": outcome.version,
            "promoted": outcome.promoted,
            "verdict": outcome.verdict,
            "mlflow": outcome.mlflow,
            "site": str(outcome.published.site) if outcome.published else None,
        }
        out.print_json(json.dumps(summary))
        return
    said = "[green]promoted[/]" if outcome.promoted else "[yellow]not promoted[/]; the champion stays"
    out.print(f"{family} version {outcome.version} as of {outcome.as_of}: {said}")
    for reason in outcome.verdict["reasons"]:
        out.print(f"  {reason}", highlight=False, markup=False)
    if outcome.published and outcome.published.site:
        out.print(f"  pages: {outcome.published.site}", highlight=False)


def _assignments(texts: list[str]) -> dict[str, Any]:
    pairs = [text.partition("=") for text in texts]
    wrong = [key for key, mark, _ in pairs if not mark]
    if wrong:
        raise UsageError(f"--set {wrong[0]}", expected="KEY=VALUE, for example horizon=14")
    return {key: _value(key, text) for key, _, text in pairs}


def _value(key: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"--set {key}={text}", found="no value of YAML", expected="such as 14") from error


@app.command()
def score(
    version: Annotated[
        str, typer.Argument(metavar="FAMILY[@alias|:version]", help="No suffix: the champion.")
    ],
    tables: Annotated[
        Path, typer.Option(help="Folder with one Parquet file (or folder) per contract table.")
    ],
    as_of: Annotated[
        datetime, typer.Option("--as-of", formats=["%Y-%m-%d"], help="The day to predict from.")
    ],
    out_file: Annotated[Path, typer.Option("--out", help="Parquet file to write.")],
) -> None:
    """Score contract tables given as Parquet with a registered version.

    Example: bellwether score seasonality@champion --tables ./tables --as-of 2011-11-12 --out forecasts.parquet
    """
    from ml.actions.score import score as score_tables

    with err.status("scoring"):
        rows = score_tables(version, tables, as_of.date(), out_file)
    err.print(f"{rows:,} rows in {out_file}")


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment else None


cli_versions.add_to(app)
cli_doctor.add_to(app)
cli_quarantine.add_to(app)
commands.add_to(app)
