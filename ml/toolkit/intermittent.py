"""Forecasts of intermittent demand, many series at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def tsb(demand: Floats, size: float = 0.1, probability: float = 0.03) -> Floats:
    """Level of each series (row) after its last step, by Teunter, Syntetos and Babai.

    Demand size and demand probability are smoothed apart; the probability also falls in steps without demand, so an
    item that dies fades out. Steps before a series began are NaN or 0. Source: R.H. Teunter, A.A. Syntetos,
    M.Z. Babai, Intermittent demand: linking forecasting to inventory obsolescence, EJOR 214 (2011) 606-615.
    """
    return tsb_path(demand, size, probability)[:, -1]


def tsb_path(demand: Floats, size: float = 0.1, probability: float = 0.03) -> Floats:
    """Like `tsb`, for every step: column t is the level known before step t (shape: series x steps + 1)."""
    count, steps = demand.shape
    level, chance = np.zeros(count), np.zeros(count)
    begun = np.zeros(count, dtype=bool)
    path = np.zeros((count, steps + 1))
    for step in range(steps):
        now = np.nan_to_num(demand[:, step])
        sold, going = now > 0, begun
        first = sold & ~going
        level = np.where(first, now, level + np.where(sold & going, size * (now - level), 0.0))
        chance = np.where(first, 0.3, chance + np.where(going, probability * (sold - chance), 0.0))
        begun = begun | sold
        path[:, step + 1] = level * chance
    return path


def tame(demand: Floats) -> Floats:
    """Cap each step at 20 + 8 times the squared mean root of the series' earlier sales (with 3 ghost sales of 2)."""
    units = np.nan_to_num(demand)
    sold = units > 0
    roots = np.cumsum(np.sqrt(units), axis=1) - np.sqrt(units)
    count: Floats = np.cumsum(sold, axis=1) - sold
    mean = ((roots + 6) / (count + 3)) ** 2
    return np.minimum(units, 8 * mean + 20)
