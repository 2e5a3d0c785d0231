"""How far actual units stray from expected ones, by the size of the expectation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LEVELS = (0.1, 0.5, 0.9)


@dataclass(frozen=True, slots=True)
class Bands:
    """At each size (log1p of the expectation): quantiles of (actual + offset) / (expected + offset), one per level."""

    offset: float
    size: tuple[float, ...]
    ratios: tuple[tuple[float, ...], ...]

    def around(self, expected: Floats) -> Floats:
        """Quantiles of the actual units around expectations of any shape; levels are the last axis."""
        size = np.log1p(expected)
        by_level = np.asarray(self.ratios).T
        made = [
            np.interp(size, self.size, level) * (expected + self.offset) - self.offset for level in by_level
        ]
        return np.asarray(np.maximum(np.stack(made, axis=-1), 0), dtype=np.float64)

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Bands:
        """From the dictionary that `dataclasses.asdict` made."""
        return cls(raw["offset"], tuple(raw["size"]), tuple(tuple(row) for row in raw["ratios"]))


def learn_bands(actual: Floats, expected: Floats, offset: float, bins: int) -> Bands:
    """Bands from forecasts whose truth is known: equally many cases in each bin of size."""
    order = np.argsort(expected, kind="stable")
    ratio = (actual + offset) / (expected + offset)
    groups: Sequence[NDArray[np.intp]] = [group for group in np.array_split(order, bins) if len(group)]
    if not groups:
        return Bands(offset, (0.0,), (LEVELS,))
    size = tuple(float(np.log1p(expected[group]).mean()) for group in groups)
    return Bands(offset, size, tuple(tuple(np.quantile(ratio[group], LEVELS).tolist()) for group in groups))
