"""What was shown for a query and what became of it, by period; what annotators said; who is a candidate."""

from __future__ import annotations

import ibis

from ml.families.record import Tables
from ml.families.relevance_fusion.clock import Clock
from ml.families.relevance_fusion.columns import NO_QUERY, OUTCOMES, PLACES
from ml.families.relevance_fusion.params import RelevanceFusionParams
from ml.families.relevance_fusion.words import normal

SCREEN = "screen"
VOICE = "voice"
PAIR = ("query", "product_id")


def listings(tables: Tables, clock: Clock) -> ibis.Table:
    """query, product_id, modality, step; shown_k, engaged_k and purchased_k for each place k (the last: and beyond).

    Places begin at 1. A purchase is an engagement. A search without words is left out.
    """
    searches = tables["searches"]
    seen = searches.filter(clock.within(searches.searched_at)).select(
        "product_id", "modality",
        query=normal(searches.query), step=clock.step_of(searches.searched_at),
        place=ibis.greatest(ibis.least(searches.position, PLACES), 1), shown=ibis.literal(1),
        engaged=(searches.engaged | searches.purchased).cast("int64"), purchased=searches.purchased.cast("int64"),
    )  # fmt: skip
    seen = seen.filter(seen.query != NO_QUERY)
    counts = {
        f"{what}_{place}": seen[what].sum(where=seen.place == place).fill_null(0).cast("int32")
        for what in OUTCOMES
        for place in range(1, PLACES + 1)
    }
    return seen.group_by("query", "product_id", "modality", "step").aggregate(**counts)


def judgements(tables: Tables, clock: Clock) -> ibis.Table:
    """query, product_id, step (of the judgement; the first one for what is older), points, annotators, judged_at."""
    given = tables["judgements"]
    given = given.filter(given.judged_at < ibis.timestamp(str(clock.as_of)))
    old = given.judged_at < ibis.timestamp(str(clock.first))
    judged = given.select(
        "product_id", "grade", "judged_at",
        query=normal(given.query), step=ibis.ifelse(old, -clock.periods - 1, clock.step_of(given.judged_at)),
    )  # fmt: skip
    judged = judged.filter(judged.query != NO_QUERY)
    return judged.group_by(*PAIR, "step").aggregate(
        points=judged.grade.sum(), annotators=judged.count(), judged_at=judged.judged_at.max()
    )


def grades(judged: ibis.Table) -> ibis.Table:
    """One row per judged pair: the mean grade of its annotators, how many they are, the day of the last judgement."""
    summed = judged.group_by(*PAIR).aggregate(
        points=judged.points.sum(), annotators=judged.annotators.sum(), judged_at=judged.judged_at.max()
    )
    return summed.select(
        *PAIR,
        grade=summed.points / summed.annotators,
        annotators=summed.annotators,
        judged_day=summed.judged_at.date(),
    )


def candidates(
    listed: ibis.Table, judged: ibis.Table, clock: Clock, params: RelevanceFusionParams
) -> ibis.Table:
    """query, product_id, modality, step of every row.

    A pair is a candidate in each period in which it was shown; at the origin if it was shown in one of the
    `recent_periods`; a judged pair is one at the origin and in all periods of the backtest's windows, on the screen,
    but not in those before it was judged: what is compared with it then would change afterwards.
    """
    shown = listed.select(*PAIR, "modality", "step")
    recent = shown.filter(shown.step >= -params.recent_periods).mutate(step=ibis.literal(0, "int64"))
    steps = clock.steps().filter(lambda t: t.step > -(params.windows + params.window_periods))
    first = judged.group_by(*PAIR).aggregate(first=judged.step.min())
    there = first.join(steps, first.first <= steps.step)
    there = there.select(*PAIR, modality=ibis.literal(SCREEN), step=there.step)
    return ibis.union(shown, recent.select(*shown.columns), there, distinct=True)
