"""The geometry of a product's small chart: history, forecast with its band, and where the forecast starts.

Weeks lie side by side; a value stands in the middle of its week. Where the forecast is short against the
history it is drawn wider than true (never under `FORECAST_SHARE` of the width), so that it can be read; the
page says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from ml.publishing import words
from ml.publishing.catalogue import Course, Weeks

WIDTH, HEIGHT = 320.0, 96.0
_TOP, _BOTTOM = 18.0, 78.0
FORECAST_SHARE = 0.3
_ROOM_FOR_LABEL = 76.0

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Sparkline:
    """What the template draws, in units of a `WIDTH` x `HEIGHT` view box; paths are SVG path data."""

    title: str
    description: str
    history: str
    forecast: str
    band: str
    start: str
    panel: str
    occasion: tuple[str, str] | None
    dots: tuple[tuple[str, str], ...]
    base: str
    peak: str
    first_label: str
    start_label: str
    start_anchor: str
    last_label: str


@dataclass(frozen=True, slots=True)
class _Scale:
    before: int
    after: int
    boundary: float
    lowest: float
    highest: float

    def x(self, week: float) -> float:
        if week <= self.before:
            return self.boundary * week / self.before if self.before else 0.0
        return self.boundary + (WIDTH - self.boundary) * (week - self.before) / max(self.after, 1)

    def y(self, value: float) -> float:
        share = (value - self.lowest) / (self.highest - self.lowest)
        return _BOTTOM - share * (_BOTTOM - _TOP)


def sparkline(course: Course, occasion: tuple[date | None, date | None] = (None, None)) -> Sparkline | None:
    """The chart of one product, or None where there is not one number to draw."""
    numbers = list(_numbers(course))
    if not numbers:
        return None
    scale = _scale(course, numbers)
    past = _runs(course.history, 0, scale)
    return Sparkline(
        title=_title(course),
        description=describe(course),
        history=_lines(past),
        forecast=_lines(_joined(past, _runs(course.mean, scale.before, scale))),
        band=_band(course, scale),
        start=_number(scale.boundary),
        panel=_number(WIDTH - scale.boundary),
        occasion=_stripe(course, occasion, scale),
        dots=_dots(course, scale),
        base=_number(scale.y(0.0)),
        peak=f"{words.units(max(numbers))} a week",
        **_labels(course, scale),
    )


def _title(course: Course) -> str:
    counted = course.of[:1].upper() + course.of[1:]
    return f"{counted} per week" + (", past and forecast" if course.mean else "")


def describe(course: Course) -> str:
    """The chart in words, for those who do not see it."""
    return " ".join(part for part in (_describe_past(course), _describe_forecast(course)) if part)


def expected(course: Course) -> float | None:
    """Units forecast over all the weeks ahead together; None where a week is unknown."""
    known = [value for value in course.mean if value is not None]
    return sum(known) if known and len(known) == len(course.mean) else None


def _describe_past(course: Course) -> str:
    known = [value for value in course.history if value is not None]
    if not known:
        return "No history."
    since = f" since {words.day(course.history_start)}" if course.history_start else ""
    return (
        f"{words.count(len(course.history), 'week', 'weeks')} of history{since}: "
        f"between {words.units(min(known))} and {words.units(max(known))} {course.of} a week, "
        f"{words.units(known[-1])} in the last."
    )


def _describe_forecast(course: Course) -> str:
    if not course.mean:
        return "No forecast."
    since = f" from {words.day(course.forecast_start)}" if course.forecast_start else ""
    weeks = "; ".join(
        _describe_week(*week) for week in zip(course.mean, course.low, course.high, strict=True)
    )
    return f"Forecast{since}, week by week: {weeks}."


def _describe_week(mean: float | None, low: float | None, high: float | None) -> str:
    text = "unknown" if mean is None else words.units(mean)
    return text if low is None or high is None else f"{text} ({words.units(low)} to {words.units(high)})"


def _numbers(course: Course) -> Iterable[float]:
    for weeks in (course.history, course.mean, course.low, course.high):
        yield from (value for value in weeks if value is not None)


def _scale(course: Course, numbers: list[float]) -> _Scale:
    before, after = _weeks_before(course), len(course.mean)
    lowest, highest = min(0.0, *numbers), max(0.0, *numbers)
    return _Scale(
        before, after, _boundary(before, after), lowest, highest if highest > lowest else lowest + 1.0
    )


def _weeks_before(course: Course) -> int:
    """Weeks from the first of the history to the forecast; more than the history has where it stops early."""
    weeks = len(course.history)
    if weeks and course.history_start and course.forecast_start:
        return max(weeks, round((course.forecast_start - course.history_start).days / 7))
    return weeks


def _boundary(before: int, after: int) -> float:
    if not after:
        return WIDTH
    return WIDTH * (1 - max(after / (before + after), FORECAST_SHARE)) if before else 0.0


def _runs(weeks: Weeks, first: int, scale: _Scale) -> list[list[Point]]:
    """Unbroken runs of points: a week that is not known interrupts the line."""
    runs: list[list[Point]] = [[]]
    for index, value in enumerate(weeks):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((scale.x(first + index + 0.5), scale.y(value)))
    return [run for run in runs if run]


def _joined(past: list[list[Point]], ahead: list[list[Point]]) -> list[list[Point]]:
    """The forecast takes up where the history ends."""
    if not past or not ahead:
        return ahead
    return [[past[-1][-1], *ahead[0]], *ahead[1:]]


def _lines(runs: list[list[Point]]) -> str:
    return " ".join("M" + " L".join(_pair(point) for point in run) for run in runs)


def _band(course: Course, scale: _Scale) -> str:
    """The area between q10 and q90, drawn out to the edges of the forecast's panel."""
    weeks = [
        (scale.x(scale.before + index + 0.5), scale.y(low), scale.y(high))
        for index, (low, high) in enumerate(zip(course.low, course.high, strict=True))
        if low is not None and high is not None
    ]
    if not weeks:
        return ""
    weeks = [(scale.boundary, *weeks[0][1:]), *weeks, (WIDTH, *weeks[-1][1:])]
    upper = [(x, high) for x, _, high in weeks]
    lower = [(x, low) for x, low, _ in reversed(weeks)]
    return _lines([upper + lower]) + " Z"


def _dots(course: Course, scale: _Scale) -> tuple[tuple[str, str], ...]:
    """The highest week of the forecast."""
    known = [(value, -index) for index, value in enumerate(course.mean) if value is not None]
    if not known:
        return ()
    value, index = max(known)
    return ((_number(scale.x(scale.before - index + 0.5)), _number(scale.y(value))),)


def _stripe(course: Course, days: tuple[date | None, date | None], scale: _Scale) -> tuple[str, str] | None:
    """Where the occasion lies: x and width, clipped to the chart."""
    first, last = days
    if first is None or last is None or course.forecast_start is None:
        return None
    origin = course.forecast_start
    ends = ((first - origin).days / 7, ((last - origin).days + 1) / 7)
    left, right = (scale.x(min(max(scale.before + end, 0), scale.before + scale.after)) for end in ends)
    return (_number(left), _number(right - left)) if right > left else None


def _labels(course: Course, scale: _Scale) -> dict[str, str]:
    start, weeks = course.forecast_start, len(course.mean)
    ahead = start if weeks else None
    room = scale.boundary >= _ROOM_FOR_LABEL
    return {
        "first_label": words.month(course.history_start) if course.history_start and room else "",
        "start_label": words.day(ahead, short=True) if ahead else "",
        "start_anchor": "middle" if room else "start",
        "last_label": words.day(ahead + timedelta(days=7 * weeks - 1), short=True) if ahead else "",
    }


def _pair(point: Point) -> str:
    return f"{_number(point[0])} {_number(point[1])}"


def _number(value: float) -> str:
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text
