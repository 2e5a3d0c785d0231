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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from ml.errors import UsageError

KEPT = 3
_WRITING = ".writing-"
_AGAIN = "+"


def swap_in(files: Mapping[str, bytes], version: str, folder: Path) -> Path:
    """Make `folder` show exactly these files (flat names); returns `folder`, absolute, the link itself.

    Raises UsageError where `folder` exists and is not a link that this function made.
    """
    link = folder.parent.resolve() / folder.name  # the link is meant, not what it points to
    versions = link.with_name(f"{link.name}.versions")
    _check_replaceable(link, versions)
    versions.mkdir(parents=True, exist_ok=True)
    with _alone(versions):
        target = _free(versions / f"{_file_name(version)}-{digest(files)}")
        _write(files, target)
        _point(link, target)
        _prune(versions, target)
        _drop(_link_drafts(link))
    return link


def shown(folder: Path) -> str | None:
    """The name of the version that `folder` shows; None where it is no link to one."""
    link = folder.parent.resolve() / folder.name
    target = link.parent / link.readlink() if link.is_symlink() else None
    return target.name if target is not None and target.is_dir() else None


def is_whole(folder: Path, version: str) -> bool:
    """Whether the files of a version are those that were written: its name ends with their digest."""
    return _is_whole(folder.with_name(f"{folder.name}.versions") / version)


def left_over(folder: Path) -> list[Path]:
    """What writers that died have left; nothing while another one is at work."""
    versions = folder.with_name(f"{folder.name}.versions")
    if not versions.is_dir():
        return []
    with _alone(versions):
        return [*versions.glob(f"{_WRITING}*"), *_link_drafts(folder)]


def sweep(folder: Path) -> None:
    """Remove what writers that died have left."""
    versions = folder.with_name(f"{folder.name}.versions")
    with _alone(versions):
        _drop([*versions.glob(f"{_WRITING}*"), *_link_drafts(folder)])


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


def _free(target: Path) -> Path:
    """`target`, or a name beside it where files of that version were changed behind our back."""
    while target.is_dir() and not _is_whole(target):
        target = target.with_name(f"{target.name}{_AGAIN}")
    return target


def _is_whole(version: Path) -> bool:
    if not version.is_dir():
        return False
    files = {path.name: path.read_bytes() for path in version.iterdir() if path.is_file()}
    return version.name.rstrip(_AGAIN).endswith(f"-{digest(files)}")


def _link_drafts(link: Path) -> list[Path]:
    return [path for path in link.parent.glob(f".{link.name}.*") if path.is_symlink()]


def _drop(drafts: Sequence[Path]) -> None:
    for path in drafts:
        path.unlink() if path.is_symlink() else shutil.rmtree(path, ignore_errors=True)


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
