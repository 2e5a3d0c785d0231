"""`docker/compose.yaml` without Docker: its services' own commands and environment, as plain processes of this machine.

What a container would give a process is given in another way: a home of its own, folders in place of volumes and of
`/run/secrets`, and addresses on 127.0.0.1 in place of names of services. Redis and PostgreSQL are real; moto's server
stands in for the object store.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any

import psutil
import psycopg
import yaml
from project import ROOT, copied

from ml.platform import postgres
from ml.platform.processes import identity

NAMES = {"postgres": 5432, "redis": 6379, "store": 8333, "mlflow": 5000, "api-server": 8080}
MARK = "BELLWETHER_PRODUCTION_TEST"
_VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")


def compose(**variables: str) -> dict[str, Any]:
    """The file, with `${NAME:-default}` filled in."""
    text = (ROOT / "docker/compose.yaml").read_text()
    found: dict[str, Any] = yaml.safe_load(_VARIABLE.sub(lambda m: variables.get(m[1], m[2]), text))
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Stack:
    """The services that run, each with its folder below `root`."""

    root: Path
    services: Mapping[str, Any]
    ports: Mapping[str, int] = field(default_factory=lambda: {name: free_port() for name in NAMES})
    token: str = field(default_factory=lambda: token_hex(16))
    children: list[subprocess.Popen[bytes]] = field(default_factory=list)
    server: subprocess.Popen[bytes] | None = None  # PostgreSQL: it ends at once by SIGINT alone

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def project(self) -> Path:
        return self.root / "project"

    def secret(self, name: str) -> str:
        return (self.secrets / name).read_text().strip()

    def address(self, service: str) -> str:
        return f"127.0.0.1:{self.ports[service]}"

    def home(self, name: str) -> Path:
        return self.root / "homes" / name

    def here(self, text: str, name: str) -> str:
        """A text of the compose file as it has to be on this machine."""
        places = {
            "/opt/bellwether": self.project,
            "/var/lib/bellwether": self.home(name),
            "/var/log/bellwether": self.root / "volumes/task-logs",
            "/run/secrets": self.secrets,
        }
        for place, folder in places.items():
            text = text.replace(place, str(folder))
        for service, port in NAMES.items():
            for host in (service, "127.0.0.1"):
                text = text.replace(f"{host}:{port}", self.address(service))
        return text

    def environment(self, service: str, name: str) -> dict[str, str]:
        """What the container would have: nothing of ours but a PATH."""
        given = self.services[service].get("environment", {})
        found = {variable: self.here(str(value), name) for variable, value in given.items()}
        listen = {
            "api-server": {
                "AIRFLOW__API__HOST": "127.0.0.1",
                "AIRFLOW__API__PORT": str(self.ports["api-server"]),
            },
            "mlflow": {"MLFLOW_HOST": "127.0.0.1", "MLFLOW_PORT": str(self.ports["mlflow"])},
        }
        path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"])
        own = {"PATH": path, "HOME": str(self.home(name)), "PYTHONPATH": str(self.project), MARK: self.token}
        return {**own, "PYTHONUNBUFFERED": "1", "NO_PROXY": "127.0.0.1", **found, **listen.get(service, {})}

    def argv(self, service: str, name: str) -> list[str]:
        described = self.services[service]
        line = [*described.get("entrypoint", []), *described.get("command", [])]
        return [self.here(part, name) for part in line]

    def start(self, service: str, name: str = "", extra: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        """Start a service as `name` (default: its own); `extra` is what the container's own host would say."""
        name = name or service
        self._lay_out(service, name)
        with self.log(name).open("ab") as log:
            return self._spawned(
                [*self.argv(service, name), *extra],
                env=self.environment(service, name),
                cwd=self.home(name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _spawned(self, argv: list[str], **how: Any) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(argv, **how)
        self.children.append(child)
        return child

    def log(self, name: str) -> Path:
        folder = self.root / "out"
        folder.mkdir(exist_ok=True)
        return folder / f"{name}.log"

    def _lay_out(self, service: str, name: str) -> None:
        self.home(name).mkdir(parents=True, exist_ok=True)
        for volume in self.services[service].get("volumes", []):
            source, mark, target = str(volume).partition(":")
            if not mark or not target.startswith(("/var/lib/bellwether", "/var/log/bellwether")):
                continue
            folder = self.root / "volumes" / source
            folder.mkdir(parents=True, exist_ok=True)
            link = Path(self.here(target.removesuffix(":ro"), name))
            if not link.exists():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(folder)

    def start_postgres(self) -> None:
        """An empty server that asks for passwords, then the very script that the container runs on it."""
        server = postgres.at(self.root)
        environment = {"PATH": "/usr/bin:/bin", MARK: self.token}
        postgres.initialise(server, environment)
        hba = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        (server.data / "pg_hba.conf").write_text(hba)
        command = postgres.command(server, environment)
        port = str(self.ports["postgres"])
        with self.log("postgres").open("ab") as log:
            self.server = self._spawned(
                [*command.argv, "-c", "listen_addresses=127.0.0.1", "-c", f"port={port}"],
                env=environment, stdout=log, stderr=log, cwd="/", start_new_session=True, **identity(command.user),
            )  # fmt: skip
        self.wait(lambda: self._answers(server.socket_dir), "postgres", 60)
        subprocess.run(
            ["sh", str(self.project / "docker/postgres-init.sh")],
            env={
                "PATH": f"{postgres.programs()}:/usr/bin:/bin", "POSTGRES_USER": "postgres", "PGPORT": port,
                "PGHOST": str(server.socket_dir), "SECRETS": str(self.secrets),
            },
            check=True,
        )  # fmt: skip

    def _answers(self, host: Path) -> bool:
        try:
            psycopg.connect(
                host=str(host), port=self.ports["postgres"], user="postgres", dbname="postgres"
            ).close()
        except psycopg.OperationalError:
            return False
        return True

    def start_store(self) -> None:
        with self.log("store").open("ab") as log:
            self._spawned(
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.ports["store"])],
                env={**os.environ, MARK: self.token}, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.wait_for_port("store")

    def wait_for_port(self, service: str, seconds: float = 300) -> None:
        def listens() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.ports[service])) == 0

        self.wait(listens, service, seconds)

    def wait(self, check: Callable[[], bool], what: str, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not check():
            if time.monotonic() > until:
                raise AssertionError(f"{what} is not there after {seconds:.0f} s:\n{self.told(what)}")
            time.sleep(0.5)

    def told(self, name: str) -> str:
        log = self.log(name)
        return log.read_text(errors="replace")[-4000:] if log.exists() else "(no log)"

    def stop(self) -> None:
        """End the services with their groups, and whatever else carries our mark (a title may overwrite it)."""
        for how in (signal.SIGTERM, signal.SIGKILL):
            for child in (child for child in self.children if child.poll() is None):
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGINT if child is self.server else how)
            for process in self._living():
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(how)
            if self._gone(10):
                return

    def _gone(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while self._living() or any(child.poll() is None for child in self.children):
            if time.monotonic() > until:
                return False
            time.sleep(0.2)
        return True

    def _living(self) -> list[psutil.Process]:
        return [process for process in psutil.process_iter() if _marked(process, self.token)]


def _marked(process: psutil.Process, token: str) -> bool:
    try:
        return bool(process.environ().get(MARK) == token and process.status() != psutil.STATUS_ZOMBIE)
    except (psutil.Error, OSError):
        return False


def laid_out(root: Path, family: str, tables: Collection[str], **variables: str) -> Stack:
    """The project's files and the secrets in `root`, for a shop of these tables and one family."""
    stack = Stack(root, compose(**variables)["services"])
    copied(stack.project, [family], tables)
    subprocess.run(
        ["sh", str(stack.project / "docker/make-secrets.sh"), str(stack.secrets)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    for path in stack.secrets.iterdir():
        path.chmod(0o600)
        path.write_text(stack.here(path.read_text(), "secrets"))
    return stack
