"""Names, dates and versions that people give never reach a path, SQL or a shell: they are refused in words."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from ml import workspace
from ml.actions import govern
from ml.actions.load import tables_of
from ml.actions.retrain import open_retrain
from ml.actions.score import resolve
from ml.cli import main
from ml.config import settings
from ml.errors import BellwetherError, UsageError
from ml.families import family
from ml.seams.ledger import Ledger, migrate
from ml.seams.warehouse import connect
from plugins.run_ids import asked_day, run_id

HOSTILE = [
    "../../outside",
    "..",
    "/etc/passwd",
    "seasonality/../../outside",
    "seasonality; touch pwned",
    "$(touch pwned)",
    "`touch pwned`",
    "| touch pwned",
    "'; DROP TABLE decisions; --",
    '" OR ""="',
    "seasonality\n--remote",
    "--help-me",
    "-rf",
    "%2e%2e%2foutside",
    "..\\outside",
    "{{ 7 * 7 }}",
    "${HOME}",
    "seasonality@$(id)",
    "seasonality:1 OR 1=1",
    "sеasonality",  # with a Cyrillic letter
    "\u202eytilanosaes",
    "x" * 5000,
    "\x00",
    "record",  # a module beside the families
    "__init__",
]
QUICK = examples(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ANY = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=40), st.text("./\\'\";$`-_a0:@ ", max_size=12))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with an empty ledger, somewhere deep; whatever escapes it lands beside it."""
    home = tmp_path / "deep/er/home"
    monkeypatch.setenv("BELLWETHER_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    migrate(settings().ledger)
    return home


def files(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder)) for path in folder.rglob("*") if not path.name.startswith("ledger.db")
    }


def known(name: str) -> bool:
    return name in govern.families()


@QUICK
@given(ANY)
def test_a_name_is_a_known_family_or_refused(home: Path, name: str) -> None:
    if known(name):
        return
    asks: list[Callable[[], object]] = [
        lambda: family(name),
        lambda: govern.history(name),
        lambda: govern.waiting(name),
        lambda: govern.roll_back(name, to=None, who="w", why="w"),
        lambda: open_retrain(name, "retrain-1"),
        lambda: tables_of(name) if name != "world" else family(""),
    ]
    before = files(home.parents[2])
    for ask in asks:
        with pytest.raises(UsageError):
            ask()
    assert files(home.parents[2]) == before


@QUICK
@given(ANY)
def test_a_version_is_known_or_refused(home: Path, version: str) -> None:
    with pytest.raises(BellwetherError):
        govern.roll_back("seasonality", to=version, who="w", why="w")
    with pytest.raises(UsageError):
        resolve(f"../{version}")
    assert len(Ledger(settings().ledger).decisions("seasonality")) == 0  # the table is still there


@QUICK
@given(ANY)
def test_a_run_is_known_or_refused_and_its_folder_lies_below_runs(home: Path, run: str) -> None:
    with pytest.raises(UsageError):
        govern.approve_by_hand(run, who="w", why="w")
    try:
        folder = workspace.folder_of(run)
    except UsageError:
        return
    assert folder.parent == settings().runs and folder.resolve().parent == settings().runs.resolve()
    assert folder.name == run and not run.startswith((".", "-"))


@QUICK
@given(st.one_of(ANY, st.none(), st.integers(), st.dates().map(str), st.lists(st.text(max_size=3))))
@example("2024-W01-1")
@example("20240101")
@example("2024-02-30")
def test_a_day_of_a_dag_run_is_a_day_or_refused(given_day: object) -> None:
    try:
        day = asked_day({"as_of": given_day})
    except UsageError as error:
        assert "as_of" in str(error) and "YYYY-MM-DD" in str(error)
        return
    assert (day is None and not given_day) or (isinstance(day, date) and str(day) == given_day)


@QUICK
@given(ANY)
def test_whatever_airflow_calls_its_run_ours_has_a_name_that_is_a_folder(
    home: Path, airflow_run: str
) -> None:
    ours = run_id("retrain-seasonality", None, "newest", airflow_run)
    assert workspace.folder_of(ours).name == ours


COMMANDS = {
    "history": ["history", "{}"],
    "decisions": ["decisions", "{}"],
    "approve": ["approve", "{}", "--why", "w"],
    "reject": ["reject", "{}", "--why", "w"],
    "rollback": ["rollback", "{}", "--why", "w"],
    "rollback to": ["rollback", "seasonality", "--to", "{}", "--why", "w"],
    "reproduce": ["reproduce", "{}"],
    "score": ["score", "{}", "--tables", ".", "--as-of", "2025-01-01", "--out", "f.parquet"],
    "score as of": ["score", "seasonality", "--tables", ".", "--as-of", "{}", "--out", "f.parquet"],
    "run": ["run", "{}"],
    "run as of": ["run", "seasonality", "--as-of", "{}"],
    "run set": ["run", "seasonality", "--set", "{}=1"],
    "load": ["load", "{}"],
    "load size": ["load", "world", "--size", "{}", "--to", "tables"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_line_refuses_in_words(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    before = files(home.parents[2])
    for text in HOSTILE:
        monkeypatch.setattr(sys, "argv", ["bellwether", *(part.format(text) for part in COMMANDS[command])])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        assert end.value.code in (64, 2), (text, end.value.code, said)
        assert "Traceback" not in said.err
    assert files(home.parents[2]) == before
    assert not list(home.parents[2].rglob("pwned"))


@pytest.mark.parametrize("stage", ["snapshot", "validate", "features", "train", "evaluate", "gate"])
def test_stages_take_names_of_params_yaml_only(
    stage: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib import import_module

    monkeypatch.chdir(Path(__file__).resolve().parents[2])
    run = getattr(import_module(f"ml.stages.{stage}"), stage)
    before = files(Path("data")) if Path("data").exists() else set()
    for text in HOSTILE:
        with pytest.raises(UsageError):
            run(text)
    assert (files(Path("data")) if Path("data").exists() else set()) == before


def test_an_address_whose_password_would_be_shown_is_refused() -> None:
    with pytest.raises(UsageError, match="question mark") as caught:
        connect("postgresql+psycopg://shop@db/shop?password=hunter2secret")
    assert "hunter2secret" not in str(caught.value)
