"""A lift and its interval as a bar, on one logarithmic scale for all products of a collection."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

_FLOOR = 0.25


@dataclass(frozen=True, slots=True)
class LiftBar:
    """A lift and its interval on the scale of its collection, as shares of the width in per cent."""

    usual: str
    low: str
    width: str
    lift: str


@dataclass(frozen=True, slots=True)
class LiftScale:
    """A logarithmic scale that all products of one collection share, so that cards can be compared."""

    lowest: float
    highest: float

    def bar(self, lift: float | None, low: float | None, high: float | None) -> LiftBar | None:
        """The bar of one product; None where the lift is not known."""
        if lift is None:
            return None
        left, right = self._at(lift if low is None else low), self._at(lift if high is None else high)
        return LiftBar(
            *(f"{value:.1f}" for value in (self._at(1.0), left, max(right - left, 0), self._at(lift)))
        )

    def _at(self, value: float) -> float:
        inside = min(max(value, self.lowest), self.highest)
        return 100 * math.log(inside / self.lowest) / math.log(self.highest / self.lowest)


def lift_scale(values: Iterable[float | None]) -> LiftScale:
    """The scale that holds all these, and 1; less than a quarter of usual is drawn as a quarter."""
    known = [max(value, _FLOOR) for value in values if value is not None]
    return LiftScale(min([0.8, *known]), max([2.0, *known]))
