"""What a person sees who calls `bellwether` wrongly: a message, the next step, an exit code, and no traceback."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
import typer

from ml.cli import app, main
from ml.config import settings
from ml.platform.environment import write_environment
from ml.seams.ledger import migrate
from ml.sources import SOURCES, source
from ml.world.sizes import SIZES

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Said:
    code: int | str | None
    out: str
    err: str


Call = Callable[..., Said]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """Calls the command in this process, in a home of its own."""
    monkeypatch.setenv("BELLWETHER_HOME", str(tmp_path / "home"))

    def called(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["bellwether", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        told = capsys.readouterr()
        return Said(end.value.code, told.out, told.err)

    return called


@pytest.fixture
def no_folder(tmp_path: Path) -> Path:
    """A path that cannot become a folder, whoever asks: what is above it is a file."""
    (tmp_path / "file").write_text("")
    return tmp_path / "file" / "folder"


@pytest.mark.parametrize(
    "command",
    [("up",), ("run", "seasonality"), ("history", "seasonality"), ("load", "world")],
)
def test_a_home_that_cannot_be_made_is_named(
    call: Call, no_folder: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("BELLWETHER_HOME", str(no_folder))
    said = call(*command)
    assert said.code == 64
    assert str(no_folder) in said.err and "next step" in said.err


def test_a_file_that_cannot_be_written_is_named_before_anything_is_scored(
    call: Call, no_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("ml.actions.score.resolve", lambda spec: (spec, "1"))
    target = str(no_folder / "f.parquet")
    said = call("score", "seasonality", "--tables", str(tmp_path), "--as-of", "2011-11-12", "--out", target)
    assert said.code == 64
    assert target in said.err and "--out" in said.err


def test_a_folder_that_cannot_be_written_is_named(call: Call, no_folder: Path) -> None:
    said = call("load", "world", "--to", str(no_folder))
    assert said.code == 64
    assert str(no_folder) in said.err and "--to" in said.err


def test_a_slip_in_params_yaml_names_the_file_and_the_line(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    shutil.copy(ROOT / "dvc.yaml", project)
    (project / "params.yaml").write_text("as_of: '2011-01-01'\nfamilies: {seasonality: [}\n")
    monkeypatch.setenv("BELLWETHER_PROJECT", str(project))
    said = call("run", "seasonality")
    assert said.code == 64
    assert str(project / "params.yaml") in said.err and "line 2" in said.err


def test_a_value_that_is_not_yaml_names_the_option(call: Call) -> None:
    said = call("run", "seasonality", "--set", "horizon=[")
    assert said.code == 64 and "--set horizon=[" in said.err


def test_an_unknown_data_set_is_told_from_a_known_one_without_files(call: Call) -> None:
    unknown = call("load", "online_retail_ici")
    assert unknown.code == 64 and "did you mean online_retail_uci?" in unknown.err
    assert "--path" not in unknown.err
    known = call("load", "online_retail_uci")
    assert known.code == 64 and "--path" in known.err and "archive.ics.uci.edu" in known.err


def test_a_path_without_the_files_is_named_with_the_files_expected(call: Call, tmp_path: Path) -> None:
    missing = str(tmp_path / "nothing")
    said = call("load", "online_retail_uci", "--path", missing)
    assert said.code == 64
    assert missing in said.err and "transactions.parquet" in said.err and "InvoiceNo" in said.err


def commands(group: Any, *path: str) -> Iterator[tuple[str, Any]]:
    """Every command below a group, by what a person types after `bellwether`."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *path, name)
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_shows_an_example_that_it_takes(call: Call, name: str) -> None:
    shown = " ".join(call(*name.split(), "--help").out.split())
    _, found, rest = " ".join(COMMANDS[name].help.split()).partition(f"Example: bellwether {name}")
    assert found and f"{found}{rest}" in shown
    COMMANDS[name].make_context(name, shlex.split(rest))


def test_every_public_data_set_is_listed_with_its_original(call: Call) -> None:
    said = call("load", "--list")
    assert said.code == 0
    for name in SOURCES:
        assert name in said.out and source(name).ORIGIN in said.out


@pytest.mark.parametrize("command", ["load", "up"])
def test_every_size_of_the_world_is_in_the_help(call: Call, command: str) -> None:
    told = " ".join(call(command, "--help").out.replace("│", " ").split())
    assert ", ".join([*SIZES][:-1]) in told and [*SIZES][-1] in told


@pytest.mark.parametrize(
    "command",
    [
        ("run", "seasonalty"),
        ("score", "seasonalty", "--tables", ".", "--as-of", "2011-11-12", "--out", "f.parquet"),
    ],
)
def test_an_unknown_family_names_the_known_ones(call: Call, command: tuple[str, ...]) -> None:
    said = call(*command)
    assert said.code == 64
    assert "did you mean seasonality?" in said.err and "ground_truth" in said.err


def test_a_bad_value_of_set_does_not_blame_params_yaml(call: Call) -> None:
    said = call("run", "seasonality", "--set", "horizon=-3")
    assert said.code == 64
    assert "--set" in said.err and "horizon" in said.err and "-3" in said.err
    assert "params.yaml" not in said.err


def test_a_run_that_is_not_there_leads_to_commands_that_name_runs(call: Call) -> None:
    migrate(settings().ledger)
    said = call("reject", "nosuch", "--why", "a try")
    assert "bellwether decisions" in said.err and "bellwether history" in said.err


@pytest.mark.parametrize(
    "command",
    [
        ("history", "seasonality"),
        ("load", "world"),
        ("score", "seasonality:1", "--tables", ".", "--as-of", "2011-11-12", "--out", "f.parquet"),
    ],
)
def test_the_home_of_a_stopped_platform_says_so(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    server = "postgresql+psycopg://postgres@/{}?host=/nowhere/at/all"
    parts = {name: server.format(name) for name in ("warehouse", "ledger")} | {"mlflow": "http://127.0.0.1:9"}
    write_environment(tmp_path / "home", {f"{name}_url": address for name, address in parts.items()})
    said = call(*command)
    assert said.code == 75
    assert str(tmp_path / "home") in said.err and "`make up`" in said.err and "BELLWETHER_HOME" in said.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_whoever_stops_a_query_of_the_warehouse_reads_that_it_stopped(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def long_query(**_: object) -> None:
        threading.Timer(0.3, os.kill, (os.getpid(), number)).start()
        duckdb.execute("SELECT sum(a.range * b.range) FROM range(10_000_000) AS a, range(10_000_000) AS b")

    monkeypatch.setattr("ml.cli.app", long_query)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        for kind, handler in handlers.items():
            signal.signal(kind, handler)
    assert ended.value.code == 130
    assert capsys.readouterr().err == "stopped\n"
