"""Clothing photographs: 3,781 colour pictures of clothes in ten classes, taken by volunteers and Tagias.com.

Original: https://github.com/alexeygrigorev/clothing-dataset-small (CC0), folders `{train,validation,test}/<class>/`
with one JPEG an image; or one `images` file (.parquet) with image_id, class_name and image_jpeg.

- An image is a product: its class is the category and the title, its file's name the id. Photographs larger than 128
  pixels are scaled to that.
- Nothing is known of prices (0), launches, texts or sales: there are products alone.

Dropped, counted: `no readable image`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from ml.errors import UsageError
from ml.sources import Loaded
from ml.sources.pictures import Picture, products
from ml.toolkit.images import reduced

ORIGIN = "https://github.com/alexeygrigorev/clothing-dataset-small"
LONGEST = 128
"""Pixels of the longer side."""

COLUMNS = ["image_id", "class_name", "image_jpeg"]
EXPECTED = (
    f"images.parquet with {', '.join(COLUMNS)}, or the original's folders of JPEG files; original: {ORIGIN}"
)


def load(path: Path) -> Loaded:
    """Contract tables from the file or folder `path`. Raises UsageError where neither form is there."""
    file = path if path.is_file() else path / "images.parquet"
    if file.is_file():
        return products(_of_parquet(file), "no readable image")
    photographs = sorted(path.glob("*/*/*.jpg"))
    if not photographs:
        raise UsageError(
            "nothing to load for clothing_small",
            found=str(path),
            expected=EXPECTED,
            next_step="give its folder: --path",
        )
    return products(
        (_picture(p.stem, p.parent.name, p.read_bytes()) for p in photographs), "no readable image"
    )


def _picture(image_id: str, class_name: str, content: bytes | None) -> Picture:
    return Picture(image_id, class_name, None if content is None else reduced(content, LONGEST))


def _of_parquet(file: Path) -> Iterator[Picture]:
    if missing := set(COLUMNS) - set(pq.read_schema(file).names):
        raise UsageError(
            f"{file.name} is not a file of this data set",
            found=f"no column {', '.join(sorted(missing))}",
            expected=EXPECTED,
        )
    for batch in pq.ParquetFile(file).iter_batches(columns=COLUMNS):
        yield from map(_picture, *(batch[name].to_pylist() for name in COLUMNS))
