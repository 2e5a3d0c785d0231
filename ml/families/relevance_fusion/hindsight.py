"""What was asked over time.

How published rankings turned out is not told: customers see the shop's own order, and what they would have bought from
another is an estimate, which the backtest already makes of every period.
"""

from __future__ import annotations

from functools import reduce
from operator import add

import ibis

from ml.families.relevance_fusion.columns import KNOWN, NO_QUERY, PLACES


def asked(matrix: ibis.Table) -> ibis.Table:
    """Every product that was shown for a query in a period, with what was known of both when it began.

    Candidates that were not shown are left out: the newest periods have more of these than older ones.
    """
    shown = reduce(add, (matrix[f"shown_{place}"].fill_null(0) for place in range(1, PLACES + 1)))
    rows = matrix.filter((matrix.query != NO_QUERY) & (shown > 0))
    return rows.select("query", "product_id", "category", *KNOWN, asked_at=rows.day)
