"""Image files that a warehouse names become part of its rows, so that a version carries what it was trained on.

Later stages read nothing from outside, so images have to travel with the snapshot: `file:` URIs and relative paths
below `BELLWETHER_IMAGES` become data URIs, made small; data URIs stay as they are; everything else (http, files
elsewhere, files that are no image) stays too, and means "no image" to whoever reads it later.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from sqlalchemy import Table

from ml.contracts.base import images
from ml.toolkit.images import MAX_BYTES, reduced

_ROWS = 1_000  # rows of a batch with images, of at most 64 KiB each


def with_images(
    contract: Table, rows: pa.RecordBatchReader, root: Path | None, longest: int
) -> pa.RecordBatchReader:
    """The rows with each image file below `root` as a data URI of at most `longest` pixels a side."""
    columns = images(contract)
    if root is None or not columns or longest == 0:
        return rows
    return pa.RecordBatchReader.from_batches(rows.schema, _filled(rows, columns, root.resolve(), longest))


def _filled(
    rows: pa.RecordBatchReader, columns: tuple[str, ...], root: Path, longest: int
) -> Iterator[pa.RecordBatch]:
    for whole in rows:
        for first in range(0, whole.num_rows, _ROWS):
            batch = whole.slice(first, _ROWS)
            for name in columns:
                uris = [_inlined(uri, root, longest) for uri in batch.column(name).to_pylist()]
                place = batch.schema.get_field_index(name)
                batch = batch.set_column(place, batch.schema.field(name), pa.array(uris, pa.string()))
            yield batch


def _inlined(uri: str | None, root: Path, longest: int) -> str | None:
    file = uri and _file_below(uri, root)
    if not file:
        return uri
    return reduced(file.read_bytes(), longest) or uri


def _file_below(uri: str, root: Path) -> Path | None:
    """The file that a `file:` URI or a path names, if it is one, below `root` (links followed) and not too long."""
    try:
        parts = urlsplit(uri)
        if parts.scheme not in ("", "file") or parts.netloc not in ("", "localhost"):
            return None
        file = (root / unquote(parts.path)).resolve()
        return (
            file
            if file.is_relative_to(root) and file.is_file() and file.stat().st_size <= MAX_BYTES
            else None
        )
    except (OSError, ValueError):
        return None
