"""Windows of the backtest: whole dialogues, by the day on which they began."""

from __future__ import annotations

from datetime import date

import ibis
import numpy as np
from ibis.expr.types import BooleanValue, Table

from ml.families.ground_truth.columns import KEY, KINDS, labelled, votes
from ml.families.ground_truth.params import GroundTruthParams
from ml.families.record import Fold


def folds(matrix: ibis.Table, as_of: date, params: GroundTruthParams) -> tuple[Fold, ...]:
    """The last `windows` spans of days with about `holdout_share` of the annotated dialogues each, oldest first.

    A window learns from dialogues that ended before it, and from what was said of them before it. It is judged on the
    dialogues that began in it. Raises ValueError if the annotated dialogues began on too few days.
    """
    origins = _origins(matrix, as_of, params)
    ends = [*origins[1:], as_of]
    return tuple(_fold(matrix, start, end) for start, end in zip(origins, ends, strict=True))


def _origins(matrix: Table, as_of: date, params: GroundTruthParams) -> list[date]:
    days = matrix.filter(annotated(matrix)).group_by("dialogue_id").aggregate(day=matrix.begun.min())
    counted = days.group_by("day").aggregate(n=days.count()).order_by("day").to_pyarrow()
    begun = [day for day in counted.column("day").to_pylist() if day < as_of]
    if len(begun) <= params.windows:
        raise ValueError(
            f"annotations: annotated dialogues began on {len(begun)} days before {as_of}; {params.windows + 1} or more"
            " are needed for the backtest; annotate dialogues of more days"
        )
    share = np.cumsum(counted.column("n").to_numpy()[: len(begun)]).astype(float)
    share /= share[-1]
    found: list[date] = []
    latest = len(begun) - 1
    for back in range(1, params.windows + 1):
        place = int(np.searchsorted(share, 1 - back * params.holdout_share))
        latest = max(min(place, latest), params.windows - back + 1)
        found.append(begun[latest])
        latest -= 1
    return found[::-1]


def annotated(matrix: Table) -> BooleanValue:
    """Whether anybody said anything of the row."""
    said = matrix[votes(KINDS[0])].notnull()
    for kind in KINDS[1:]:
        said = said | matrix[votes(kind)].notnull()
    return said


def _fold(matrix: Table, start: date, end: date) -> Fold:
    origin = ibis.timestamp(str(start))
    past = matrix.filter(matrix.ended < origin)
    heard = past.mutate(**{votes(kind): ibis.ifelse(past[labelled(kind)] < origin, past[votes(kind)], None)
                           for kind in KINDS})  # fmt: skip
    ahead = matrix.filter((matrix.begun >= ibis.date(start)) & (matrix.begun < ibis.date(end)))
    unheard = ahead.mutate(**{votes(kind): ibis.null("string") for kind in KINDS})
    spoken_of = heard.filter(annotated(heard)).select("dialogue_id").distinct()
    test = heard.semi_join(spoken_of, "dialogue_id").union(unheard)
    truth = ahead.filter(annotated(ahead))
    columns = [*KEY, "domain", "place", "exchanges", "words", *(votes(kind) for kind in KINDS)]
    return Fold(f"from-{start.isoformat()}", start, heard, test, truth.select(*columns).order_by(*KEY))
