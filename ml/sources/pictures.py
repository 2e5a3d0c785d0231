"""Product photographs as the contract table `products`: an image is a product with nothing else known of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import pyarrow as pa

from ml.contracts import TABLES
from ml.contracts.base import arrow_schema
from ml.sources import Loaded


class Picture(NamedTuple):
    """One photograph: its id, its class, and its data URI (None: no image that can be used)."""

    image_id: str
    class_name: str
    uri: str | None


def products(pictures: Iterable[Picture], reason: str) -> Loaded:
    """Products by id, with what was dropped for `reason` (no image that can be read)."""
    rows, dropped = [], 0
    for picture in pictures:
        if picture.uri is None:
            dropped += 1
        else:
            rows.append(_product(picture))
    rows.sort(key=lambda row: str(row["product_id"]))
    table = pa.Table.from_pylist(rows, schema=arrow_schema(TABLES["products"]))
    return Loaded({"products": table}, len(rows) + dropped, {reason: dropped} if dropped else {})


def _product(picture: Picture) -> dict[str, object]:
    return {
        "product_id": picture.image_id,
        "title": picture.class_name,
        "category": picture.class_name,
        "price": 0.0,
        "image_uri": picture.uri,
    }
