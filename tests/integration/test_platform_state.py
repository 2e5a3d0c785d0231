"""What the platform remembers, its lock, its ports and its secrets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml.config import Settings
from ml.errors import SeamUnavailable, UsageError
from ml.platform import ports, state
from ml.platform.credentials import credentials, password_file, read_password
from ml.platform.environment import base_environment, environment_file, settings_of, write_environment
from ml.platform.start import PREFERRED, _choose_ports, _state


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_a_taken_port_gives_the_next_free_one(listener: int) -> None:
    assert not ports.is_free(listener)
    assert ports.next_free(listener) > listener


def test_a_port_promised_to_another_part_is_not_given_twice(listener: int) -> None:
    first = ports.next_free(listener)
    assert ports.next_free(listener, frozenset({first})) > first


def test_a_port_on_all_addresses_counts_as_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        assert not ports.is_free(taken.getsockname()[1])


def test_no_free_port_says_how_to_find_who_listens(listener: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "TRIED", 1)
    with pytest.raises(SeamUnavailable, match=f"free port {listener}"):
        ports.next_free(listener)


def test_the_user_is_told_of_another_port(
    listener: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PREFERRED, "mlflow", listener)
    told: list[str] = []
    known = state.State(project=tmp_path)
    _choose_ports(known, told.append)
    assert known.ports["mlflow"] != listener
    assert any(str(listener) in words and str(known.ports["mlflow"]) in words for words in told)


def test_state_survives_and_is_private(tmp_path: Path) -> None:
    known = state.State(project=tmp_path, ports={"mlflow": 5000})
    state.save(tmp_path, known)
    assert state.load(tmp_path) == known
    assert state.state_file(tmp_path).stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [state.state_file(tmp_path)]


def test_a_state_of_another_kind_is_not_guessed_at(tmp_path: Path) -> None:
    state.state_file(tmp_path).write_text('{"pid": 1}')
    with pytest.raises(UsageError, match="not a state that this version wrote"):
        state.load(tmp_path)


def test_one_command_at_a_time_and_the_message_names_the_other(tmp_path: Path) -> None:
    with (
        state.exclusive(tmp_path, "bellwether up"),
        pytest.raises(SeamUnavailable, match=rf"bellwether up` \(process {os.getpid()}\)"),
        state.exclusive(tmp_path, "bellwether down"),
    ):
        pytest.fail("two held the lock")


def test_the_lock_of_a_killed_command_is_free(tmp_path: Path) -> None:
    holder = (
        "import os; from pathlib import Path; from ml.platform.state import exclusive\n"
        f"with exclusive(Path({str(tmp_path)!r}), 'bellwether up'): os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", holder], check=False).returncode == -9
    with state.exclusive(tmp_path, "bellwether up"):
        pass


def test_another_checkout_is_not_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = state.State(project=tmp_path / "theirs")
    state.save(tmp_path, theirs)
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    running = subprocess.Popen(sleeper, env={"BELLWETHER_PLATFORM": theirs.token})
    try:
        with pytest.raises(UsageError, match="another checkout runs") as caught:
            _state(Settings(home=tmp_path, project=tmp_path / "ours"))
        assert "theirs" in str(caught.value)
    finally:
        running.kill()
        running.wait()
    assert _state(Settings(home=tmp_path, project=tmp_path / "ours")).project == tmp_path / "ours"


def test_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    first, second = credentials(tmp_path), credentials(tmp_path)
    assert first.fresh and not second.fresh
    assert second.password == first.password == read_password(tmp_path)
    assert (first.fernet_key, first.jwt_secret) == (second.fernet_key, second.jwt_secret)
    modes = {file.name: file.stat().st_mode & 0o777 for file in password_file(tmp_path).parent.iterdir()}
    assert set(modes.values()) == {0o600}


def test_addresses_are_read_back_and_a_users_variable_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MLFLOW_URL", "WAREHOUSE_URL"):
        monkeypatch.delenv(f"BELLWETHER_{name}", raising=False)
    write_environment(tmp_path, {"mlflow_url": "http://127.0.0.1:5001", "warehouse_url": "postgresql://own"})
    monkeypatch.setenv("BELLWETHER_WAREHOUSE_URL", "duckdb:///shop.duckdb")
    found = settings_of(Settings(home=tmp_path))
    assert found.mlflow == "http://127.0.0.1:5001"
    assert found.warehouse == "duckdb:///shop.duckdb"
    assert environment_file(tmp_path).stat().st_mode & 0o777 == 0o600


def test_other_installations_do_not_leak_into_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere")
    monkeypatch.setenv("PGHOST", "elsewhere")
    environment = base_environment(Settings(home=tmp_path))
    assert not [name for name in environment if name.startswith("PG")]
    assert "MLFLOW_TRACKING_URI" not in environment and "AIRFLOW__CORE__EXECUTOR" not in environment
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert "127.0.0.1" in environment["no_proxy"]
