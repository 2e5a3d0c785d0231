"""Periods: the year before the origin in equal steps; step -1 ends at the origin, step 0 begins there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import ibis

from ml.families.relevance_fusion.params import RelevanceFusionParams

_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Clock:
    """The origin, the length of a period in days, and how many periods lie before the origin."""

    as_of: date
    period: int
    periods: int

    @property
    def first(self) -> date:
        """First day that is looked at."""
        return self.as_of - timedelta(days=self.period * self.periods)

    def within(self, moment: ibis.Value) -> ibis.Value:
        """Whether a timestamp lies in one of the periods before the origin."""
        return (moment >= _midnight(self.first)) & (moment < _midnight(self.as_of))

    def step_of(self, moment: ibis.Value) -> ibis.Value:
        """The step (negative) of a timestamp within the periods."""
        start = int(
            (datetime.combine(self.first, datetime.min.time()) - datetime(1970, 1, 1)).total_seconds()
        )
        passed = (moment.epoch_seconds() - start) // (_DAY * self.period)
        return passed.cast("int64") - self.periods

    def day_of(self, step: ibis.Value) -> ibis.Value:
        """First day of a step."""
        return (_midnight(self.as_of) + (step * self.period).cast("int64").as_interval("D")).date()

    def steps(self) -> ibis.Table:
        """One row per step, from the first to 0."""
        return (
            ibis.range(-self.periods, 1)
            .unnest()
            .name("step")
            .as_table()
            .select(step=lambda t: t.step.cast("int64"))
        )


def clock(as_of: date, params: RelevanceFusionParams) -> Clock:
    """The clock of an origin."""
    return Clock(as_of, params.period_days, max(params.history_days // params.period_days, 1))


def _midnight(day: date) -> ibis.Value:
    return ibis.timestamp(str(day))
