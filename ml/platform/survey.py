"""What runs: one row a part, for people and for scripts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from ml.platform import airflow, health, postgres
from ml.platform.processes import belonging, find, memory
from ml.platform.state import Started, State, load
from ml.platform.summary import whole

PARTS = ("postgres", "mlflow", *airflow.PARTS)


@dataclass(frozen=True, slots=True)
class PartStatus:
    """One part of the platform."""

    part: str
    running: bool
    healthy: bool
    pid: int | None
    address: str
    log: str


@dataclass(frozen=True, slots=True)
class Status:
    """The whole platform. `memory`: bytes of all its processes, tasks included."""

    home: Path
    project: Path | None
    parts: tuple[PartStatus, ...]
    processes: int
    memory: int

    @property
    def well(self) -> bool:
        """Whether every part runs and answers."""
        return all(part.healthy for part in self.parts)

    def as_json(self) -> dict[str, Any]:
        """The status with plain values."""
        return {**asdict(self), "home": str(self.home), "project": str(self.project or ""), "well": self.well}


def survey(home: Path) -> Status:
    """Look at every part of the home's platform."""
    state = load(home)
    if state is None:
        return Status(home, None, tuple(PartStatus(part, False, False, None, "", "") for part in PARTS), 0, 0)
    state.parts |= _adopted(home, state)
    living = belonging(state)
    report = health.airflow_report(airflow.address(state.ports.get("airflow", 0)))
    rows = tuple(_row(home, state, part, report.get(part) == "healthy") for part in PARTS)
    return Status(home, state.project, rows, len(living), memory(living))


def _adopted(home: Path, state: State) -> dict[str, Started]:
    folder = home / "pg"
    if state.socket_dir is None or not folder.is_dir():
        return {}
    found = postgres.running(postgres.at(home, state.socket_dir))
    return {} if found is None else {"postgres": found}


def _row(home: Path, state: State, part: str, beats: bool) -> PartStatus:
    started = state.parts.get(part)
    process = None if started is None else find(started)
    if started is None or process is None:
        log = home / "logs" / f"{part}.log"
        return PartStatus(part, False, False, None, "", str(log) if log.is_file() else "")
    return PartStatus(
        part, True, _healthy(home, state, part, beats), started.pid, started.address, str(started.log)
    )


def _healthy(home: Path, state: State, part: str, beats: bool) -> bool:
    if part == "postgres":
        return postgres.at(home, state.socket_dir).ready()
    if part == "mlflow":
        return health.mlflow_answers(state.parts[part].address)
    return beats


def _short(log: str, home: Path) -> str:
    return log.removeprefix(f"{home}/")


def _line(part: str, state: str, pid: str, log: str, address: str) -> str:
    return f"{part:<15}{state:<17}{pid:<9}{log:<24}{address}".rstrip()


def _state(part: PartStatus) -> tuple[str, str]:
    if part.healthy:
        return "healthy", "green"
    return ("does not answer", "red") if part.running else ("stopped", "dim")


def tell(console: Console, status: Status) -> None:
    """Print one line a part, which is never broken inside an address, however narrow the terminal."""
    whole(console, f"platform in {status.home}")
    whole(console, "[bold]" + _line("part", "state", "pid", "log", "address") + "[/]")
    for part in status.parts:
        state, style = _state(part)
        line = _line(part.part, state, str(part.pid or ""), _short(part.log, status.home), part.address)
        whole(console, line.replace(state, f"[{style}]{state}[/]", 1))
    if status.processes:
        console.print(f"{status.processes} processes, {status.memory / 2**30:.2f} GiB", highlight=False)
