"""Rows that people decided about, kept in the data store: the ledger holds who and why, and the digest of these.

A batch is a folder with `rows.parquet` (the rows as they were put aside) and, for repairs, `repaired.parquet` (what
stands in for them); both have the contract's columns and `row_id`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq

from ml.config import from_yaml
from ml.seams import versioning

ROWS, REPAIRED = "rows.parquet", "repaired.parquet"


def keep(store: versioning.Store, room: Path, batch: Mapping[str, pa.Table]) -> str:
    """Put a batch (file name -> rows) into cache and remote; returns its digest. Equal rows, equal digest."""
    with _workspace(store, room) as folder:
        (folder / "batch").mkdir()
        for name, rows in batch.items():
            pq.write_table(rows, folder / "batch" / name, store_schema=False)
        (out,) = from_yaml(versioning.add(folder, "batch"))["outs"]
        versioning.push(folder, ["batch.dvc"])
    return str(out["md5"])


@contextmanager
def brought(store: versioning.Store, room: Path, digests: Sequence[str]) -> Iterator[Mapping[str, Path]]:
    """The folders with these digests, for a while. Raises SeamUnavailable where cache and remote lack one."""
    with _workspace(store, room) as folder:
        paths = {digest: folder / f"kept-{number}" for number, digest in enumerate(dict.fromkeys(digests))}
        for digest, path in paths.items():
            path.with_suffix(".dvc").write_text(versioning.pointer(path.name, digest))
        versioning.pull(folder, [f"{path.name}.dvc" for path in paths.values()])
        yield paths


@contextmanager
def _workspace(store: versioning.Store, room: Path) -> Iterator[Path]:
    room.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=room, prefix=".rows-") as folder:
        versioning.configure(Path(folder), store)
        yield Path(folder)
