"""Killing a process at every step of what it does, and a home that is put back after each time.

Nobody keeps the list of steps: a first run is traced line by line, and whatever changes something on disk is a step.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from ml import config

CODE = str(Path(config.__file__).parent)
BUILT = ("ingest-1", "tiny-1", "tiny-2", "publish-1")


def in_child(act: Callable[[], Any], note: Path) -> Any:
    """What `act` returns in a process of its own, which opens every database anew; its exit by signal, if killed."""
    note.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
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
    """Call `visit` before each line of ours that this thread goes on to execute."""

    def local(frame: FrameType, event: str, arg: Any) -> Any:
        if event == "line":
            visit()
        return local

    sys.settrace(lambda frame, event, arg: local if frame.f_code.co_filename.startswith(CODE) else None)


def on_disk(home: Path) -> tuple[Any, ...]:
    """What a change of anything that lasts would change: databases, pages, workspaces (half-made ones as a whole)."""
    stores = sorted(path for path in home.iterdir() if path.is_file() and not path.name.endswith("-shm"))
    marks = [(path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in stores]
    shown = [
        (str(path), str(path.readlink()) if path.is_symlink() else "")
        for path in (home / "reports").rglob("*")
    ]
    runs = [path for path in (home / "runs").iterdir() if path.name not in BUILT]
    made = [
        str(path)
        for run in runs
        for path in (run, *(() if run.name.startswith(".") else run.glob("data/*/*")))
    ]
    return (*marks, *sorted(shown), *sorted(made))


def steps(act: Callable[[], object], home: Path) -> list[int]:
    """Lines by their number in the order of execution: the first, and each before which something lasting was changed.

    What is not yet on disk is lost with the process: between two changes it does not matter where it is killed.
    """
    count, last, found = 0, on_disk(home), {1}

    def visit() -> None:
        nonlocal count, last
        count += 1
        now = on_disk(home)
        if now != last:
            found.add(count)
            last = now

    on_each_line(visit)
    act()
    sys.settrace(None)
    return sorted(found)


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
