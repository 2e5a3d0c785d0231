"""The windows of the backtest: searches are split by time, judgements by query.

A window has several periods: the purchases of one are too few to tell two rankings apart.

A judgement is of a query and a product, not of a day, and is often made once for all: at each window the judgements
of one group of queries, and those made from the origin on, are hidden from training; the hidden group's are the truth.
"""

from __future__ import annotations

from datetime import date, timedelta

import ibis

from ml.families.record import Fold
from ml.families.relevance_fusion.columns import COUNTS, JUDGED, KEY, LABEL
from ml.families.relevance_fusion.examination import estimate
from ml.families.relevance_fusion.history import outcomes
from ml.families.relevance_fusion.params import RelevanceFusionParams
from ml.toolkit.splits import rolling_origins

_OF_CASE = ("category", "query_words", "popularity", "units_3", "price_to_relevant", "bought_with_relevant")
_BY_PLACE = tuple(name for name in COUNTS if not name.startswith("purchased"))


def folds(matrix: ibis.Table, as_of: date, params: RelevanceFusionParams) -> tuple[Fold, ...]:
    """`windows` folds of `window_periods` each, oldest first, each beginning a period after the one before.

    The last one ends where the matrix's knowledge ends.
    """
    span = timedelta(days=params.period_days * params.window_periods)
    last = as_of - span + timedelta(days=params.period_days)
    origins = rolling_origins(last, params.period_days, params.windows)
    first = matrix.judged_day.min().to_pyarrow().as_py()
    by_time = first is not None and first < origins[0]
    looked_at = outcomes(matrix, estimate(matrix))
    return tuple(
        _fold(matrix, looked_at, origin, origin + span, _group(matrix, params) == number, by_time=by_time)
        for number, origin in enumerate(origins)
    )


def _group(matrix: ibis.Table, params: RelevanceFusionParams) -> ibis.Value:
    return matrix.query.hash().cast("decimal(38, 0)").abs() % params.windows


def _fold(
    matrix: ibis.Table, looked_at: ibis.Table, origin: date, end: date, hidden: ibis.Value, *, by_time: bool
) -> Fold:
    stood = as_it_stood(matrix, origin, end, hidden, by_time=by_time)
    train = stood.filter(stood.day <= ibis.date(origin))
    return Fold(f"origin-{origin.isoformat()}", origin, train, stood, truth(looked_at, origin, end, hidden))


def as_it_stood(
    matrix: ibis.Table, origin: date, end: date, hidden: ibis.Value, *, by_time: bool
) -> ibis.Table:
    """The matrix until `end` without outcomes from the origin on and the judgements that are not to be seen.

    Of the periods after the first there is what the shop knows when they begin (sales, prices), as there is in service;
    what customers did in searches is as old as the model.
    """
    late = (matrix.judged_day >= ibis.date(origin)) if by_time else ibis.literal(False)
    blind = hidden | late.fill_null(False)
    judgements = {name: ibis.ifelse(blind, None, matrix[name]) for name in LABEL}
    about = {
        name: ibis.ifelse(hidden, None, matrix[name])
        for name in (*JUDGED, "relevant")
        if name in matrix.columns
    }
    past = matrix.day < ibis.date(origin)
    counts = {name: ibis.ifelse(past, matrix[name], None) for name in COUNTS}
    return matrix.mutate(**judgements, **about, **counts).filter(lambda t: t.day < ibis.date(end))


def truth(looked_at: ibis.Table, origin: date, end: date, hidden: ibis.Value) -> ibis.Table:
    """What came true of the candidates of a window's periods that were judged or shown.

    Key; grade (mean of the annotators; of the first period, and null unless the query is of the hidden group) and
    known_grade (of all groups: what is drawn, not what is judged); shown, exposure (impressions that were looked at, as
    estimated), engaged, purchased; what slices and the study need; shown and engaged by place.
    """
    grade = ibis.ifelse(hidden & (looked_at.day == ibis.date(origin)), looked_at.grade, None)
    seen = looked_at.mutate(known_grade=looked_at.grade, grade=grade).filter(
        lambda t: (
            t.day.between(ibis.date(origin), ibis.date(end) - ibis.interval(days=1))
            & (t.grade.notnull() | (t.shown > 0))
        )
    )
    sums = ("grade", "known_grade", "shown", "exposure", "engaged", "purchased")
    return seen.select(*KEY, *sums, *_OF_CASE, *_BY_PLACE).order_by(*KEY)
