"""Distributions of columns: how they are kept in a profile, and how far two of them are apart.

A distribution is {"edges": [...], "shares": [...]} for numbers (shares of the len(edges)+1 bins; bin i holds
edges[i-1] < value <= edges[i]) or {"shares": {category: share}} for texts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ml.seams.quality.predicates import literal, quoted

_SMALLEST = 1e-4


def bin_of(column: str, edges: list[float]) -> str:
    """SQL: number of the bin that a value of `column` falls in."""
    if not edges:
        return "0"
    cases = " ".join(f"WHEN {quoted(column)} <= {literal(edge)} THEN {i}" for i, edge in enumerate(edges))
    return f"CASE {cases} ELSE {len(edges)} END"


def counts_query(column: str, baseline: Mapping[str, Any], time: str | None, since: datetime | None) -> str:
    """SQL over {batch}: (bin or category, rows) of the non-null values since `since`."""
    group = bin_of(column, baseline["edges"]) if "edges" in baseline else quoted(column)
    recent = f" AND {quoted(time)} >= {literal(since)}" if time and since else ""
    return f"SELECT {group} AS part, count(*) FROM {{batch}} WHERE {quoted(column)} IS NOT NULL{recent} GROUP BY part"


def shares_of(baseline: Mapping[str, Any], counts: Mapping[Any, int]) -> dict[Any, float]:
    """Shares in the baseline's parts; categories that it does not know are one further part."""
    total = sum(counts.values())
    parts = range(len(baseline["edges"]) + 1) if "edges" in baseline else baseline["shares"]
    shares: dict[Any, float] = {part: counts.get(part, 0) / total for part in parts}
    shares["(other)"] = 1 - sum(shares.values())
    return shares


def stability_index(baseline: Mapping[str, Any], shares: Mapping[Any, float]) -> float:
    """Population stability index: sum of (p - q) ln(p / q) over the parts.

    It is the symmetrised Kullback-Leibler divergence (Jeffreys 1946); below .1 is usually called stable, above .25 a
    shift. A share of nothing counts as 1e-4, so that one unseen bin does not make it infinite.
    """
    before = baseline["shares"]
    known = dict(enumerate(before)) if "edges" in baseline else before
    pairs = [(max(shares[part], _SMALLEST), max(known.get(part, 0.0), _SMALLEST)) for part in shares]
    return math.fsum((now - then) * math.log(now / then) for now, then in pairs)
