"""Public occasions of the United Kingdom and the United States, by the rules that set their dates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import NamedTuple

import pyarrow as pa

from ml.contracts import TABLES
from ml.contracts.base import arrow_schema
from ml.toolkit.dates import easter, nth_weekday

MONDAY, THURSDAY, SUNDAY = 0, 3, 6


class Occasion(NamedTuple):
    """Days from `start` to `end`, both included; kind as in the contract (holiday, marketing, season)."""

    name: str
    kind: str
    start: date
    end: date


def advent(year: int) -> date:
    """The fourth Sunday before Christmas Day."""
    eve = date(year, 12, 24)
    return eve - timedelta(days=(eve.weekday() - SUNDAY) % 7 + 21)


def united_kingdom(year: int) -> Iterator[Occasion]:
    """Occasions on which gifts are given or houses decorated, and the school year of England."""
    feast = easter(year)
    yield _day("Valentine's Day", date(year, 2, 14))
    yield _day("Mother's Day", feast - timedelta(days=21))
    yield Occasion("Easter", "holiday", feast - timedelta(days=2), feast + timedelta(days=1))
    yield _day("Father's Day", nth_weekday(year, 6, SUNDAY, 3))
    yield Occasion("Back to School", "season", date(year, 8, 15), date(year, 9, 10))
    yield _day("Halloween", date(year, 10, 31))
    yield _day("Bonfire Night", date(year, 11, 5))
    yield Occasion("Advent", "season", advent(year), date(year, 12, 24))
    yield Occasion("Christmas", "holiday", date(year, 12, 25), date(year, 12, 26))


def united_states(year: int) -> Iterator[Occasion]:
    """Holidays around which households stock up."""
    feast = easter(year)
    yield _day("New Year's Day", date(year, 1, 1))
    yield _day("Valentine's Day", date(year, 2, 14))
    yield _day("Easter", feast)
    yield _day("Mother's Day", nth_weekday(year, 5, SUNDAY, 2))
    yield _day("Memorial Day", nth_weekday(year, 5, MONDAY, -1))
    yield _day("Independence Day", date(year, 7, 4))
    yield _day("Labor Day", nth_weekday(year, 9, MONDAY, 1))
    yield Occasion("Back to School", "season", date(year, 8, 1), date(year, 9, 7))
    yield _day("Halloween", date(year, 10, 31))
    yield _day("Thanksgiving", nth_weekday(year, 11, THURSDAY, 4))
    yield Occasion("Christmas", "holiday", date(year, 12, 24), date(year, 12, 25))


def events(occasions: Iterable[Occasion]) -> pa.Table:
    """Rows of the contract table `events`, for the whole store."""
    rows = [
        {
            "event_id": f"{_slug(occasion.name)}-{occasion.start.year}",
            "start_day": occasion.start,
            "name": occasion.name,
            "end_day": occasion.end,
            "kind": occasion.kind,
        }
        for occasion in sorted(occasions, key=lambda o: (o.start, o.name))
    ]
    return pa.Table.from_pylist(rows, schema=arrow_schema(TABLES["events"]))


def _day(name: str, day: date) -> Occasion:
    return Occasion(name, "holiday", day, day)


def _slug(name: str) -> str:
    return name.lower().replace("'", "").replace(" ", "-")
