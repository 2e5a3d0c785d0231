"""Figures and dates in words, for people; no locale: the same input gives the same bytes everywhere."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable
from datetime import date, datetime
from hashlib import sha256

_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

HUES = 12
"""How many colours the style sheet has for categories (classes hue-0 to hue-11); no category has none."""


def day(value: date, *, short: bool = False) -> str:
    """`24 December 2011`, short `24 Dec`."""
    month = _MONTHS[value.month - 1]
    return f"{value.day} {month[:3]}" if short else f"{value.day} {month} {value.year}"


def month(value: date) -> str:
    """`Dec 2011`."""
    return f"{_MONTHS[value.month - 1][:3]} {value.year}"


def period(start: date | None, end: date | None) -> str:
    """`1–24 December 2011`, as short as the two dates allow; empty where neither is known."""
    if start is None or end is None or start == end:
        known = start or end
        return day(known) if known else ""
    if start.year != end.year:
        return f"{day(start)} – {day(end)}"
    if start.month != end.month:
        return f"{start.day} {_MONTHS[start.month - 1]} – {day(end)}"
    return f"{start.day}–{day(end)}"


def away(start: date | None, end: date | None, as_of: date) -> str:
    """Where an occasion stands on the day `as_of`: `in 12 days`, `under way`, `over`."""
    first = start or end
    if first is None:
        return ""
    days = (first - as_of).days
    if days > 0:
        return "tomorrow" if days == 1 else f"in {days:,} days"
    return "under way" if (end or first) >= as_of else "over"


def count(number: int, one: str, many: str) -> str:
    """`1 product`, `48 products`."""
    return f"{number:,} {one if number == 1 else many}"


def units(value: float) -> str:
    """A number of units, about three digits of it: `0.4`, `12`, `1,250`, `12.3k`, `4.5m`."""
    size = abs(value)
    if size >= 999_950:
        return f"{value / 1e6:,.1f}m"
    if size >= 9_999.5:
        return f"{value / 1e3:.1f}k"
    text = f"{value:,.1f}".removesuffix(".0") if size < 9.95 else f"{value:,.0f}"
    return "0" if text == "-0" else text


def significant(value: float) -> str:
    """Four significant digits, never an exponent for what a person reads without one."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "not a number"
    if 1e-4 <= abs(value) < 1e6:
        return f"{value:,.{max(0, 3 - _magnitude(value))}f}"
    return f"{value:.3g}"


def _magnitude(value: float) -> int:
    return int(f"{value:e}".rsplit("e", 1)[1])


def change(value: float) -> str:
    """A relative difference with its sign: `−20.8 %`, `+3 %`."""
    text = f"{abs(100 * value):.3g}" if abs(value) < 1 else f"{abs(100 * value):,.0f}"
    return f"{'−' if value < 0 else '+'}{text} %"


def ago(moment: datetime, now: datetime) -> str:
    """How long ago: `just now`, `3 hours ago`, `5 days ago`."""
    seconds = (now - moment).total_seconds()
    for size, one, many in ((86_400, "day", "days"), (3_600, "hour", "hours"), (60, "minute", "minutes")):
        if seconds >= size:
            return f"{count(int(seconds // size), one, many)} ago"
    return "just now"


def named(name: str) -> str:
    """A name of the code for people: `lift_ranking` is `Lift ranking`."""
    text = name.replace("_", " ").replace("-", " ").strip()
    return text[:1].upper() + text[1:]


def ratio(value: float) -> str:
    """A lift, rounded: `2.4`, `12`, and `1.04` where one decimal would hide which side of 1 it is on."""
    return _ratio(value, round)


def ratio_at_least(value: float) -> str:
    """A lower bound, rounded down: never claims more than is known."""
    return _ratio(value, math.floor)


def ratio_at_most(value: float) -> str:
    """An upper bound, rounded up."""
    return _ratio(value, math.ceil)


def _ratio(value: float, towards: Callable[[float], float]) -> str:
    decimals = 0 if value >= 10 else 2 if abs(value - 1) < 0.1 else 1
    scale = 10**decimals
    rounded = towards(round(value * scale, 6)) / scale
    return f"{rounded:,.{decimals}f}"


def percent(share: float) -> str:
    """A confidence, rounded down so that it never claims more than is known: `93 %`, `under 1 %`."""
    whole = math.floor(round(share * 100, 6))
    return f"{whole} %" if whole >= 1 else "under 1 %"


def letter(title: str) -> str:
    """The first letter or digit of a title in any script, for a product's tile; a dot where there is none."""
    for character in title:
        if unicodedata.category(character)[0] in "LN":
            return character.upper()[0]
    return "·"


def hue(category: str | None) -> str:
    """The CSS class that colours a category: the same on every page and in every version."""
    if not category:
        return "hue-none"
    return f"hue-{int.from_bytes(sha256(category.encode()).digest()[:4]) % HUES}"


def slug(name: str) -> str:
    """A file name for any id: readable, safe on every file system, and different for different ids."""
    ascii_only = unicodedata.normalize("NFKD", name[:200]).encode("ascii", "ignore").decode().lower()
    words = "".join(c if c.isalnum() else "-" for c in ascii_only)
    readable = "-".join(part for part in words.split("-") if part)[:48].strip("-")
    return f"{readable or 'collection'}-{sha256(name.encode()).hexdigest()[:10]}"
