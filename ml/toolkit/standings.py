"""Running totals, read at any moment: what had been counted up just before it.

How much there was in a span of time is the difference of two readings. One sort serves any number of moments, where a
join of every moment with all that lies in its span would look at each entry as often as there are spans around it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ibis


def standings(
    asked: ibis.Table, key: Sequence[str], moments: Mapping[str, ibis.Value], totals: ibis.Table, by: str
) -> ibis.Table:
    """The columns `key` (unique in `asked`), and for each of `moments` the total just before it, 0 before the first.

    `totals`: `by`, `since`, `total`, one row per moment at which a total changes; `total` never falls. `asked` has the
    column `by`, and the times of `moments`.
    """
    each = ibis.union(
        *(asked.select(*key, by, reading=ibis.literal(name), moment=when) for name, when in moments.items())
    )
    found = each.asof_join(totals, on=each.moment > totals.since, predicates=by)
    return found.group_by(*key).aggregate(
        **{name: found.total.max(where=found.reading == name).fill_null(0) for name in moments}
    )
