"""Starting, recognising and stopping processes: only ours, all of ours, whatever they did in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml.errors import SeamUnavailable
from ml.platform import health
from ml.platform.processes import (
    MARK,
    Command,
    belonging,
    exit_code,
    find,
    memory,
    python,
    spawn,
    tail,
    wait_gone,
)
from ml.platform.state import Started, State
from ml.platform.stop import stop_all

SLEEPER = "import time; time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
RUNAWAY = f"""
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {SLEEPER!r}], start_new_session=True)
print("begun", flush=True)
if len(sys.argv) == 1:
    time.sleep(60)
"""


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    state = State(project=tmp_path, socket_dir=tmp_path)
    yield state
    for process in belonging(state):
        process.kill()


def started(state: State, home: Path, code: str, *arguments: str, part: str = "part") -> Started:
    command = Command(part, python("-c", code, *arguments), home / f"{part}.log", dict(os.environ))
    state.parts[part] = spawn(command, state.token)
    return state.parts[part]


def wait_for(log: Path, word: str) -> None:
    deadline = time.monotonic() + 20
    while word not in tail(log):
        assert time.monotonic() < deadline, tail(log)
        time.sleep(0.05)


def test_a_process_is_found_by_pid_and_start_time_together(state: State, tmp_path: Path) -> None:
    ours = started(state, tmp_path, SLEEPER)
    assert find(ours) is not None
    recycled = ours.model_copy(update={"created": ours.created - 100})
    assert find(recycled) is None


def test_stopping_leaves_a_stranger_with_a_recorded_pid_alone(state: State, tmp_path: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", SLEEPER])
    try:
        state.parts["scheduler"] = Started(pid=stranger.pid, created=12.0, log=tmp_path / "log")
        assert stop_all(tmp_path, state) == 0
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_stopping_reaches_children_in_sessions_of_their_own(state: State, tmp_path: Path) -> None:
    wait_for(started(state, tmp_path, RUNAWAY).log, "begun")
    assert len(belonging(state)) == 2
    assert stop_all(tmp_path, state) == 2
    assert belonging(state) == []


def test_stopping_reaches_orphans_whose_parent_died(state: State, tmp_path: Path) -> None:
    parent = started(state, tmp_path, RUNAWAY, "leave")
    wait_for(parent.log, "begun")
    while find(parent) is not None:
        time.sleep(0.05)
    assert len(belonging(state)) == 1
    assert stop_all(tmp_path, state) == 1


def test_a_start_that_was_killed_before_it_wrote_the_pid_down_leaves_nothing(
    state: State, tmp_path: Path
) -> None:
    started(state, tmp_path, SLEEPER)
    state.parts.clear()
    deadline = time.monotonic() + 20
    while not belonging(state) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert stop_all(tmp_path, state) == 1
    assert belonging(state) == []


def test_a_process_that_ignores_the_request_is_killed(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml.platform.stop.GRACE", 0.5)
    wait_for(started(state, tmp_path, STUBBORN).log, "deaf")
    assert stop_all(tmp_path, state) == 1
    assert belonging(state) == []


def test_the_calling_process_is_never_among_them(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MARK, state.token)
    assert os.getpid() not in {process.pid for process in belonging(state)}


def test_a_part_that_dies_is_named_with_its_last_words_and_its_log(state: State, tmp_path: Path) -> None:
    dying = started(state, tmp_path, "raise SystemExit('the disk is full')", part="mlflow")
    with pytest.raises(SeamUnavailable) as caught:
        health.wait("mlflow", dying, lambda: False, 20)
    message = str(caught.value)
    assert "mlflow stopped while starting (exit code 1)" in message
    assert "the disk is full" in message
    assert str(dying.log) in message


def test_a_part_that_hangs_is_named_too(state: State, tmp_path: Path) -> None:
    hanging = started(state, tmp_path, SLEEPER, part="triggerer")
    with pytest.raises(SeamUnavailable, match="triggerer did not answer within 0 seconds"):
        health.wait("triggerer", hanging, lambda: False, 0.3)


def test_a_process_killed_by_a_signal_says_so(state: State, tmp_path: Path) -> None:
    ours = started(state, tmp_path, SLEEPER)
    process = find(ours)
    assert process is not None
    process.send_signal(signal.SIGKILL)
    wait_gone([process], 5)
    assert exit_code(ours) == -signal.SIGKILL


def test_logs_are_private_and_memory_is_counted(state: State, tmp_path: Path) -> None:
    ours = started(state, tmp_path, SLEEPER)
    assert ours.log.stat().st_mode & 0o777 == 0o600
    assert memory(belonging(state)) > 0
