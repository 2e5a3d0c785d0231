"""Figures and dates in words, the geometry of the charts, and the contrast of the colours."""

from __future__ import annotations

import colorsys
import re
from datetime import date
from importlib.resources import files

import pytest

from ml.publishing import words
from ml.publishing.catalogue import Course
from ml.publishing.liftbar import lift_scale
from ml.publishing.sparkline import WIDTH, sparkline

D = date


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        (D(2011, 12, 1), D(2011, 12, 24), "1–24 December 2011"),
        (D(2011, 11, 28), D(2011, 12, 4), "28 November – 4 December 2011"),
        (D(2011, 12, 20), D(2012, 1, 6), "20 December 2011 – 6 January 2012"),
        (D(2012, 3, 17), D(2012, 3, 17), "17 March 2012"),
        (D(2012, 3, 17), None, "17 March 2012"),
        (None, None, ""),
    ],
)
def test_period(start: date | None, end: date | None, text: str) -> None:
    assert words.period(start, end) == text


@pytest.mark.parametrize(
    ("as_of", "text"),
    [
        (D(2011, 11, 1), "in 30 days"),
        (D(2011, 11, 30), "tomorrow"),
        (D(2011, 12, 1), "under way"),
        (D(2011, 12, 24), "under way"),
        (D(2011, 12, 25), "over"),
    ],
)
def test_away(as_of: date, text: str) -> None:
    assert words.away(D(2011, 12, 1), D(2011, 12, 24), as_of) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (-0.01, "0"), (0.04, "0"), (0.44, "0.4"), (9.96, "10"), (12.4, "12"), (-3.2, "-3.2"),
        (1250.0, "1,250"), (9_999.4, "9,999"), (9_999.6, "10.0k"), (999_949.0, "999.9k"), (4.5e6, "4.5m"),
    ],
)  # fmt: skip
def test_units(value: float, text: str) -> None:
    assert words.units(value) == text


@pytest.mark.parametrize(
    ("value", "least", "near", "most"),
    [
        (2.4, "2.4", "2.4", "2.4"),
        (1.68, "1.6", "1.7", "1.7"),
        (1.043, "1.04", "1.04", "1.05"),
        (0.996, "0.99", "1.00", "1.00"),
        (12.5, "12", "12", "13"),
        (1234.0, "1,234", "1,234", "1,234"),
    ],
)
def test_a_lift_is_never_claimed_larger_than_it_is_known_to_be(
    value: float, least: str, near: str, most: str
) -> None:
    assert (words.ratio_at_least(value), words.ratio(value), words.ratio_at_most(value)) == (
        least,
        near,
        most,
    )


@pytest.mark.parametrize(
    ("title", "letter"),
    [("paper", "P"), ("  3 tins", "3"), ("🎄 tree", "T"), ("مرحبا", "م"), ("ß", "S"), ("🎄", "·"), ("", "·")],
)
def test_letter(title: str, letter: str) -> None:
    assert words.letter(title) == letter


def test_a_category_keeps_its_colour() -> None:
    assert words.hue("Decoration") == words.hue("Decoration") == "hue-5"
    assert words.hue(None) == words.hue("") == "hue-none"
    style = (files("ml.publishing") / "templates" / "style.css").read_text()
    assert all(f".hue-{n} {{" in style for n in range(words.HUES))


def course(history: int = 30, ahead: int = 4, value: float = 5.0) -> Course:
    weeks = (value,) * ahead
    return Course(
        D(2011, 4, 18), (value,) * history, D(2011, 11, 14), weeks, weeks, tuple(v * 2 for v in weeks)
    )


def test_the_forecast_starts_at_its_marker_and_joins_the_history() -> None:
    drawn = sparkline(course())
    assert drawn is not None
    assert drawn.start == f"{WIDTH * 0.7:.0f}"
    history, forecast = drawn.history.split(" L"), drawn.forecast.split(" L")
    assert forecast[0].removeprefix("M") == history[-1]
    assert float(history[-1].split()[0]) < float(drawn.start) < float(forecast[1].split()[0])


def test_a_gap_between_history_and_forecast_stays_a_gap() -> None:
    short = sparkline(course(history=15))
    assert short is not None
    assert float(short.history.split(" L")[-1].split()[0]) < 0.55 * float(short.start)


def test_an_unknown_week_interrupts_the_line() -> None:
    drawn = sparkline(Course(None, (1.0, None, 2.0, 3.0), None, (), (), ()))
    assert drawn is not None
    assert drawn.history.count("M") == 2


def test_nothing_known_is_not_drawn() -> None:
    assert sparkline(Course(None, (None,), None, (None,), (None,), (None,))) is None


@pytest.mark.parametrize(
    ("days", "shown"),
    [
        ((D(2011, 11, 14), D(2011, 11, 20)), True),
        ((D(2011, 12, 5), D(2012, 1, 20)), True),
        ((D(2011, 12, 12), D(2012, 1, 20)), False),
        ((D(2009, 1, 1), D(2009, 1, 2)), False),
        ((None, None), False),
    ],
)
def test_the_occasion_is_clipped_to_the_chart(days: tuple[date | None, date | None], shown: bool) -> None:
    drawn = sparkline(course(), days)
    assert drawn is not None
    assert (drawn.occasion is not None) == shown
    if drawn.occasion:
        assert sum(map(float, drawn.occasion)) <= WIDTH


def test_lifts_of_one_collection_share_a_scale() -> None:
    scale = lift_scale([2.0, 1.5, 8.0, None])
    small, large = scale.bar(2.0, 1.5, 3.0), scale.bar(8.0, None, None)
    assert small is not None and large is not None
    assert float(small.usual) < float(small.low) < float(small.lift) < float(large.lift) == 100.0
    assert scale.bar(None, 1.0, 2.0) is None


Colour = tuple[float, float, float]


def _schemes() -> list[dict[str, str]]:
    style = (files("ml.publishing") / "templates" / "style.css").read_text()
    light, dark = (
        dict(re.findall(r"--([a-z-]+): ([^;]+);", block))
        for block in re.findall(r":root \{(.*?)\}", style, re.S)
    )
    return [light, light | dark]


def _hex(value: str) -> Colour:
    red, green, blue = (int(value[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def _contrast(one: Colour, other: Colour) -> float:
    """WCAG 2.2, contrast ratio."""

    def luminance(colour: Colour) -> float:
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", _schemes(), ids=["light", "dark"])
def test_text_can_be_read_on_every_ground(scheme: dict[str, str]) -> None:
    for ground in ("paper", "card", "panel"):
        for ink in ("ink", "muted", "accent"):
            assert _contrast(_hex(scheme[ink]), _hex(scheme[ground])) >= 4.5, (ink, ground)
        for mark in ("history", "sun"):
            assert _contrast(_hex(scheme[mark]), _hex(scheme[ground])) >= 3, (mark, ground)


@pytest.mark.parametrize("scheme", _schemes(), ids=["light", "dark"])
def test_tiles_can_be_read_in_every_colour(scheme: dict[str, str]) -> None:
    style = (files("ml.publishing") / "templates" / "style.css").read_text()
    paper, ink, soft = (float(scheme[f"tile-{name}"].rstrip("%")) / 100 for name in ("paper", "ink", "soft"))
    hues = [int(hue) for hue in re.findall(r"\.hue-\w+ \{ --h: (\d+)", style)]
    assert len(hues) == words.HUES + 1
    for hue in hues:
        tile = [colorsys.hls_to_rgb(hue / 360, lightness, soft) for lightness in (paper, ink)]
        assert _contrast(*tile) >= 4.5, hue
