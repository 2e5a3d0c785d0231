"""Rolling windows over a dense series, as Ibis expressions that cost two passes over one ordering.

A rolling sum is the difference of two cumulative sums, so any number of window lengths costs one sort for the
cumulative sums and one for the lags. All windows end before the current row: lag is at least one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import ibis

_PARTS = 1_000_000


def exact_sum(values: ibis.Value, where: ibis.Value | None = None) -> ibis.Value:
    """Sum over groups in whole millionths: the same whatever the order in which threads come by the rows.

    A value beyond nine million millions, or one that is not a number, is an error of the engine.
    """
    return parted(whole(values).sum(where=where))


def whole(values: ibis.Value) -> ibis.Value:
    """Values in whole millionths, as `exact_sum` adds them up: worth storing where each goes into several sums."""
    return (values * _PARTS).round().cast("int64")


def parted(sums: ibis.Value) -> ibis.Value:
    """Sums of whole millionths as numbers."""
    return sums.cast("float64") / _PARTS


def before(aggregate: ibis.Value, window: object) -> ibis.Value:
    """An aggregate over a window that may be empty: 0 there, never null."""
    return aggregate.over(window).fill_null(0)


def cumulate(
    series: ibis.Table, columns: Iterable[str], by: str, order: str, **beside: ibis.Value
) -> ibis.Table:
    """Add `cum_<column>`: the sum of the column up to and including the row; `beside` is added in the same pass."""
    window = ibis.window(group_by=by, order_by=order, preceding=None, following=0)
    return series.mutate(**{f"cum_{name}": series[name].sum().over(window) for name in columns}, **beside)


def lags(
    cumulated: ibis.Table, wanted: Mapping[str, Sequence[int]], by: str, order: str, **beside: ibis.Value
) -> ibis.Table:
    """Add `cum_<column>_<lag>`: the cumulative sum `lag` rows earlier, 0 before the series began."""
    window = ibis.window(group_by=by, order_by=order)
    added = {
        f"cum_{name}_{lag}": cumulated[f"cum_{name}"].lag(lag).over(window).fill_null(0)
        for name, some in wanted.items()
        for lag in sorted(set(some))
    }
    return cumulated.mutate(**added, **beside)


def rolling(lagged: ibis.Table, name: str, length: int, skip: int = 0) -> ibis.Value:
    """Sum of the `length` rows that end `skip` rows before the previous one (needs lags skip+1, skip+length+1)."""
    return lagged[f"cum_{name}_{skip + 1}"] - lagged[f"cum_{name}_{skip + length + 1}"]


def spans(windows: Iterable[tuple[int, int]]) -> list[int]:
    """The lags that windows of (length, skip) need."""
    return sorted({lag for length, skip in windows for lag in (skip + 1, skip + length + 1)})
