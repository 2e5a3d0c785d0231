"""DVC's data objects: which of them are neither in the cache nor in the remote, and which were changed in the cache."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from ml.errors import SeamUnavailable
from ml.seams.versioning import Store, configure, md5

Files = Mapping[str, str]
"""Names of a folder's files, and their digests."""


class Remote(Protocol):
    """What is asked of the remote."""

    def has(self, digests: Collection[str]) -> set[str]:
        """Those of the digests that it has."""

    def text(self, digest: str) -> str:
        """What an object holds."""


def listings(store: Store, folders: Collection[str]) -> dict[str, Files | None]:
    """The files of each folder (by the folder's digest); None where the listing itself is lost."""
    local = {digest: _cached(store, digest) for digest in folders}
    absent = [digest for digest, path in local.items() if not path.is_file()]
    texts = {digest: path.read_text() for digest, path in local.items() if path.is_file()}
    if absent:
        with _opened(store) as remote:
            texts |= {digest: remote.text(digest) for digest in remote.has(absent)}
    return {digest: _files(texts.get(digest)) for digest in folders}


def lost(store: Store, digests: Collection[str]) -> set[str]:
    """Those of the objects that are neither in the cache nor in the remote."""
    absent = {digest for digest in digests if not _cached(store, digest).is_file()}
    return absent - in_remote(store, absent)


def in_remote(store: Store, digests: Collection[str]) -> set[str]:
    """Those of the objects that the remote has. Raises SeamUnavailable if it does not answer."""
    if not digests:
        return set()
    with _opened(store) as remote:
        return remote.has(digests)


def changed(store: Store, digests: Collection[str]) -> set[str]:
    """Those of the cached objects whose bytes are not those of their digest."""
    there = [digest for digest in digests if _cached(store, digest).is_file()]
    return {digest for digest in there if md5(_cached(store, digest)) != digest.removesuffix(".dir")}


def drop(store: Store, digests: Collection[str]) -> None:
    """Remove objects from the cache; they are brought from the remote when they are needed."""
    for digest in digests:
        _cached(store, digest).unlink(missing_ok=True)


def _cached(store: Store, digest: str) -> Path:
    return store.cache / "files/md5" / digest[:2] / digest[2:]


def _files(text: str | None) -> Files | None:
    if text is None:
        return None
    try:
        return {item["relpath"]: item["md5"] for item in json.loads(text)}
    except (ValueError, KeyError, TypeError):
        return None


class _ByDvc:
    def __init__(self, objects: Any) -> None:
        self._objects = objects

    def has(self, digests: Collection[str]) -> set[str]:
        return set(self._objects.oids_exist(list(digests)))

    def text(self, digest: str) -> str:
        found: str = self._objects.fs.read_text(self._objects.oid_to_path(digest))
        return found


@contextmanager
def _opened(store: Store) -> Iterator[Remote]:
    """The remote, whatever kind of store it is. Its libraries raise what they like when it is away."""
    from dvc.repo import Repo

    with tempfile.TemporaryDirectory(prefix="bellwether-remote-") as scratch:
        configure(Path(scratch), store)
        try:
            with Repo(scratch) as repo:
                yield _ByDvc(repo.cloud.get_remote_odb("store"))
        except Exception as error:
            raise SeamUnavailable(
                "the data remote does not answer",
                found=" ".join(f"{type(error).__name__}: {error}".split())[:200],
                expected="the DVC remote of BELLWETHER_REMOTE_URL",
                next_step="start it, or correct the address and its credentials",
            ) from error
