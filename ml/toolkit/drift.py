"""Whether what comes in now is unlike what came in before: two-sample tests, and how far apart earlier windows were.

Two questions are asked of every column, and both must say yes. Is the difference more than chance among the cases
(Kolmogorov-Smirnov for numbers, Pearson's chi-square for categories)? And is it larger than what the column did by
itself before: seasons, weekends and campaigns move every product of a shop at once, which no test of independent cases
knows of, so the distance of the present window is held against the distances of earlier windows from one another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from ml.toolkit.paired import holm

Floats = npt.NDArray[np.float64]
Column = npt.NDArray[np.float64] | npt.NDArray[np.str_]
_EXPECTED = 5.0  # cases per cell, below which Pearson's approximation is not trusted (Cochran 1954)


@dataclass(frozen=True, slots=True)
class TwoSample:
    """How far apart two samples are (0: alike, 1: apart), and the p-value of that if they were of one kind."""

    distance: float
    chance: float


@dataclass(frozen=True, slots=True)
class Drift:
    """One column now against its past.

    usual: the largest distance of an earlier window from the others. spread: the root mean square of these distances,
    as shifts (`shift_of`). chance: the larger of both p-values, corrected for the number of columns.
    """

    name: str
    test: str
    distance: float
    usual: float
    spread: float
    windows: int
    chance: float
    cases: int

    def limit(self, level: float) -> float:
        """The distance at which the chance of the windows alone would be `level`."""
        reach = float(stats.t.isf(level / 2, self.windows - 1)) * self.spread * np.sqrt(1 + 1 / self.windows)
        return float(2 * special.ndtr(reach / 2) - 1)


def shift_of(distance: float, cases: int) -> float:
    """By how many standard deviations two normal samples lie apart whose distributions are `distance` apart."""
    most = 1 - 1 / (2 * max(cases, 1))
    return float(2 * special.ndtri((1 + min(distance, most)) / 2))


def ks(sample: Floats, reference: Floats) -> TwoSample:
    """Kolmogorov-Smirnov: the largest distance between the two empirical distributions, and its p-value.

    The p-value is that of Kolmogorov's limit at (sqrt(n) + 0.12 + 0.11 / sqrt(n)) D with n = ab / (a + b) (Stephens
    1970), good from n of about four. With ties it is too large, never too small.
    """
    pooled = np.sort(np.concatenate([sample, reference]))
    ours, theirs = (
        np.searchsorted(np.sort(values), pooled, side="right") / len(values) for values in (sample, reference)
    )
    distance = float(np.abs(ours - theirs).max())
    root = np.sqrt(len(sample) * len(reference) / (len(sample) + len(reference)))
    return TwoSample(distance, float(special.kolmogorov((root + 0.12 + 0.11 / root) * distance)))


def chi_square(counts: Floats, reference: Floats) -> TwoSample:
    """Pearson's test of homogeneity over the same categories; the distance is that of total variation.

    Categories that would be expected too seldom are counted together (Cochran 1954).
    """
    distance = float(np.abs(counts / counts.sum() - reference / reference.sum()).sum() / 2)
    table = _merged(np.stack([counts, reference]))
    if table.shape[1] < 2:
        return TwoSample(distance, 1.0)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return TwoSample(distance, float(special.chdtrc(table.shape[1] - 1, statistic)))


def _merged(table: Floats) -> Floats:
    """The columns with enough expected cases in both rows, and one of all others (or none, if these are too few)."""
    share = float(table.sum(axis=1).min() / table.sum())
    often = table.sum(axis=0) * share >= _EXPECTED
    rest = table[:, ~often].sum(axis=1, keepdims=True)
    kept = table[:, often]
    if rest.sum() * share >= _EXPECTED:
        return np.concatenate([kept, rest], axis=1)
    if kept.shape[1]:
        kept[:, [np.argmin(kept.sum(axis=0))]] += rest
    return kept


def two_sample(sample: Column, reference: Column) -> TwoSample:
    """The test that fits the kind of column."""
    if sample.dtype.kind == "f":
        return ks(np.asarray(sample, dtype=np.float64), np.asarray(reference, dtype=np.float64))
    names, place = np.unique(np.concatenate([sample, reference]), return_inverse=True)
    ours, theirs = place[: len(sample)], place[len(sample) :]
    return chi_square(
        *(np.bincount(part, minlength=len(names)).astype(np.float64) for part in (ours, theirs))
    )


def drift_of(name: str, now: Column, before: Sequence[Column]) -> Drift:
    """One column in the present window against the earlier ones together, and these against each other.

    Windows sway by themselves. As shifts, their distances are taken for the sizes of normal errors: the present one is
    beyond them by Student's t with one degree of freedom less than there are earlier windows.
    """
    found = two_sample(now, _others(before, -1))
    distances = [two_sample(one, _others(before, number)).distance for number, one in enumerate(before)]
    shifts = np.array([shift_of(distance, len(now)) for distance in distances])
    spread, count = float(np.sqrt(np.mean(shifts**2))), len(before)
    size = shift_of(found.distance, len(now)) / max(spread * np.sqrt(1 + 1 / count), 1e-12)
    chance = max(found.chance, 2 * float(stats.t.sf(size, count - 1)))
    test = "Kolmogorov-Smirnov" if now.dtype.kind == "f" else "chi-square"
    return Drift(name, test, found.distance, max(distances), spread, count, chance, len(now))


def _others(windows: Sequence[Column], number: int) -> Column:
    """All windows but that one, together."""
    joined: Column = np.concatenate([one for place, one in enumerate(windows) if place != number])
    return joined


def drifts(
    now: Mapping[str, Column], before: Sequence[Mapping[str, Column]], fewest: int
) -> tuple[Drift, ...]:
    """Every column that has `fewest` values now and in two or more earlier windows (others are left out of these).

    Chances are adjusted for the number of columns (Holm 1979).
    """
    found = []
    for name, values in now.items():
        windows = [window[name] for window in before if name in window and len(window[name]) >= fewest]
        if len(values) >= fewest and len(windows) > 1:
            found.append(drift_of(name, values, windows))
    chances = holm(np.array([one.chance for one in found]))
    return tuple(replace(one, chance=float(chance)) for one, chance in zip(found, chances, strict=True))


@dataclass(frozen=True, slots=True)
class Change:
    """A ratio of two periods' losses: now over then, with the standard error of its logarithm."""

    ratio: float
    error: float
    freedom: float

    @property
    def difference(self) -> float:
        """How much higher it is now, relatively."""
        return self.ratio - 1

    def chance_above(self, margin: float) -> float:
        """p-value of "the difference is `margin` or less", against "it is above"."""
        excess = np.log(self.ratio) - np.log1p(margin) if self.ratio > 0 else -np.inf
        if self.error <= 0 or not np.isfinite(excess):
            return 0.0 if excess > 0 else 1.0
        return float(stats.t.sf(excess / self.error, self.freedom))


def worsened(loss: Floats, weight: Floats, loss_before: Floats, weight_before: Floats) -> Change:
    """How much higher sum(loss) / sum(weight) is than before; arrays are sums per entity of two periods.

    The two are taken for independent. Variances are those of the linearised ratios (Cochran 1977, chapter 6), joined
    by the delta method on the scale of logarithms (a loss that is many times what it was is known to few per cent of
    itself, not of what it was), with Satterthwaite's degrees of freedom (1946).
    """
    (now, spread, freedom), (then, spread_then, freedom_then) = (
        _ratio(loss, weight), _ratio(loss_before, weight_before),
    )  # fmt: skip
    if then <= 0:
        return Change(float("inf") if now > 0 else 1.0, 0.0, 1.0)
    if now <= 0:
        return Change(0.0, 0.0, 1.0)
    parts = np.array([spread / now, spread_then / then]) ** 2
    total = float(parts.sum())
    if total <= 0:
        return Change(now / then, 0.0, 1.0)
    joined = total**2 / float((parts**2 / np.array([freedom, freedom_then])).sum())
    return Change(now / then, float(np.sqrt(total)), max(joined, 1.0))


def _ratio(loss: Floats, weight: Floats) -> tuple[float, float, float]:
    """sum(loss) / sum(weight), its standard error, and the degrees of freedom of that."""
    total, count = float(weight.sum()), len(loss)
    if total <= 0 or count < 2:
        return 0.0, 0.0, 1.0
    ratio = float(loss.sum()) / total
    squares = ((loss - ratio * weight) / total) ** 2
    variance = float(squares.sum())
    if variance <= 0:
        return ratio, 0.0, 1.0
    freedom = max(variance**2 / float((squares**2).sum()) - 1, 1.0)
    return ratio, float(np.sqrt(variance * count / (count - 1))), freedom
