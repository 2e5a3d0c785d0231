"""Everything about a world that is settled before its first order: products, occasions, campaigns, volume."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from ml.errors import UsageError
from ml.world import promotions
from ml.world.attention import bursts
from ml.world.calendar import Event, events_between
from ml.world.catalogue import Catalogue, build
from ml.world.demand import Conditions, demand_on
from ml.world.promotions import Promotions
from ml.world.sizes import Size, sized

DEFAULT_END = date(2025, 12, 1)  # the coming 28 days hold the Christmas peak
PLANNED_DAYS = 60  # campaigns are planned, and the truth is told, this long beyond the end
ANNOUNCED_DAYS = 90  # occasions are in the table this long beyond the end
_VOLUME_STEP = 5  # the volume is set on every fifth day, which meets every weekday


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A world before its first order. Days count from `start`; the data ends before day number `days`."""

    size: Size
    seed: int
    start: date
    days: int
    conditions: Conditions

    @property
    def end(self) -> date:
        """The first day without data."""
        return self.start + timedelta(days=self.days)

    @property
    def catalogue(self) -> Catalogue:
        """The products."""
        return self.conditions.catalogue

    @property
    def events(self) -> tuple[Event, ...]:
        """Occasions from two months before the start until they are no longer announced."""
        return self.conditions.events

    @property
    def promotions(self) -> Promotions:
        """All campaigns, planned ones too."""
        return self.conditions.promotions

    def date_of(self, day: int) -> date:
        """The date of a day's number."""
        return self.start + timedelta(days=day)


def blueprint(
    size: str = "small",
    seed: int = 7,
    end: date = DEFAULT_END,
    days: int | None = None,
    lines: int | None = None,
) -> Blueprint:
    """Settle a world. Raises UsageError for an unknown size, or for days that the size has no capacity for.

    `days` (default: the size's) go back from `end`; `lines` is the number of order lines over the size's own days.
    Two worlds with the same first day agree on every day that both have.
    """
    chosen = sized(size, lines)
    length = chosen.days if days is None else days
    _check_days(length, chosen)
    start = end - timedelta(days=length)
    catalogue = build(chosen, seed)
    last = start + timedelta(days=max(length + ANNOUNCED_DAYS, chosen.days))
    conditions = Conditions(
        catalogue=catalogue,
        start=start,
        events=events_between(seed, start - timedelta(days=60), last),
        promotions=promotions.plan(catalogue, seed, start, max(length + PLANNED_DAYS, chosen.days)),
        bursts=bursts.plan(catalogue, chosen, seed),
        scale=1.0,
    )
    return Blueprint(chosen, seed, start, length, replace(conditions, scale=_scale(chosen, conditions)))


def _check_days(days: int, size: Size) -> None:
    most = size.capacity_days - PLANNED_DAYS
    if not 1 <= days <= most:
        raise UsageError("the world has no room for these days", found=days, expected=f"1 to {most}")


def _scale(size: Size, conditions: Conditions) -> float:
    """What brings the mean number of order lines over the size's own days, bursts apart, to the size's number."""
    quiet = replace(conditions, bursts=conditions.bursts.take(np.empty(0, np.int64)))
    written = 1.0 + conditions.catalogue.returned  # a purchase, and now and then the line of its return
    sampled = range(0, size.days, _VOLUME_STEP)
    mean = np.mean([demand_on(quiet, day).lines @ written for day in sampled])
    return float(size.lines / (size.days * mean))
