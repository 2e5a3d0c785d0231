"""What was asked over time, and what became of the cascades that were foreseen."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import ibis
import numpy as np
import pyarrow as pa

from ml.families.record import Realised
from ml.families.viral.columns import FEATURES
from ml.families.viral.design import numbers
from ml.families.viral.params import ViralParams
from ml.toolkit.spans import some

SETTLED_DAYS = 28


def asked(matrix: ibis.Table) -> ibis.Table:
    """Every cascade at every moment at which it was looked at, with what was known of it then."""
    names = [name for name in FEATURES if name in matrix.columns]
    return matrix.select("cascade_id", "point", "platform", *names, asked_at=matrix.observed_at)


def asked_between(matrix: ibis.Table, start: date, end: date, most: int) -> tuple[ibis.Table, date]:
    """The moments in those days at which about `most` cascades were looked at, as if they were open then."""
    when = matrix.observed_at
    inside = matrix.filter((when >= ibis.timestamp(str(start))) & (when < ibis.timestamp(str(end))))
    return some(inside, ("cascade_id",), most).mutate(open=True), end


def losses(
    published: Mapping[str, pa.Table], matrix: ibis.Table, as_of: date, now: date, params: ViralParams
) -> pa.Table | None:
    """The log loss of doubling of the cascades that were open, against the entropy of what was said.

    The entropy is the loss that a calibrated chance promises of itself (Spiegelhalter 1986). Also the squared error of
    log2 of the final size.
    """
    known = matrix.select("cascade_id", "point", "product_id", "posts", "size").to_pyarrow()
    both = published["cascade_forecasts"].join(known, ["cascade_id", "point"], join_type="inner")
    both = both.sort_by([("cascade_id", "ascending"), ("point", "ascending")])
    chance = np.clip(numbers(both, "doubles"), 1e-6, 1 - 1e-6)
    size, posts = numbers(both, "size"), numbers(both, "posts")
    doubled = size >= 2 * posts
    return pa.table(
        {
            "case": both.column("cascade_id"), "entity": both.column("product_id"),
            "loss": -np.where(doubled, np.log(chance), np.log(1 - chance)), "weight": np.ones(len(both)),
            "expected": -chance * np.log(chance) - (1 - chance) * np.log(1 - chance),
            "also_squared_error_of_log2_size": (np.log2(size) - numbers(both, "log2_size")) ** 2,
        }
    )  # fmt: skip


REALISED = Realised(days=SETTLED_DAYS, losses=losses)
