"""The embedded PostgreSQL itself: made once, found again, stopped, and out of others' reach."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml.errors import SeamUnavailable
from ml.platform import health, postgres, survey
from ml.platform.processes import find, spawn, wait_gone
from ml.platform.state import State, load, save
from ml.platform.stop import stop, stop_all

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def made_once() -> Iterator[Path]:
    """A folder with a short path, unlike pytest's own; its data folder is made by the first test that starts it."""
    folder = Path(tempfile.mkdtemp(prefix="bw-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def home(made_once: Path) -> Iterator[Path]:
    """The same home for all tests, stopped before and after each."""
    stop(made_once)
    yield made_once
    stop(made_once)


@pytest.fixture
def new_home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="bw-"))
    yield folder
    stop(folder)
    shutil.rmtree(folder)


def bring_up(home: Path) -> tuple[postgres.Postgres, State]:
    state = load(home) or State(project=home)
    server = postgres.at(home, state.socket_dir)
    state.socket_dir = server.socket_dir
    postgres.initialise(server, os.environ)
    state.parts["postgres"] = spawn(postgres.command(server, dict(os.environ)), state.token)
    save(home, state)
    health.wait("postgres", state.parts["postgres"], server.ready, 60)
    postgres.create_databases(server)
    return server, state


def test_four_databases_survive_a_stop_and_a_start(home: Path) -> None:
    server, state = bring_up(home)
    with postgres.connect(server, "ledger") as connection:
        connection.execute("create table kept as select 7 as value")
    assert stop_all(home, state) > 0
    assert not server.ready()
    server, state = bring_up(home)
    with postgres.connect(server, "ledger") as connection:
        assert connection.execute("select value from kept").fetchone() == (7,)
        names = {row[0] for row in connection.execute("select datname from pg_database")}
    assert set(postgres.DATABASES) <= names


def test_only_its_owner_reaches_it_and_no_port_is_open(home: Path) -> None:
    server, _ = bring_up(home)
    socket = server.socket_dir / ".s.PGSQL.5432"
    assert server.socket_dir.stat().st_mode & 0o777 == 0o700
    assert socket.stat().st_mode & 0o777 == 0o700
    with postgres.connect(server, "postgres") as connection:
        assert connection.execute("show listen_addresses").fetchone() == ("",)


def test_a_long_home_gets_a_short_private_socket_folder_that_goes_with_it(new_home: Path) -> None:
    long = new_home / ("a-folder-with-a-name-that-goes-on-and-on-" * 3)
    long.mkdir()
    server, state = bring_up(long)
    try:
        assert server.socket_dir != server.folder
        assert postgres.fits(server.socket_dir)
        assert server.socket_dir.stat().st_mode & 0o777 == 0o700
    finally:
        stop_all(long, state)
    assert not server.socket_dir.exists()


def test_a_server_that_outlived_its_state_is_found_and_stopped(home: Path) -> None:
    server, state = bring_up(home)
    found = postgres.running(server)
    assert found is not None and found.pid == state.parts["postgres"].pid
    save(home, state.model_copy(update={"parts": {}}))
    assert stop(home) > 0
    assert postgres.running(server) is None
    assert stop(home) == 0


def test_a_crash_is_recovered_from(home: Path) -> None:
    server, state = bring_up(home)
    process = find(state.parts["postgres"])
    assert process is not None
    children = process.children(recursive=True)
    process.send_signal(signal.SIGKILL)
    assert wait_gone([process, *children], 20) == []
    server, _ = bring_up(home)
    assert server.ready()


def test_a_half_made_data_folder_is_made_anew(new_home: Path) -> None:
    draft = new_home / "pg" / "draft"
    draft.mkdir(parents=True)
    (draft / "PG_VERSION").write_text("18")
    server, _ = bring_up(new_home)
    assert server.ready() and not draft.exists()


def test_a_folder_that_cannot_be_made_is_named(new_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = new_home / "initdb"
    broken.write_text("#!/bin/sh\necho 'No space left on device' >&2; exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(postgres, "programs", lambda: new_home)
    with pytest.raises(SeamUnavailable, match="could not make its data folder") as caught:
        postgres.initialise(postgres.at(new_home), os.environ)
    assert "No space left on device" in str(caught.value)


def test_status_of_an_empty_home_is_that_nothing_runs(tmp_path: Path) -> None:
    empty = survey.survey(tmp_path)
    assert not empty.well and not any(part.running for part in empty.parts)


def test_status_says_which_parts_run(home: Path) -> None:
    bring_up(home)
    found = survey.survey(home)
    parts = {part.part: part for part in found.parts}
    assert parts["postgres"].healthy and parts["postgres"].pid
    assert not parts["scheduler"].running and not found.well
    assert found.memory > 0 and found.processes > 1
    assert found.as_json()["parts"][0]["part"] == "postgres"
