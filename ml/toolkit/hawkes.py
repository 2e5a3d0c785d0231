"""Self-exciting cascades with exponential memory: likelihood, branching factor, what is still to come, simulation.

A cascade is a first post at time 0 whose every post, at time t_i, brings forth further posts at the rate
n · exp(-(t - t_i) / m) / m: n is the branching factor (children per post), m the memory. This is the process of Hawkes
(Biometrika 58, 1971) without an outside source, as used for reshares by Zhao et al. (SEISMIC, KDD 2015) and Mishra,
Rizoiu and Xie (CIKM 2016). Observed up to T its log-likelihood is

    sum_{i>1} log( n/m · sum_{j<i} exp(-(t_i - t_j) / m) ) - n · sum_i (1 - exp(-(T - t_i) / m)),

so that for a given memory the best n is (N - 1) / sum_i (1 - exp(-(T - t_i) / m)), in closed form.
The next generation still to come is Poisson with mean n · A, A = sum_i exp(-(T - t_i) / m), and each of its posts
stands for 1 / (1 - n) in all while n < 1: the expected final size is N + n · A / (1 - n).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CRITICAL = 0.98


@dataclass(frozen=True, slots=True)
class Hawkes:
    """Branching factor and memory (in the unit of the times)."""

    branching: float
    memory: float


def alive(times: Floats, until: float, memory: float) -> float:
    """A: how much of the posts' influence is still to come at `until`, in posts."""
    return float(np.exp(-(until - times) / memory).sum())


def branching(posts: Floats, still_alive: Floats) -> Floats:
    """The most likely branching factor of cascades with so many posts, of which so much is still alive."""
    spent = np.maximum(np.asarray(posts, dtype=np.float64) - still_alive, 1e-9)
    made: Floats = (np.asarray(posts, dtype=np.float64) - 1) / spent
    return made


def expected_size(posts: Floats, factor: Floats, still_alive: Floats) -> Floats:
    """Expected final size; a branching factor of 1 or more, whose size is infinite, counts as CRITICAL."""
    bounded = np.clip(factor, 0.0, CRITICAL)
    made: Floats = posts + bounded * still_alive / (1 - bounded)
    return made


def log_likelihood(times: Floats, until: float, model: Hawkes) -> float:
    """Log-likelihood of the posts at `times` (ascending, the first one given), seen up to `until`."""
    excited, total = 0.0, 0.0
    for before, now in pairwise(times):
        excited = (excited + 1.0) * np.exp(-(now - before) / model.memory)
        total += np.log(model.branching / model.memory * excited + 1e-300)
    return float(total - model.branching * (len(times) - alive(times, until, model.memory)))


def fit(times: Floats, until: float, memories: Sequence[float]) -> Hawkes:
    """The most likely of the memories, with its branching factor."""
    candidates = []
    for memory in memories:
        factor = float(branching(np.array([len(times)]), np.array([alive(times, until, memory)]))[0])
        candidates.append(Hawkes(max(factor, 1e-9), memory))
    return max(candidates, key=lambda model: log_likelihood(times, until, model))


def simulate(model: Hawkes, random: np.random.Generator, limit: int = 100_000) -> Floats:
    """Times of one cascade from its first post at 0, ascending; no more than about `limit` posts."""
    generation = np.zeros(1)
    times = [generation]
    while len(generation) and sum(map(len, times)) < limit:
        children = random.poisson(model.branching, len(generation))
        generation = np.repeat(generation, children) + random.exponential(model.memory, children.sum())
        times.append(generation)
    return np.sort(np.concatenate(times))
