"""How a store trades: its week, its growth, and sums over stretches of a panel (products x steps)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.intp]
WEEKS = 12
CLOSED = 0.002


def shares(roots: Floats, place: int, horizon: int, step: int) -> Floats:
    """Share of a horizon's total for each of its steps: by weekday, as the WEEKS weeks before went.

    `roots` are sums of square roots, so that a few large orders do not make a weekday. A weekday that hardly ever
    traded has no share.
    """
    if step != 1:
        return np.full(horizon, 1 / horizon)
    week = _week(roots, place)
    ahead = week[(6 - np.arange(horizon)) % 7]
    total = float(ahead.sum())
    return np.asarray(ahead / total if total else np.full(horizon, 1 / horizon), dtype=np.float64)


def open_steps(roots: Floats, place: int, steps: int, step: int) -> Floats:
    """1 for each of the `steps` steps before `place` (oldest first) whose weekday trades, else 0."""
    if step != 1:
        return np.ones(steps)
    week = _week(roots, place)
    return np.asarray(
        (week[np.arange(steps)[::-1] % 7] > 0) if week.sum() else np.ones(steps), dtype=np.float64
    )


def _week(roots: Floats, place: int) -> Floats:
    """Mean of the days 1, 2, .. 7 before `place` and their like in WEEKS weeks; 0 for a weekday that hardly trades."""
    known = roots[max(place - 7 * WEEKS, 0) : place][::-1]
    back = np.arange(len(known)) % 7
    week = np.array([known[back == day].mean() if (back == day).any() else 0.0 for day in range(7)])
    return np.where(week > CLOSED * week.sum(), week, 0.0)


def growth(sold: Floats, place: int, horizon: int) -> float:
    """Sales of the horizon that begins at `place`, over those of the horizon before; 1 where either is unknown."""
    if place < horizon or place + horizon > len(sold):
        return 1.0
    before, after = sold[place - horizon : place].sum(), sold[place : place + horizon].sum()
    return float(np.clip((after + 1) / (before + 1), 0.25, 4))


def ahead(values: NDArray[np.floating[Any]], product: Places, place: Places, horizon: int) -> Floats:
    """Mean over the horizon of each row, of what is not NaN; NaN where all is."""
    total, there = _running(np.nan_to_num(values)), _running(~np.isnan(values))
    after = np.minimum(place + horizon, values.shape[1])
    count = there[product, after] - there[product, place]
    some = total[product, after] - total[product, place]
    return np.asarray(np.where(count > 0, some / np.maximum(count, 1), np.nan), dtype=np.float64)


def _running(values: NDArray[np.generic]) -> Floats:
    """Sums up to and without each column; one column more than `values`."""
    out = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=1, out=out[:, 1:])
    return out


def largest(units: NDArray[np.float32], product: Places, place: Places, steps: int) -> Floats:
    """The largest of the `steps` steps before each row; 0 before the panel."""
    out = np.zeros(len(product))
    for now in np.unique(place):
        some = place == now
        before = np.nan_to_num(units[:, max(now - steps, 0) : now])
        if before.shape[1]:
            out[some] = before.max(axis=1)[product[some]]
    return out


def quantiles_of_recent(recent: Floats, weight: Floats, levels: Sequence[float]) -> Floats:
    """Weighted quantiles of each row: rows x levels. `weight` is per column, 0 for one to be left out."""
    used = recent[:, weight > 0]
    weights = weight[weight > 0]
    if not len(weights):
        return np.zeros((len(recent), len(levels)))
    order = np.argsort(used, axis=1, kind="stable")
    ordered = np.take_along_axis(used, order, axis=1)
    running = np.cumsum(weights[order], axis=1) - 0.5 * weights[order]
    rank = running / weights.sum()
    return np.stack([_at_level(ordered, rank, level) for level in levels], axis=-1)


def _at_level(ordered: Floats, rank: Floats, level: float) -> Floats:
    """The value at which `rank` reaches `level`, linear between neighbours."""
    line = np.arange(len(ordered))
    high = np.clip((rank < level).sum(axis=1), 0, ordered.shape[1] - 1)
    low = np.maximum(high - 1, 0)
    gap = rank[line, high] - rank[line, low]
    part = np.clip((level - rank[line, low]) / np.where(gap > 0, gap, 1), 0, 1)
    return np.asarray(ordered[line, low] * (1 - part) + ordered[line, high] * part, dtype=np.float64)


def sample(usable: NDArray[np.bool_], limit: int, seed: int) -> NDArray[np.intp]:
    """At most `limit` of the places that are usable, in their order."""
    there = np.flatnonzero(usable)
    if len(there) <= limit:
        return there
    return np.sort(np.random.default_rng(seed).choice(there, limit, replace=False))
