"""What was asked over time.

How published rankings turned out is not told: customers see the shop's own order, and what they would have bought from
another is an estimate, which the backtest already makes of every period.
"""

from __future__ import annotations

from datetime import date
from functools import reduce
from operator import add

import ibis

from ml.families.relevance_fusion.columns import KNOWN, NO_QUERY, PLACES


def asked(matrix: ibis.Table) -> ibis.Table:
    """Every product that was shown for a query in a period, with what was known of both when it began.

    Candidates that were not shown are left out: the newest periods have more of these than older ones.
    """
    rows = matrix.filter((matrix.query != NO_QUERY) & _shown(matrix))
    return rows.select("query", "product_id", "category", *KNOWN, asked_at=rows.day)


def asked_between(matrix: ibis.Table, start: date, end: date, most: int) -> tuple[ibis.Table, date]:
    """The candidates that were shown in the periods that begin in those days, and all that was known before them.

    All queries: what customers did with a product for one counts for the others.
    """
    before = matrix.day < ibis.date(start)
    return matrix.filter(before | ((matrix.day < ibis.date(end)) & _shown(matrix))), start


def _shown(matrix: ibis.Table) -> ibis.Value:
    return reduce(add, (matrix[f"shown_{place}"].fill_null(0) for place in range(1, PLACES + 1))) > 0
