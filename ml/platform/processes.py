"""Starting, recognising and stopping the platform's processes, and only those."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import psutil  # type: ignore[import-untyped]

from ml.platform.state import Started, State

Process: TypeAlias = psutil.Process
MARK = "BELLWETHER_PLATFORM"
STARTUP = 30.0  # seconds within which a process notes its own start
CLOCK_SLACK = 2.0  # seconds that a start time may seem to move when the system clock is set


@dataclass(frozen=True, slots=True)
class Command:
    """One part of the platform as it is started. `user`: run as this system user (only root may)."""

    part: str
    argv: tuple[str, ...]
    log: Path
    environment: Mapping[str, str] = field(repr=False)
    address: str = ""
    user: str | None = None


def identity(user: str | None) -> dict[str, Any]:
    """Arguments of `subprocess` that run a command as a system user, and as nothing more."""
    return {} if user is None else {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def spawn(command: Command, token: str) -> Started:
    """Start a process in a session of its own, so that no Ctrl-C of a terminal reaches it."""
    command.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(command.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        child = _popen(command, token, descriptor)
    finally:
        os.close(descriptor)
    created = psutil.Process(child.pid).create_time()
    return Started(pid=child.pid, created=created, address=command.address, log=command.log)


def _popen(command: Command, token: str, log: int) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(
        command.argv,
        env={**command.environment, MARK: token, "SPT_NOENV": "1"},  # a new title must not overwrite the mark
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        cwd="/",
        umask=0o077,
        start_new_session=True,
        **identity(command.user),
    )
    child.returncode = 0  # let go of it: it outlives this process, and nobody here waits for it
    return child


def find(started: Started) -> Process | None:
    """The process that was started, if it still runs; a later process with the same pid is not it."""
    try:
        process = psutil.Process(started.pid)
        same = abs(process.create_time() - started.created) < CLOCK_SLACK
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def recorded(pid: int, name: str, near: float, log: Path) -> Started | None:
    """The process of that pid, if it has the name and started about `near` (epoch seconds)."""
    try:
        process = psutil.Process(pid)
        near_enough = abs(process.create_time() - near) < STARTUP
        if process.name() != name or not near_enough or process.status() == psutil.STATUS_ZOMBIE:
            return None
        return Started(pid=pid, created=process.create_time(), log=log)
    except psutil.NoSuchProcess:
        return None


def exit_code(started: Started) -> int | None:
    """How a process that we started ended (negative: by that signal); None where that cannot be told."""
    try:
        code = psutil.Process(started.pid).wait(timeout=0)
    except psutil.Error:
        return None
    return None if code is None else int(code)


def belonging(state: State) -> list[Process]:
    """Every living process of the platform: the parts, their descendants, and whatever carries the token."""
    found = {process.pid: process for process in _of_parts(state.parts.values())}
    found |= {process.pid: process for process in _marked(state.token)}
    for pid in (os.getpid(), *(parent.pid for parent in psutil.Process().parents())):
        found.pop(pid, None)
    return list(found.values())


def _of_parts(parts: Iterable[Started]) -> Iterator[Process]:
    for started in parts:
        process = find(started)
        if process is None:
            continue
        yield process
        try:
            yield from process.children(recursive=True)
        except psutil.NoSuchProcess:
            continue


def _marked(token: str) -> Iterator[Process]:
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == token and process.status() != psutil.STATUS_ZOMBIE:
                yield process
        except (psutil.Error, OSError):
            continue


def send(processes: Iterable[Process], number: signal.Signals) -> None:
    """Send a signal to each process that still lives (psutil checks that the pid was not recycled)."""
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue


def wait_gone(processes: Iterable[Process], seconds: float) -> list[Process]:
    """Wait for processes to end; returns those that did not."""
    deadline = time.monotonic() + seconds
    left = list(processes)
    while left and time.monotonic() < deadline:
        left = [process for process in left if _runs(process)]
        time.sleep(0.05 if left else 0)
    return left


def _runs(process: Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def memory(processes: Iterable[Process]) -> int:
    """Bytes in use, pages that processes share counted once (PSS; elsewhere the resident size)."""
    return sum(_memory_of(process) for process in processes)


def _memory_of(process: Process) -> int:
    try:
        full = process.memory_full_info()
    except (psutil.Error, OSError):
        return 0
    return int(getattr(full, "pss", 0) or full.rss)


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, "" where there is none."""
    if not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 20_000))
        text = file.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-lines:])


def python(*arguments: str) -> tuple[str, ...]:
    """A command line for this interpreter."""
    return (sys.executable, *arguments)
