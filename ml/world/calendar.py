"""Occasions of the year: when they are, whom they lift and by how much, and the words that go with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal

import numpy as np
import pyarrow as pa

from ml.contracts import TABLES
from ml.contracts.base import arrow_schema
from ml.toolkit.dates import easter, nth_weekday
from ml.world.arrays import Floats
from ml.world.seeds import Stream, generator

Window = Callable[[int], tuple[date, date]]
Shape = Literal["ramp", "bump", "plateau"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One occasion as it returns every year.

    `lifts` are the factors on demand at the occasion's height for the products of a category, `store` for all other
    categories. `themed` is the share of a category's products that are made for the occasion: those are lifted more,
    and most of them say so with one of `words` in the title or of `hints` in the description.
    """

    name: str
    kind: Literal["holiday", "marketing", "season"]
    window: Window
    shape: Shape
    category: str | None = None
    store: float = 1.0
    lifts: Mapping[str, float] = field(default_factory=dict)
    themed: Mapping[str, float] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """One occasion of one year; `strength` scales its logarithmic lifts (no two years are quite the same)."""

    event_id: str
    rule: int
    start: date
    end: date
    strength: float

    def shape(self) -> Floats:
        """Share of the height that each day of the event reaches, first day to last."""
        return _SHAPES[RULES[self.rule].shape]((self.end - self.start).days + 1)

    def height(self, day: date) -> float:
        """Factor on the logarithmic lifts on this day; 0 outside the event."""
        if not self.start <= day <= self.end:
            return 0.0
        return float(self.strength * self.shape()[(day - self.start).days])


_SHAPES: Mapping[str, Callable[[int], Floats]] = {
    "ramp": lambda days: np.linspace(0.3, 1.0, days),
    "bump": lambda days: np.sin(np.pi * (np.arange(days) + 0.5) / days),
    "plateau": lambda days: np.ones(days),
}


def _fixed(start: tuple[int, int], end: tuple[int, int]) -> Window:
    return lambda year: (date(year, *start), date(year, *end))


def _around(anchor: Callable[[int], date], before: int, after: int = 0) -> Window:
    return lambda year: (anchor(year) - timedelta(days=before), anchor(year) + timedelta(days=after))


RULES: tuple[Rule, ...] = (
    Rule(
        "Christmas", "holiday", _fixed((12, 1), (12, 24)), "ramp", store=1.25,
        lifts={"Decorations": 2.6, "Toys": 2.4, "Confectionery": 1.9, "Gift Wrap": 3.0, "Jewellery": 1.8,
               "Books": 1.7, "Electronics": 1.6, "Beauty": 1.6, "Lighting": 1.5},
        themed={"Decorations": 0.3, "Gift Wrap": 0.3, "Confectionery": 0.12, "Lighting": 0.12, "Toys": 0.06,
                "Kitchen": 0.06},
        words=("Christmas", "Xmas", "Santa", "Noel", "Reindeer"),
        hints=("Looks its best under the tree.", "Made for December evenings."),
    ),
    Rule(
        "Black Friday", "marketing", _around(lambda year: nth_weekday(year, 11, 3, 4), 0, 4), "plateau",
        store=1.7, lifts={"Electronics": 3.0, "Toys": 2.1, "Clothing": 2.0},
    ),
    Rule(
        "Valentine's Day", "holiday", _fixed((2, 5), (2, 14)), "ramp",
        lifts={"Jewellery": 2.4, "Confectionery": 2.0, "Beauty": 1.6, "Gift Wrap": 1.6},
        themed={"Jewellery": 0.15, "Confectionery": 0.12, "Gift Wrap": 0.1, "Decorations": 0.05},
        words=("Valentine", "Love Heart", "Sweetheart"), hints=("For the one you adore.",),
    ),
    Rule(
        "Easter", "holiday", _around(easter, 16), "ramp",
        lifts={"Confectionery": 2.5, "Decorations": 1.6, "Toys": 1.3},
        themed={"Confectionery": 0.15, "Decorations": 0.1},
        words=("Easter", "Bunny", "Spring Chick"), hints=("Ready for the egg hunt.",),
    ),
    Rule(
        "Mother's Day", "holiday", _around(lambda year: nth_weekday(year, 5, 6, 2), 10), "ramp",
        lifts={"Jewellery": 1.9, "Beauty": 2.1, "Gift Wrap": 1.7, "Garden": 1.3},
        themed={"Beauty": 0.12, "Jewellery": 0.1, "Gift Wrap": 0.08},
        words=("Mum", "Mother's", "Best Mum"), hints=("A thank-you to her.",),
    ),
    Rule(
        "Father's Day", "holiday", _around(lambda year: nth_weekday(year, 6, 6, 3), 10), "ramp",
        lifts={"Electronics": 1.6, "Sports": 1.6, "Books": 1.4},
        themed={"Kitchen": 0.05, "Sports": 0.06, "Gift Wrap": 0.06},
        words=("Dad", "Father's", "Grandad"), hints=("He will say that he needs nothing.",),
    ),
    Rule(
        "Halloween", "holiday", _fixed((10, 15), (10, 31)), "ramp",
        lifts={"Confectionery": 2.2, "Decorations": 1.9, "Clothing": 1.3, "Lighting": 1.5},
        themed={"Decorations": 0.12, "Confectionery": 0.1, "Clothing": 0.08, "Lighting": 0.1},
        words=("Halloween", "Spooky", "Pumpkin", "Witch"), hints=("Trick or treat.",),
    ),
    Rule(
        "Back to School", "season", _fixed((8, 10), (9, 10)), "bump",
        lifts={"Stationery": 2.8, "Books": 1.6, "Clothing": 1.5, "Electronics": 1.5},
        themed={"Stationery": 0.3, "Clothing": 0.08, "Books": 0.06},
        words=("School", "Classroom", "Student"), hints=("Packed for the first day of term.",),
    ),
    Rule(
        "Spring Planting", "season", _fixed((3, 25), (5, 20)), "bump", category="Garden",
        lifts={"Garden": 2.3}, themed={"Garden": 0.25},
        words=("Spring", "Seedling", "Planting"), hints=("For the first warm weekend.",),
    ),
    Rule(
        "Summer Outdoors", "season", _fixed((6, 10), (7, 31)), "bump",
        lifts={"Garden": 1.6, "Sports": 1.8, "Kitchen": 1.2},
        themed={"Garden": 0.15, "Sports": 0.15, "Kitchen": 0.1},
        words=("Summer", "Picnic", "Beach", "Barbecue"), hints=("For long evenings outside.",),
    ),
    Rule(
        "New Year Resolutions", "marketing", _fixed((1, 1), (1, 21)), "bump", category="Sports",
        lifts={"Sports": 2.3}, themed={"Sports": 0.15},
        words=("Fitness", "Workout"), hints=("A fresh start.",),
    ),
    Rule(
        "Winter Sale", "marketing", _fixed((1, 3), (1, 14)), "plateau", store=1.35,
        lifts={"Clothing": 1.9, "Bedding": 1.8},
    ),
    Rule(
        "Book Week", "marketing", _fixed((3, 1), (3, 10)), "plateau", category="Books",
        lifts={"Books": 2.0}, themed={"Books": 0.12},
        words=("Storytime", "Young Reader"), hints=("For reading aloud.",),
    ),
    Rule(
        "White Weeks", "marketing", _fixed((2, 15), (2, 28)), "plateau", category="Bedding",
        lifts={"Bedding": 1.9},
    ),
    Rule(
        "Wedding Season", "season", _fixed((5, 25), (6, 30)), "bump",
        lifts={"Decorations": 1.3, "Jewellery": 1.4},
        themed={"Decorations": 0.08, "Gift Wrap": 0.08},
        words=("Wedding", "Bridal"), hints=("For the big day.",),
    ),
    Rule(
        "Summer Sale", "marketing", _fixed((7, 8), (7, 14)), "plateau", store=1.35,
        lifts={"Electronics": 2.0, "Clothing": 1.8},
    ),
    Rule(
        "Pet Week", "marketing", _fixed((9, 20), (9, 28)), "plateau", category="Pets", lifts={"Pets": 2.0},
    ),
)  # fmt: skip


def events_between(seed: int, start: date, end: date) -> tuple[Event, ...]:
    """Every occasion that begins in [start, end), in order of its first day."""
    found = [
        _event(seed, rule, year) for year in range(start.year, end.year + 1) for rule in range(len(RULES))
    ]
    return tuple(sorted((e for e in found if start <= e.start < end), key=lambda e: (e.start, e.event_id)))


def _event(seed: int, rule: int, year: int) -> Event:
    start, end = RULES[rule].window(year)
    slug = RULES[rule].name.lower().replace("'", "").replace(" ", "-")
    strength = float(np.exp(generator(seed, Stream.EVENTS, rule, year).normal(0.0, 0.06)))
    return Event(f"{slug}-{year}", rule, start, end, strength)


def events_table(events: Sequence[Event]) -> pa.Table:
    """The contract table `events`."""
    rows = [
        {
            "event_id": event.event_id,
            "start_day": event.start,
            "name": RULES[event.rule].name,
            "end_day": event.end,
            "kind": RULES[event.rule].kind,
            "category": RULES[event.rule].category,
        }
        for event in events
    ]
    return pa.Table.from_pylist(rows, schema=arrow_schema(TABLES["events"]))
