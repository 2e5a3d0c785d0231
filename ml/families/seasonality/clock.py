"""Time as the family counts it: whole steps (days or weeks) from the origin, which is step 0."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import ibis

from ml.families.record import Tables
from ml.families.seasonality.params import SeasonalityParams


@dataclass(frozen=True, slots=True)
class Clock:
    """Steps of `step_days` days; step 0 begins at `as_of`, and `horizon` steps are forecast."""

    as_of: date
    step_days: int
    horizon: int

    def steps(self, days: int) -> int:
        """How many steps make `days` days (at least one)."""
        return max(1, round(days / self.step_days))

    def step_of(self, day: ibis.Value) -> ibis.Value:
        """The step in which a date or timestamp column lies; negative before the origin."""
        days = day.cast("date").delta(ibis.date(self.as_of), unit="day")
        return (days // self.step_days).cast("int32")

    def day_of(self, step: ibis.Value) -> ibis.Value:
        """The first day of a step."""
        return (ibis.timestamp(str(self.as_of)) + (step * self.step_days).as_interval("D")).date()

    def day(self, step: int) -> date:
        """The first day of a step, as a plain date."""
        return self.as_of + timedelta(days=step * self.step_days)


def clock_of(tables: Tables, as_of: date, params: SeasonalityParams) -> Clock:
    """The clock for these tables; `grain: auto` means weeks when all order lines fall on one day of the week."""
    weekly = params.grain == "week" or (params.grain == "auto" and _is_weekly(tables["order_lines"]))
    return clock(as_of, 7 if weekly else 1, params)


def clock(as_of: date, step_days: int, params: SeasonalityParams) -> Clock:
    """The clock of a matrix whose steps are already known."""
    return Clock(as_of, step_days, params.horizon_weeks if step_days == 7 else params.horizon)


def _is_weekly(order_lines: ibis.Table) -> bool:
    weekday = order_lines.ordered_at.cast("date").day_of_week.index()
    found = order_lines.aggregate(low=weekday.min(), high=weekday.max(), rows=order_lines.count())
    row = found.to_pyarrow().to_pylist()[0]
    return bool(row["rows"]) and row["low"] == row["high"]
