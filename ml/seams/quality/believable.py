"""Limits that depend on the shop: what is an absurd quantity for a corner shop is a usual one for a wholesaler.

A suite's meta {"believable": {"quantity": {"times_median": 1000, "at_least": 10000}}} gives the placeholders
`{least.quantity}` and `{most.quantity}`: minus and plus 1,000 times the median size, but never less than 10,000.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml.seams.quality.predicates import quoted
from ml.seams.quality.rows import NUMBER, Database, Shards

_SAMPLE = 1_000_000


def believable(database: Database, shards: Shards, meta: Mapping[str, Any]) -> dict[str, float]:
    """The limits of the columns that `meta` names; the median is of about a million rows, always the same ones."""
    limits: dict[str, float] = {}
    for column, rule in meta.get("believable", {}).items():
        most = max(rule["at_least"], rule["times_median"] * _median_size(database, shards, column))
        limits |= {f"least.{column}": -most, f"most.{column}": most}
    return limits


def _median_size(database: Database, shards: Shards, column: str) -> float:
    if not shards.rows:
        return 0.0
    every = max(1, shards.rows // _SAMPLE)
    size = f"abs({quoted(column)})"
    some = f"{NUMBER} % {every} = 0 AND isfinite({quoted(column)})"
    found = database.run(
        f"SELECT quantile_disc({size}, 0.5) FROM {quoted(shards.table + '_at')} WHERE {some}"
    )
    return float(found[0][0] or 0.0)
