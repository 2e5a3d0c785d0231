"""The geometry of a number over a family's versions: a dot with its interval each, and what it was compared with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from ml.publishing import words

WIDTH, HEIGHT = 420.0, 150.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 412.0, 12.0, 124.0
_WIDEST = 30.0

BAR_WIDTH, BAR_HEIGHT = 200.0, 18.0


@dataclass(frozen=True, slots=True)
class Point:
    """One judged version: a number on the hold-out, its interval, and the number of the model it was compared with.

    Of a loss, the interval is that of the paired difference to that model, put on its loss; other metrics have none.
    `outcome`: promoted, refused or waiting.
    """

    version: str
    day: date
    value: float
    low: float | None
    high: float | None
    reference: float | None
    against: str
    outcome: str

    @property
    def numbers(self) -> tuple[float, ...]:
        """All that is drawn of it."""
        drawn = (self.value, self.low, self.high, self.reference)
        return tuple(number for number in drawn if number is not None)


@dataclass(frozen=True, slots=True)
class Mark:
    """A point as it is drawn; coordinates are text, ready for SVG, and "" for what there is not."""

    x: str
    y: str
    low: str
    high: str
    reference: str
    left: str
    right: str
    outcome: str
    title: str


@dataclass(frozen=True, slots=True)
class Trend:
    """What the template draws in a `WIDTH` x `HEIGHT` view box. `rules`: height and label of each horizontal line.

    `first`, `last`: labels of the left and of the right end.
    """

    description: str
    marks: tuple[Mark, ...]
    intervals: bool
    rules: tuple[tuple[str, str], ...]
    first: str
    last: str


def trend(points: Sequence[Point]) -> Trend | None:
    """The chart, oldest version at the left, all versions as far apart; None without a point."""
    if not points:
        return None
    lowest = min(min(point.numbers) for point in points)
    highest = max(max(point.numbers) for point in points)
    if highest <= lowest:
        lowest, highest = lowest - 0.5 * abs(lowest or 1), highest + 0.5 * abs(highest or 1)
    step = min(_WIDEST, (_RIGHT - _LEFT) / len(points))
    marks = tuple(
        _mark(point, _LEFT + step * (number + 0.5), step, lowest, highest)
        for number, point in enumerate(points)
    )
    values = (highest, (lowest + highest) / 2, lowest)
    rules = tuple((_text(_height(v, lowest, highest)), words.significant(v)) for v in values)
    intervals = any(mark.low and mark.high for mark in marks)
    return Trend(describe(points), marks, intervals, rules, *_ends(points, step))


def _ends(points: Sequence[Point], step: float) -> tuple[str, str]:
    """What stands below the first and the last version; one label for both where they are close."""
    first, last = points[0].day, points[-1].day
    if step < _WIDEST:
        return _day(first), _day(last)
    return words.period(first, last), ""


def describe(points: Sequence[Point]) -> str:
    """The chart in words, for those who do not see it."""
    last = points[-1]
    values = [point.value for point in points]
    promoted = sum(point.outcome == "promoted" for point in points)
    return (
        f"{words.count(len(points), 'version', 'versions')} from {_day(points[0].day)} to {_day(last.day)}, "
        f"{promoted} promoted; values between {words.significant(min(values))} and "
        f"{words.significant(max(values))}. Last: {in_words(last)}."
    )


def in_words(point: Point) -> str:
    """One point in a sentence."""
    said = (
        f"version {point.version} as of {_day(point.day)}, {point.outcome}: {words.significant(point.value)}"
    )
    if point.low is not None and point.high is not None:
        said += f" ({words.significant(point.low)} to {words.significant(point.high)})"
    if point.reference is not None:
        said += f", {point.against} {words.significant(point.reference)}"
    return said


def _mark(point: Point, x: float, step: float, lowest: float, highest: float) -> Mark:
    half = min(7.0, 0.42 * step)
    y, low, high, reference = (
        "" if value is None else _text(_height(value, lowest, highest))
        for value in (point.value, point.low, point.high, point.reference)
    )
    return Mark(
        _text(x), y, low, high, reference, _text(x - half), _text(x + half), point.outcome, in_words(point)
    )


def _height(value: float, lowest: float, highest: float) -> float:
    return _BOTTOM - (value - lowest) / (highest - lowest) * (_BOTTOM - _TOP)


def _day(value: date) -> str:
    return words.day(value)


def _text(value: float) -> str:
    return f"{value:.1f}"


@dataclass(frozen=True, slots=True)
class Bar:
    """A value with its interval on a line, in a `BAR_WIDTH` x `BAR_HEIGHT` view box."""

    x: str
    low: str
    width: str
    zero: str


def bars(intervals: Iterable[tuple[float, float, float]]) -> list[Bar]:
    """(value, low, high) of each, all on one scale that holds 0; what lies beyond 100 % is cut off there."""
    rows = [tuple(max(-1.0, min(1.0, number)) for number in row) for row in intervals]
    if not rows:
        return []
    lowest, highest = min(0.0, *(row[1] for row in rows)), max(0.0, *(row[2] for row in rows))
    scale = (BAR_WIDTH - 8) / ((highest - lowest) or 1.0)
    return [_bar(row, lowest, scale) for row in rows]


def _bar(row: tuple[float, ...], lowest: float, scale: float) -> Bar:
    value, low, high, zero = (4 + (number - lowest) * scale for number in (*row, 0.0))
    return Bar(_text(value), _text(low), _text(max(high - low, 1.0)), _text(zero))
