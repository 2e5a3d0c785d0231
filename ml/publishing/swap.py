"""Put a folder of files in place in one step: a reader sees the old one or the new one, never half of one.

    <folder>                                symbolic link to the version in service
    <folder>.versions/<version>-<digest>/   complete versions; the newest few are kept

A version is written under another name and renamed when complete; then the link is replaced by `os.replace`,
which is atomic. Writers of the same folder wait for each other on a lock that ends with their process.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from ml.errors import UsageError

KEPT = 3
_WRITING = ".writing-"


def swap_in(files: Mapping[str, bytes], version: str, folder: Path) -> Path:
    """Make `folder` show exactly these files (flat names); returns `folder`, absolute, the link itself.

    Raises UsageError where `folder` exists and is not a link that this function made.
    """
    link = folder.parent.resolve() / folder.name  # the link is meant, not what it points to
    versions = link.with_name(f"{link.name}.versions")
    _check_replaceable(link, versions)
    versions.mkdir(parents=True, exist_ok=True)
    with _alone(versions):
        target = versions / f"{_file_name(version)}-{digest(files)}"
        _write(files, target)
        _point(link, target)
        _prune(versions, target)
    return link


def digest(files: Mapping[str, bytes]) -> str:
    """A digest of names and contents, in any order of the files."""
    whole = sha256()
    for name in sorted(files):
        whole.update(sha256(name.encode()).digest() + sha256(files[name]).digest())
    return whole.hexdigest()[:12]


def _check_replaceable(link: Path, versions: Path) -> None:
    found = _in_the_way(link, versions)
    if found:
        raise UsageError(
            f"{link} is in the way of the site",
            found=found,
            expected=f"nothing, or a link into {versions.name}/",
            next_step="move it away, or publish to another folder",
        )


def _in_the_way(link: Path, versions: Path) -> str:
    """What stands at `link` and is not ours; looked at once, because another writer may be at work."""
    try:
        mode = link.lstat().st_mode
    except FileNotFoundError:
        return ""
    if not stat.S_ISLNK(mode):
        return "a folder" if stat.S_ISDIR(mode) else "a file"
    target = link.parent / link.readlink()
    return "" if target.parent.resolve() == versions else f"a link to {target}"


@contextmanager
def _alone(versions: Path) -> Iterator[None]:
    with (versions / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(files: Mapping[str, bytes], target: Path) -> None:
    if not target.is_dir():  # a name that is there is complete, and its digest says that it holds these bytes
        draft = target.with_name(f"{_WRITING}{uuid4().hex}")
        draft.mkdir()
        for name, content in files.items():
            (draft / name).write_bytes(content)
        draft.rename(target)
    now = time.time_ns()
    os.utime(target, ns=(now, now))


def _point(link: Path, target: Path) -> None:
    draft = link.with_name(f".{link.name}.{uuid4().hex}")
    draft.symlink_to(target.relative_to(link.parent), target_is_directory=True)
    draft.replace(link)


def _prune(versions: Path, current: Path) -> None:
    """Drop all but the newest versions, and what a writer that died has left (writers are alone here)."""
    folders = [path for path in versions.iterdir() if path.is_dir() and path != current]
    drafts = [path for path in folders if path.name.startswith(_WRITING)]
    complete = sorted(set(folders) - set(drafts), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in [*drafts, *complete[KEPT - 1 :]]:
        shutil.rmtree(path, ignore_errors=True)


def _file_name(version: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", version).strip(".-")[:60] or "version"
