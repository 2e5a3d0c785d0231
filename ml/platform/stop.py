"""Stopping: every process of the platform, its descendants included, and no other."""

from __future__ import annotations

import signal
from pathlib import Path

from ml.errors import SeamUnavailable
from ml.platform import postgres
from ml.platform.processes import Process, belonging, find, send, wait_gone
from ml.platform.state import State, exclusive, load, save

GRACE = 10.0  # seconds to end in order
POSTGRES_GRACE = 30.0  # it writes what it holds to the disk


def stop(home: Path) -> int:
    """Stop the platform of a home; returns how many processes were stopped (0: none ran). Safe to repeat."""
    if not home.is_dir():
        return 0
    with exclusive(home, "bellwether down"):
        state = load(home)
        return 0 if state is None else stop_all(home, state)


def stop_all(home: Path, state: State) -> int:
    """Stop what belongs to the state; the database last, so that nobody loses it under their feet."""
    server = postgres.at(home, state.socket_dir)
    database = _database(server)
    kept = _pids(database)
    others = [process for process in belonging(state) if process.pid not in kept]
    _end(others, signal.SIGTERM, GRACE)
    _end([process for process in belonging(state) if process.pid not in kept], signal.SIGTERM, GRACE)
    _end(database[:1], signal.SIGINT, POSTGRES_GRACE)  # SIGINT: PostgreSQL's fast shutdown
    _check_gone([*others, *database])
    _forget(home, state, server)
    return len(others) + len(database)


def _database(server: postgres.Postgres) -> list[Process]:
    started = postgres.running(server)
    process = None if started is None else find(started)
    return [] if process is None else [process, *process.children(recursive=True)]


def _pids(processes: list[Process]) -> frozenset[int]:
    return frozenset(process.pid for process in processes)


def _end(processes: list[Process], number: signal.Signals, seconds: float) -> None:
    if processes:
        send(processes, number)
        send(wait_gone(processes, seconds), signal.SIGKILL)


def _check_gone(processes: list[Process]) -> None:
    left = wait_gone(processes, GRACE)
    if left:
        raise SeamUnavailable(
            "some processes did not stop",
            found=", ".join(f"{process.pid} ({process.name()})" for process in left),
            next_step="run `make down` again; a process in wait for a disk ends when that answers",
        )


def _forget(home: Path, state: State, server: postgres.Postgres) -> None:
    """Ports and token stay: the next start takes the same ones. A socket folder of its own goes."""
    if server.socket_dir != server.folder:
        for file in server.socket_dir.glob(".s.PGSQL*"):
            file.unlink()
        server.socket_dir.rmdir()
    save(home, state.model_copy(update={"parts": {}, "socket_dir": None}))
