"""Fashion-MNIST: 70,000 product photographs of Zalando as grey images of 28 x 28 pixels, in ten classes.

Original: https://github.com/zalandoresearch/fashion-mnist (MIT, Zalando SE 2017), the four files
`{train,t10k}-{images-idx3,labels-idx1}-ubyte.gz`; or one `images` file (.parquet) with image_id, class_name and pixels
(784 bytes, row by row).

- An image is a product: its class is the category and the title, its number the id. Pixels become PNG, unchanged.
- Nothing is known of prices (0), launches, texts or sales: there are products alone.

Dropped, counted: `not 28 x 28 pixels`.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from ml.errors import UsageError
from ml.sources import Loaded
from ml.sources.pictures import Picture, products
from ml.toolkit.images import data_uri

ORIGIN = "https://github.com/zalandoresearch/fashion-mnist"
CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
SIDE = 28
EXPECTED = (
    f"images.parquet with image_id, class_name, pixels, or the original's ubyte.gz files; original: {ORIGIN}"
)


def load(path: Path) -> Loaded:
    """Contract tables from the file or folder `path`. Raises UsageError where neither form is there."""
    return products(_as_png(_rows(path)), "not 28 x 28 pixels")


def _as_png(rows: Iterator[tuple[str, str, bytes]]) -> Iterator[Picture]:
    from PIL import Image

    for image_id, class_name, pixels in rows:
        if len(pixels) != SIDE * SIDE:
            yield Picture(image_id, class_name, None)
            continue
        file = io.BytesIO()
        Image.frombytes("L", (SIDE, SIDE), pixels).save(file, format="PNG")
        yield Picture(image_id, class_name, data_uri(file.getvalue(), "PNG"))


def _rows(path: Path) -> Iterator[tuple[str, str, bytes]]:
    file = path if path.is_file() else path / "images.parquet"
    if file.is_file():
        return _of_parquet(file)
    if (path / "train-images-idx3-ubyte.gz").is_file():
        return _of_originals(path)
    raise UsageError(
        "nothing to load for fashion_mnist",
        found=str(path),
        expected=EXPECTED,
        next_step="give its folder: --path",
    )


def _of_parquet(file: Path) -> Iterator[tuple[str, str, bytes]]:
    columns = ["image_id", "class_name", "pixels"]
    if missing := set(columns) - set(pq.read_schema(file).names):
        raise UsageError(
            f"{file.name} is not a file of this data set",
            found=f"no column {', '.join(sorted(missing))}",
            expected=EXPECTED,
        )
    for batch in pq.ParquetFile(file).iter_batches(columns=columns):
        yield from zip(*(batch[name].to_pylist() for name in columns), strict=True)


def _of_originals(folder: Path) -> Iterator[tuple[str, str, bytes]]:
    for split in ("train", "t10k"):
        images, labels = (folder / f"{split}-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1"))
        if images.is_file() and labels.is_file():
            pixels, numbers = (
                gzip.decompress(images.read_bytes())[16:],
                gzip.decompress(labels.read_bytes())[8:],
            )
            for row, number in enumerate(numbers):
                image = pixels[row * SIDE * SIDE : (row + 1) * SIDE * SIDE]
                yield f"{split}/{number}/{row:05d}", CLASSES[number], image
