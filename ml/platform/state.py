"""What the platform remembers of itself (`$BELLWETHER_HOME/state.json`), and the lock of `up` and `down`."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ml.config import OTHER_HOME
from ml.errors import SeamUnavailable, UsageError, usable


class Started(BaseModel):
    """A process that `up` started. `created` (epoch seconds) tells it from a later one with its pid."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pid: int
    created: float
    address: str = ""
    log: Path


class State(BaseModel):
    """The platform of one home. `token` is in the environment of every process that belongs to it."""

    model_config = ConfigDict(extra="forbid")

    project: Path
    token: str = Field(default_factory=lambda: secrets.token_hex(16))
    ports: dict[str, int] = Field(default_factory=dict)
    socket_dir: Path | None = None
    parts: dict[str, Started] = Field(default_factory=dict)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def state_file(home: Path) -> Path:
    """Where the state of the home's platform is."""
    return home / "state.json"


def save(home: Path, state: State) -> None:
    """Write the state, all of it or nothing."""
    write_private(state_file(home), state.model_dump_json(indent=2))


def load(home: Path) -> State | None:
    """The state of the home's platform; None where `up` never ran. Raises UsageError on any other content."""
    path = state_file(home)
    if not path.is_file():
        return None
    try:
        return State.model_validate_json(path.read_text())
    except ValidationError as error:
        raise UsageError(
            f"{path} is not a state that this version wrote",
            found=str(error.errors()[0]["msg"]),
            next_step="stop what still runs with the version that started it, then remove the file",
        ) from error


@contextmanager
def exclusive(home: Path, purpose: str) -> Iterator[None]:
    """Hold the home's lock; freed when the process ends, however it ends. Raises SeamUnavailable."""
    with usable(home, OTHER_HOME):
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        (home / "platform.lock").touch()
    with (home / "platform.lock").open("a+") as file:
        _take(file.fileno(), home / "platform.lock", purpose)
        file.truncate(0)
        file.write(f"`{purpose}` (process {os.getpid()})")
        file.flush()
        yield


def _take(descriptor: int, path: Path, purpose: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SeamUnavailable(
            f"`{purpose}` has to wait: {path.read_text() or 'another command'} is at work in {path.parent}",
            expected="one at a time",
            next_step="wait until it is through (or stop it with Ctrl-C), then try again",
        ) from None
