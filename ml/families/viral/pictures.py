"""How much a product looks like those that people show, from images alone, as it could be known at the time.

Scores are learnt anew at the start of each calendar quarter, from what was posted before it; a cascade takes those of
the quarter in which it begins. A product is never scored by its own image or by what was posted of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

import ibis
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ml.families.viral.params import ViralParams
from ml.toolkit.image_scores import scores_of_points
from ml.toolkit.images import encoded, encoder
from ml.toolkit.positive_unlabelled import Recipe

Floats = npt.NDArray[np.float32]
SCORES = pa.schema([("product_id", pa.string()), ("quarter", pa.date32()), ("image_score", pa.float64())])
_ROWS = 2_000  # images in memory at once
_AN_IMAGE = "data:image/"


def image_scores(placed: ibis.Table, products: ibis.Table, as_of: date, params: ViralParams) -> ibis.Table:
    """`product_id`, `quarter` (its first day), `image_score`; no rows where there are no images to learn from."""
    shown = _points(placed.select(key="product_id", image="image_uri", at="at"), params)
    if not len(shown.keys):
        return ibis.memtable(SCORES.empty_table())
    launched = products.launched_at.fill_null(ibis.timestamp("1970-01-01"))
    sold = _points(products.select(key="product_id", image="image_uri", at=launched), params)
    parts = [_scored(sold, shown, quarter, params) for quarter in _quarters(shown.at, as_of)]
    return ibis.memtable(pa.concat_tables(parts))


class _Points:
    """Images as points: whose each is, from when it counts, and where it lies (one row an image)."""

    def __init__(self, keys: list[str], at: list[datetime], points: Floats) -> None:
        self.keys, self.at, self.points = (
            np.asarray(keys, dtype=object),
            np.asarray(at, "datetime64[us]"),
            points,
        )


def _points(rows: ibis.Table, params: ViralParams) -> _Points:
    """Images in order of their product and time."""
    with_image = rows.filter(rows.image.startswith(_AN_IMAGE)).order_by("key", "at", "image")
    keys, times, blocks = list[str](), list[datetime](), list[Floats]()
    by = encoder(params.encoder)
    for batch in with_image.to_pyarrow_batches(chunk_size=_ROWS):
        points = encoded(batch.column("image").to_pylist(), by)
        kept = np.flatnonzero(~np.isnan(points).any(axis=1)) if points.shape[1] else np.empty(0, np.int64)
        keys += batch.column("key").take(pa.array(kept)).to_pylist()
        times += batch.column("at").take(pa.array(kept)).to_pylist()
        if len(kept):
            blocks.append(points[kept].astype(np.float32))
    return _Points(keys, times, np.concatenate(blocks) if blocks else np.empty((0, 0), np.float32))


def _quarters(shown: npt.NDArray[np.datetime64], as_of: date) -> Iterator[date]:
    """First days of the quarters from the first image that was posted to the one that `as_of` is in."""
    month = shown.min().astype("datetime64[M]").astype(int) // 3 * 3
    while np.datetime64(int(month), "M").astype("datetime64[D]").item() <= as_of:
        yield np.datetime64(int(month), "M").astype("datetime64[D]").item()
        month += 3


def _scored(sold: _Points, shown: _Points, quarter: date, params: ViralParams) -> pa.Table:
    """Scores from what was there on the quarter's first day; products that came later are scored, not learnt from."""
    start = np.datetime64(quarter, "us")
    before, known = shown.at < start, sold.at < start
    place = {key: row for row, key in enumerate(sold.keys)}
    owner = np.array([place.get(key, -1) for key in shown.keys[before]], dtype=np.int64)
    recipe = Recipe(bags=params.image_bags, seed=params.seed)
    scores = scores_of_points(sold.points, shown.points[before], owner, known=known, recipe=recipe)
    found = np.flatnonzero(~np.isnan(scores))
    columns = [pa.array(sold.keys[found], pa.string()), pa.array([quarter] * len(found), pa.date32())]
    return pa.Table.from_arrays([*columns, pa.array(scores[found])], schema=SCORES)
