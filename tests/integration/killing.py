"""Killing a process at every step of what it does, and a home that is put back after each time.

Nobody keeps the list of steps: a first run is traced line by line, and whatever changes something on disk is a step.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import shutil
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from types import FrameType
from typing import Any

import tiny_shop
from sqlalchemy import Engine, event, make_url

from ml import config
from ml.publishing.pages import _environment

CODE = str(Path(config.__file__).parent)
BUILT = ("ingest-1", "tiny-1", "publish-1")
"""Workspaces in which nothing happens any more."""
NO_DATA = ("ml", "expectations", ".dvc", "scratch", "scratch-publish")
"""Folders of a workspace that hold its code, or what is worth nothing after a crash."""


def warmed(modules: Iterable[str]) -> None:
    """Import once what every process would import, and leave it out of their garbage collections."""
    for name in modules:
        with contextlib.suppress(ImportError):  # made in the child by name alone
            importlib.import_module(name)
    for url in ("duckdb://", "sqlite://"):
        make_url(url).get_dialect()
    for name in ("index.html.j2", "collection.html.j2"):
        _environment().get_template(name)
    event.listen(Engine, "connect", _unsynced)
    gc.collect()
    gc.freeze()


def _unsynced(connection: Any, _record: object) -> None:
    """A killed process loses nothing that it has written; waiting for the disk guards against a power failure alone."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF")


def cooled() -> None:
    """Undo it for whatever is tested next."""
    event.remove(Engine, "connect", _unsynced)
    gc.unfreeze()


def in_child(act: Callable[[], Any], note: Path) -> Any:
    """What `act` returns in a process of its own, which opens every database anew; its exit by signal, if killed."""
    note.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        gc.disable()
        code = 1
        try:
            note.write_text(json.dumps(act()))
            code = 0
        except BaseException:
            note.write_text(json.dumps({"raised": traceback.format_exc()}))
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return {"killed": os.WTERMSIG(status)}
    said = json.loads(note.read_text())
    assert not (isinstance(said, dict) and "raised" in said), said["raised"]
    return said


def on_each_line(visit: Callable[[], None]) -> None:
    """Call `visit` before each line of ours (and of a push to the remote) that this thread goes on to execute."""

    def local(frame: FrameType, event: str, arg: Any) -> Any:
        if event == "line":
            visit()
        return local

    def of(frame: FrameType, event: str, arg: Any) -> Any:
        code = frame.f_code
        return local if code.co_filename.startswith(CODE) or code is tiny_shop.push.__code__ else None

    sys.settrace(of)


def on_disk(home: Path) -> tuple[Any, ...]:
    """What a change of anything that lasts would change: databases, pages, workspaces (half-made ones as a whole)."""
    stores = [entry for entry in os.scandir(home) if entry.is_file() and not entry.name.endswith("-shm")]
    marks = [(entry.name, _marks(entry)) for entry in stores]
    runs = [entry for entry in os.scandir(home / "runs") if entry.name not in BUILT]
    made = [made for run in runs for made in (run.path, *([] if run.name[0] == "." else _below(run.path)))]
    return (*sorted(marks), *_below(home / "reports"), *_below(home / "remote"), *sorted(map(str, made)))


def _below(folder: Path | str) -> list[tuple[str, Any]]:
    """All files and links below a folder, and what would change with them."""
    if not Path(folder).is_dir():
        return []
    found: list[tuple[str, Any]] = []
    for entry in os.scandir(folder):
        if entry.is_symlink():
            found.append((entry.path, str(Path(entry.path).readlink())))
        elif entry.is_dir():
            found += _below(entry.path) if entry.name not in NO_DATA else []
        else:
            found.append((entry.path, _marks(entry)))
    return sorted(found)


def _marks(entry: os.DirEntry[str]) -> tuple[int, int]:
    stat = entry.stat()
    return stat.st_mtime_ns, stat.st_size


def steps(act: Callable[[], object], home: Path, since: str = "") -> list[int]:
    """Lines by their number in the order of execution: the first, and each before which something lasting was changed.

    What is not yet on disk is lost with the process: between two changes it does not matter where it is killed. Where a
    loop changes one thing after another (a metric, a tag, an object of a push), its first change and its last stand for
    all. `since`: only what comes after the first change of a path that has this in it.
    """
    count, last, begun = 0, on_disk(home), not since
    found: list[tuple[int, Any]] = [(1, None)]

    def visit() -> None:
        nonlocal count, last, begun
        count += 1
        now = on_disk(home)
        if now != last:
            begun = begun or any(since in str(change) for change in set(now) ^ set(last))
            if begun:
                found.append((count, _lines_of(sys._getframe(2))))
            last = now

    on_each_line(visit)
    act()
    sys.settrace(None)
    return [number for number, _ in _ends_of_loops(found)]


def _lines_of(frame: FrameType | None) -> list[tuple[str, int]]:
    """Where a line is, and where it was called from."""
    lines = []
    while frame is not None:
        lines.append((frame.f_code.co_filename, frame.f_lineno))
        frame = frame.f_back
    return lines


def _ends_of_loops(found: list[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
    for _, group in groupby(found, key=itemgetter(1)):
        first, *others = group
        yield from (first, *others[-1:])


def killed_at(number: int, act: Callable[[], object]) -> None:
    count = 0

    def visit() -> None:
        nonlocal count
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    on_each_line(visit)
    act()


@dataclass(frozen=True)
class Shop:
    home: Path
    before: Path
    note: Path

    def restore(self) -> None:
        """Everything that can change, as it was; the data cache only grows."""
        for path in self.home.iterdir():
            if path.name not in ("cache", "artifacts", "dvc-site"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(self.before, self.home, symlinks=True, dirs_exist_ok=True)

    def keep(self) -> None:
        left = shutil.ignore_patterns("cache", "artifacts", "dvc-site")
        shutil.rmtree(self.before, ignore_errors=True)
        shutil.copytree(self.home, self.before, symlinks=True, ignore=left)

    def fresh(self) -> None:
        """Everything as it was built."""
        Shop(self.home, self.before.with_name("base"), self.note).restore()

    def run(self, act: Callable[[], Any]) -> Any:
        return in_child(act, self.note)
