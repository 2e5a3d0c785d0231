"""Matrix rows as arrays: what is fitted on, and what is predicted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.families.viral.columns import FEATURES, KEY
from ml.families.viral.params import ViralParams

Floats = NDArray[np.float64]
_SHARES = 1_000_000
_EPOCH = date(1970, 1, 1).toordinal()
PREDICTIONS = pa.schema(
    [
        ("cascade_id", pa.string()), ("point", pa.string()), ("doubles", pa.float64()), ("log2_size", pa.float64()),
        ("lead_hours", pa.float64()),
    ]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Past:
    """n observations whose outcome is known: features (n x columns), and what came of them.

    doubled: 0 or 1; growth: log2 of final size over posts seen; lead: log(1 + hours until the peak), NaN where the
    cascade had none, or it is not known. exposure: log(1 + hours since the observation): what came of an hour is less
    than what comes of a month, so the models are told, and asked about a time that is long for the past they know.
    """

    rows: pa.Table
    features: NDArray[np.float32]
    doubled: Floats
    growth: Floats
    lead: Floats
    exposure: Floats

    def of(self, some: NDArray[np.bool_]) -> Past:
        """Some of the observations."""
        return Past(
            self.rows.filter(pa.array(some)), self.features[some], self.doubled[some], self.growth[some],
            self.lead[some], self.exposure[some],
        )  # fmt: skip


def past(matrix: ibis.Table, as_of: date, params: ViralParams) -> Past:
    """Observations before `as_of` with a known size; at most `max_rows`, whole cascades."""
    known = matrix.filter((matrix.observed_at < ibis.timestamp(str(as_of))) & matrix["size"].notnull())
    count = known.count().to_pyarrow().as_py()
    if count > params.max_rows:
        share = int(params.max_rows / count * _SHARES)
        known = known.filter(known.cascade_id.hash().abs() % _SHARES < share)
    rows = known.order_by(*KEY).to_pyarrow()
    posts, size = numbers(rows, "posts"), numbers(rows, "size")
    observed = moments(rows, "observed_at")
    ahead = (moments(rows, "peak_at") - observed) / 3.6e9
    exposed = (as_of.toordinal() - _EPOCH) * 24 - observed / 3.6e9
    return Past(
        rows, features_of(rows), (size >= 2 * posts).astype(np.float64),
        np.log2(np.maximum(size, posts) / posts), np.log1p(np.maximum(ahead, 0)), np.log1p(np.maximum(exposed, 0)),
    )  # fmt: skip


def waiting(matrix: ibis.Table) -> pa.Table:
    """The rows that are to be predicted, sorted by key."""
    return matrix.filter(matrix.open).order_by(*KEY).to_pyarrow()


def features_of(rows: pa.Table, names: tuple[str, ...] = FEATURES) -> NDArray[np.float32]:
    """The named columns, NaN where null."""
    made = [rows.column(name).to_numpy().astype(np.float32) for name in names]
    return np.column_stack(made) if made else np.zeros((len(rows), 0), dtype=np.float32)


def numbers(rows: pa.Table, name: str) -> Floats:
    """A column as floats, NaN where null."""
    return np.asarray(rows.column(name).to_numpy(), dtype=np.float64)


def moments(rows: pa.Table, name: str) -> Floats:
    """A time column in microseconds since 1970, NaN where null."""
    return np.asarray(
        rows.column(name).cast(pa.timestamp("us")).cast(pa.int64()).to_numpy(), dtype=np.float64
    )


def predictions(rows: pa.Table, doubles: Any, growth: Any, lead: Any) -> pa.Table:
    """Predictions of the rows: chance of doubling, growth in powers of two, log(1 + hours until the peak)."""
    size = np.log2(numbers(rows, "posts")) + np.maximum(growth, 0.0)
    hours = np.expm1(np.clip(lead, 0.0, 20.0))
    columns = [rows.column("cascade_id"), rows.column("point"), np.clip(doubles, 1e-6, 1 - 1e-6), size, hours]
    filled = [
        np.broadcast_to(c, len(rows)) if isinstance(c, np.ndarray) or np.isscalar(c) else c for c in columns
    ]
    arrays = [pa.chunked_array(c).cast(f.type) if isinstance(c, pa.ChunkedArray) else pa.array(c, f.type)
              for c, f in zip(filled, PREDICTIONS, strict=True)]  # fmt: skip
    return pa.table(arrays, schema=PREDICTIONS)
