"""Models are loaded only where every file is the one that `train` wrote, and of a kind that cannot run code.

`model.json` of a model folder lists the SHA-256 of each other file. The list itself is held by the digest of the whole
folder, which the ledger keeps (`dvc.lock` of the run); who has the ledger at hand compares that too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.errors import DataRejected

if TYPE_CHECKING:
    from ml.families.record import Family

ABOUT = "model.json"
KINDS = (".ubj", ".json", ".safetensors")
"""What a model may consist of: numbers and texts, nothing that could run."""
_BLOCK = 1 << 20


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a model folder by its path in it, the folder's own `model.json` left out.

    Raises DataRejected for a file of a kind that is never loaded.
    """
    found = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    other = sorted(name for name in found if not name.endswith(KINDS))
    if other:
        raise DataRejected(
            f"the model in {folder} has files of a kind that is not loaded",
            found=", ".join(other[:5]),
            expected=f"only {', '.join(KINDS)}: a pickle can run any code",
            next_step="let the family's `save` write one of these kinds",
        )
    return {name: _sha256(path) for name, path in sorted(found.items())}


def load_model(record: Family, folder: Path, part: str) -> Any:
    """The model in `folder/part` (`final`, or `folds/<fold>`), once the whole folder has passed `check`."""
    check(folder)
    return record.load(folder / part)


def check(folder: Path) -> dict[str, Any]:
    """What `model.json` says. Raises DataRejected where a file was changed, is missing, or was put beside them."""
    about: dict[str, Any] = json.loads((folder / ABOUT).read_text())
    wanted: dict[str, str] = about.get("files", {})
    found = digests(folder)
    wrong = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
    if wrong:
        raise DataRejected(
            f"the model in {folder} is not the one that was trained, and is not loaded",
            found="; ".join(_difference(name, wanted.get(name), found.get(name)) for name in wrong[:5]),
            expected="the digests that its model.json lists",
            next_step="remove this copy and its object in the data cache, so that it is fetched again; if it differs "
            "there too, go back to another version (`bellwether rollback`) and find out who wrote to the store",
        )
    return about


def _difference(name: str, wanted: str | None, found: str | None) -> str:
    if found is None:
        return f"{name} is missing"
    if wanted is None:
        return f"{name} was not there"
    return f"{name} has SHA-256 {found[:12]} instead of {wanted[:12]}"


def _files(folder: Path) -> Iterator[Path]:
    own = folder / ABOUT
    yield from (path for path in folder.rglob("*") if path.is_file() and path != own)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
