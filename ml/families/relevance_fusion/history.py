"""What customers did before each row's day, with impressions that were not looked at taken out."""

from __future__ import annotations

import ibis

from ml.families.relevance_fusion.columns import NO_QUERY, PLACES
from ml.families.relevance_fusion.examination import Examination
from ml.toolkit.windows import exact_sum

SUMS = ("exposure", "engaged", "purchased")


def outcomes(matrix: ibis.Table, examination: Examination) -> ibis.Table:
    """The rows of queries with sums over the places: shown, exposure (looked at), engaged, purchased."""
    asked = matrix.filter(matrix.query != NO_QUERY)
    total = {what: _total(asked, what) for what in ("shown", "engaged", "purchased")}
    return asked.mutate(**total, exposure=examination.weighed(asked, "shown"))


def _total(rows: ibis.Table, what: str) -> ibis.Value:
    parts = [rows[f"{what}_{place}"].fill_null(0) for place in range(1, PLACES + 1)]
    return sum(parts[1:], parts[0])


def with_history(summed: ibis.Table) -> ibis.Table:
    """Add, from earlier days alone, pair_<sum> and product_<sum> for each of SUMS."""
    for name, by in (("pair", ("query", "product_id")), ("product", ("product_id",))):
        summed = summed.join(_before(summed, name, by), [*by, "day"])
    return summed


def _before(summed: ibis.Table, name: str, by: tuple[str, ...]) -> ibis.Table:
    daily = summed.group_by(*by, "day").aggregate(**{what: exact_sum(summed[what]) for what in SUMS})
    earlier = ibis.window(group_by=by, order_by="day", preceding=(None, 1))
    return daily.select(
        *by, "day", **{f"{name}_{what}": daily[what].sum().over(earlier).fill_null(0.0) for what in SUMS}
    )


def totals(summed: ibis.Table, by: tuple[str, ...]) -> ibis.Table:
    """All that happened so far: by..., exposure, engaged, purchased."""
    return summed.group_by(*by).aggregate(**{what: exact_sum(summed[what]) for what in SUMS})
