"""Starting: what runs already is kept, what is missing is started, as much as possible side by side."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from ml.config import Settings
from ml.errors import SeamUnavailable, UsageError
from ml.platform import airflow, health, mlflow, postgres
from ml.platform.credentials import Credentials, credentials
from ml.platform.environment import base_environment, settings_of, write_environment
from ml.platform.ports import next_free
from ml.platform.processes import MARK, Command, belonging, find, send, spawn, tail, wait_gone
from ml.platform.state import Started, State, exclusive, load, save
from ml.platform.stop import GRACE, stop_all

Say = Callable[[str], None]
PATIENCE = 240.0  # seconds that a part may take to answer, on a machine that is busy
PREFERRED = {"airflow": airflow.PREFERRED_PORT, "mlflow": mlflow.PREFERRED_PORT}


@dataclass(slots=True)
class Platform:
    """A platform that is starting or runs."""

    settings: Settings
    state: State
    server: postgres.Postgres
    known: Credentials
    base: Mapping[str, str]
    say: Say
    halted: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def home(self) -> Path:
        """$BELLWETHER_HOME."""
        return self.settings.home

    @property
    def airflow_url(self) -> str:
        """Airflow's UI and REST API."""
        return airflow.address(self.state.ports["airflow"])

    @property
    def mlflow_url(self) -> str:
        """MLflow's UI and REST API."""
        return mlflow.address(self.state.ports["mlflow"])

    def ensure(self, command: Command) -> Started:
        """The running part, or the part started now and written down at once."""
        with self.lock:
            there = self.state.parts.get(command.part)
            if there is not None and find(there) is not None:
                return there
            if self.halted.is_set():
                raise SeamUnavailable(f"{command.part} was not started: the start was given up")
            started = spawn(command, self.state.token)
            self.state.parts[command.part] = started
            save(self.home, self.state)
            return started


def start(settings: Settings, say: Say) -> Platform:
    """Start what is missing. After a failure nothing that this call started stays."""
    with exclusive(settings.home, "bellwether up"):
        state = _state(settings)
        kept = {part for part, started in state.parts.items() if find(started) is not None}
        platform = _prepare(settings, state, say)
        try:
            _start_parts(platform)
        except BaseException:
            platform.halted.set()
            if not kept:
                stop_all(settings.home, state)
            raise
        write_environment(settings.home, _addresses(platform))
    platform.settings = settings_of(settings)
    return platform


def _state(settings: Settings) -> State:
    """What an earlier start left, without the processes that nobody leads any more."""
    state = load(settings.home) or State(project=settings.project)
    alive = belonging(state)
    if alive and state.project != settings.project:
        raise UsageError(
            f"the platform of another checkout runs in {settings.home}",
            found=state.project,
            expected=settings.project,
            next_step=f"`make down` in {state.project}, or a home of its own: BELLWETHER_HOME=DIR make up",
        )
    state.project = settings.project
    _stop_strays(state)
    return state


def _stop_strays(state: State) -> None:
    led: set[int] = set()
    for started in state.parts.values():
        leader = find(started)
        if leader is not None:
            led |= {leader.pid, *(child.pid for child in leader.children(recursive=True))}
    strays = [
        process for process in belonging(state) if process.pid not in led and process.name() != "postgres"
    ]
    send(strays, signal.SIGTERM)
    send(wait_gone(strays, GRACE), signal.SIGKILL)


def _prepare(settings: Settings, state: State, say: Say) -> Platform:
    home = settings.home
    home.chmod(home.stat().st_mode & 0o711)
    server = postgres.at(home, state.socket_dir)
    state.socket_dir = server.socket_dir
    adopted = postgres.running(server)
    if adopted is not None:
        state.parts["postgres"] = adopted
    _choose_ports(state, say)
    save(home, state)
    return Platform(settings, state, server, credentials(home), base_environment(settings), say)


def _choose_ports(state: State, say: Say) -> None:
    """Ports of parts that run stay; the others get the port of last time, else the first free one."""
    for name, part in (("airflow", "api-server"), ("mlflow", "mlflow")):
        there = state.parts.get(part)
        if there is not None and find(there) is not None:
            continue
        wanted = state.ports.get(name, PREFERRED[name])
        promised = frozenset(port for other, port in state.ports.items() if other != name)
        state.ports[name] = next_free(wanted, promised)
        if state.ports[name] != PREFERRED[name]:
            say(f"port {PREFERRED[name]} is taken by another program: {name} gets {state.ports[name]}")


def _start_parts(platform: Platform) -> None:
    _start_postgres(platform)
    with ThreadPoolExecutor(max_workers=2) as pool:
        jobs = [pool.submit(job, platform) for job in (_start_airflow, _start_mlflow)]
        try:
            _first_failure(jobs)
        except BaseException:
            platform.halted.set()
            stop_all(platform.home, platform.state)  # so that no thread waits for a part any longer
            raise


def _first_failure(jobs: list[Future[None]]) -> None:
    done, _ = wait(jobs, return_when=FIRST_EXCEPTION)
    for job in done:
        job.result()


def _start_postgres(platform: Platform) -> None:
    server = platform.server
    postgres.initialise(server, platform.base)
    started = platform.ensure(postgres.command(server, platform.base))
    took = health.wait("postgres", started, server.ready, PATIENCE)
    postgres.create_databases(server)
    platform.say(f"PostgreSQL answers ({took:.0f} s)")


def _start_mlflow(platform: Platform) -> None:
    stamp = _Stamp(platform, "mlflow", mlflow.STAMP)
    if stamp.older():
        _to_end(
            platform, "mlflow-migration", mlflow.migration(platform.server), mlflow.environment(platform.base)
        )
    port = platform.state.ports["mlflow"]
    started = platform.ensure(mlflow.command(platform.home, platform.server, port, platform.base))
    took = health.wait("mlflow", started, lambda: health.mlflow_answers(platform.mlflow_url), PATIENCE)
    stamp.write()
    platform.say(f"MLflow answers at {platform.mlflow_url} ({took:.0f} s)")


def _start_airflow(platform: Platform) -> None:
    port, home = platform.state.ports["airflow"], platform.home
    environment = airflow.environment(
        home, platform.settings.project, platform.server, port, platform.known, platform.base
    )
    stamp = _Stamp(platform, "airflow", airflow.STAMP)
    if not stamp.current():
        _to_end(platform, "airflow-migration", airflow.migration(), environment)
        stamp.write()
    parts = {c.part: platform.ensure(c) for c in airflow.commands(home, port, environment)}
    for part, started in parts.items():
        took = health.wait(part, started, health.airflow_check(platform.airflow_url, part), PATIENCE)
    platform.say(f"Airflow answers at {platform.airflow_url} ({took:.0f} s)")


@dataclass(frozen=True, slots=True)
class _Stamp:
    """Which release made a database's tables; kept beside the data, so that it goes when they go."""

    platform: Platform
    database: str
    release: str

    @property
    def file(self) -> Path:
        return self.platform.server.folder / f"{self.database}.release"

    def current(self) -> bool:
        return self.file.is_file() and self.file.read_text() == self.release

    def older(self) -> bool:
        return self.file.is_file() and self.file.read_text() != self.release

    def write(self) -> None:
        self.file.write_text(self.release)


def _to_end(platform: Platform, name: str, argv: tuple[str, ...], environment: Mapping[str, str]) -> None:
    log = platform.home / "logs" / f"{name}.log"
    with log.open("ab") as file:
        done = subprocess.run(
            argv,
            env={**environment, MARK: platform.state.token},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
            check=False,
        )
    if done.returncode:
        raise SeamUnavailable(
            f"{name} failed (exit code {done.returncode})",
            found=f"the end of its log:\n{tail(log)}",
            next_step=f"see {log}, mend what it names, and run `make up` again",
        )


def _addresses(platform: Platform) -> dict[str, str]:
    return {
        "warehouse_url": platform.server.url("warehouse"),
        "ledger_url": platform.server.url("ledger"),
        "mlflow_url": platform.mlflow_url,
        "airflow_url": platform.airflow_url,
    }
