"""The windows of the backtest: cascades that began after the origin, judged by what came of them."""

from __future__ import annotations

from datetime import date

import ibis

from ml.families.record import Fold
from ml.families.viral.outcomes import origins
from ml.families.viral.params import ViralParams

_OF_ROW = (
    "cascade_id",
    "point",
    "kind",
    "product_id",
    "platform",
    "started",
    "observed_at",
    "posts",
    "peak_at",
)


def folds(matrix: ibis.Table, as_of: date, params: ViralParams) -> tuple[Fold, ...]:
    """One fold per origin, oldest first; its cases are the cascades that began before the next origin.

    Sizes are those of the matrix's day: the cascades of the last fold had the least time to grow. That day is part of
    the question (`until`): how many posts will there be by then?
    """
    starts = matrix.group_by("cascade_id").aggregate(started=matrix.started.max())
    days = origins(starts, as_of, params.windows, params.holdout)
    ends = [*days[1:], as_of]
    return tuple(
        _fold(matrix, n, day, end, as_of)
        for n, (day, end) in enumerate(zip(days, ends, strict=True), start=1)
    )


def _fold(matrix: ibis.Table, number: int, origin: date, end: date, as_of: date) -> Fold:
    stood = as_it_stood(matrix, number, origin, end).mutate(until=ibis.timestamp(str(as_of)))
    return Fold(f"origin-{origin.isoformat()}", origin, stood, stood, truth(matrix, origin, end))


def as_it_stood(matrix: ibis.Table, number: int, origin: date, end: date) -> ibis.Table:
    """What was known at the origin: sizes as of then, of observations before it; and the cases, without outcome.

    A peak is known if nothing was posted after the origin.
    """
    start = ibis.timestamp(str(origin))
    case = _is_case(matrix, origin, end)
    kept = matrix.filter(case | (matrix.observed_at < start))
    case, over = _is_case(kept, origin, end), kept.last_at < start
    known = ~case
    return kept.mutate(
        open=case,
        size=ibis.ifelse(known, kept[f"size_{number}"], None),
        last_at=ibis.ifelse(known & over, kept.last_at, None),
        peak_at=ibis.ifelse(known & over, kept.peak_at, None),
    ).drop(*(name for name in matrix.columns if name.startswith("size_")))


def _is_case(matrix: ibis.Table, origin: date, end: date) -> ibis.Value:
    return (matrix.started >= ibis.timestamp(str(origin))) & (matrix.started < ibis.timestamp(str(end)))


def truth(matrix: ibis.Table, origin: date, end: date) -> ibis.Table:
    """The cases with their sizes, and whether their cascade is of the half that started first (`early`)."""
    cases = matrix.filter(_is_case(matrix, origin, end))
    once = cases.group_by("cascade_id").aggregate(started=cases.started.max())
    middle = once.aggregate(middle=once.started.epoch_seconds().median())
    joined = cases.cross_join(middle)
    early = joined.started.epoch_seconds() <= joined.middle
    return joined.select(*_OF_ROW, "size", early=early).order_by("cascade_id", "point")
