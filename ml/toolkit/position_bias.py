"""How likely a result is examined at each position, estimated from a log of what was shown and engaged with.

The position-based model (Richardson, Dominowska and Ragno 2007; Craswell et al. 2008): a result at position k is
examined with probability theta_k whatever it is, and an examined result r is engaged with with probability gamma_r.
Only theta_k / theta_1 can be learned, and only where the same result was seen at several positions: rankers that
followed each other, tests and swaps are such interventions (intervention harvesting, Agarwal et al. 2019).

A *result* is a query x product pair, or a finer unit in which gamma is constant (pair x month, where tastes change).
All functions take counts by result and position, so a log of any length is aggregated by the database first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_STEPS = 100
_CLOSE = 1e-10
_FURTHEST = 4.0  # of a step, in logarithms


@dataclass(frozen=True, slots=True)
class Counts:
    """One entry a result and position: how often it was shown there, and how often engaged with.

    `result` and `query` are any integers that tell results and queries apart; positions begin at 1.
    """

    query: Ints
    result: Ints
    position: Ints
    shown: Floats
    engaged: Floats


@dataclass(frozen=True, slots=True)
class Examination:
    """Probability of examination at positions 1, 2, ... relative to the first, and its interval.

    NaN at a position that no result shares with another position, directly or by others: nothing is known of it.
    """

    relative: Floats
    low: Floats
    high: Floats


def click_through(counts: Counts) -> Floats:
    """Engagements over showings at each position, relative to the first: the naive curve.

    Too steep wherever the ranker is any good, because what is shown below is wanted less.
    """
    last = int(counts.position.max(initial=0))
    engaged, shown = (
        np.bincount(counts.position - 1, weights=values, minlength=last)
        for values in (counts.engaged, counts.shown)
    )
    rate = engaged / np.where(shown > 0, shown, np.nan)
    return np.asarray(rate / rate[0])


def examination(counts: Counts, draws: int = 500, confidence: float = 0.95, seed: int = 7) -> Examination:
    """Estimate the curve, with percentile intervals of a bootstrap over queries.

    Poisson regression of engagements on position with a fixed effect for each result, conditioned on the result's total
    (Hausman, Hall and Griliches 1984): given how often a result was engaged with, where it happened is multinomial with
    probability shown_k theta_k / sum_j shown_j theta_j. Nothing is estimated for the results, so many rare ones do no
    harm, and the estimate is consistent whenever the mean is right, whatever the variance and the dependence within a
    session (Wooldridge 1999). Of the same comparisons AllPairs makes (Agarwal et al. 2019, section 4), each is weighted
    by what it is worth. The bootstrap takes one Newton step from the estimate in each draw.
    """
    tables = _tables(counts)
    known = _linked(tables)
    if known.sum() <= 1:
        return _only_first(known)
    logs = _maximum(tables, known)
    spread = _bootstrap(tables, logs, known, draws, seed)
    tail = (1 - confidence) / 2
    low, high = np.quantile(spread, [tail, 1 - tail], axis=0)
    return Examination(*(_placed(np.exp(values), known) for values in (logs, low, high)))


def inverse_propensity(relative: Floats, clip: float) -> Floats:
    """Weights 1 / propensity, at most `clip` (Strehl et al. 2010); where nothing is known the weight is `clip`, too."""
    return np.minimum(1 / np.where(np.isnan(relative), 1 / clip, np.maximum(relative, 1e-12)), clip)


@dataclass(frozen=True, slots=True)
class _Tables:
    """Results x positions, of results seen at several positions and engaged with; `query` is 0, 1, ..."""

    shown: Floats
    engaged: Floats
    query: Ints


def _tables(counts: Counts) -> _Tables:
    last = int(counts.position.max(initial=0))
    names, first, row = np.unique(counts.result, return_index=True, return_inverse=True)
    shown, engaged = np.zeros((len(names), last)), np.zeros((len(names), last))
    np.add.at(shown, (row, counts.position - 1), counts.shown)
    np.add.at(engaged, (row, counts.position - 1), counts.engaged)
    telling = ((shown > 0).sum(axis=1) > 1) & (engaged.sum(axis=1) > 0)
    query = np.unique(counts.query[first][telling], return_inverse=True)[1]
    return _Tables(shown[telling], engaged[telling], query.astype(np.int64))


def _linked(tables: _Tables) -> NDArray[np.bool_]:
    """Positions that are compared with the first, directly or by others, and where there was any engagement."""
    from scipy.sparse.csgraph import connected_components

    there = tables.shown > 0
    there[:, tables.engaged.sum(axis=0) == 0] = False
    _, group = connected_components((there.T.astype(np.int64) @ there.astype(np.int64)) > 0, directed=False)
    linked: NDArray[np.bool_] = group == group[0]
    return linked


def _only_first(known: NDArray[np.bool_]) -> Examination:
    curve = np.where(np.arange(len(known)) == 0, 1.0, np.nan)
    return Examination(curve, curve.copy(), curve.copy())


def _maximum(tables: _Tables, known: NDArray[np.bool_]) -> Floats:
    """log(theta_k / theta_1) of the known positions: Newton's method on a concave likelihood."""
    logs = np.zeros(int(known.sum()))
    for _ in range(_STEPS):
        score, information = _per_query(tables, logs, known)
        step = _step(score.sum(axis=0), information.sum(axis=0))
        logs = logs + step
        if np.abs(step).max() < _CLOSE:
            break
    return logs


def _per_query(tables: _Tables, logs: Floats, known: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Score (queries x positions) and information (queries x positions x positions) at these logarithms."""
    shown, engaged = tables.shown[:, known], tables.engaged[:, known]
    weight = shown * np.exp(logs)
    share = weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-300)
    total = engaged.sum(axis=1, keepdims=True)
    queries, width = int(tables.query.max()) + 1, len(logs)
    score, information = np.zeros((queries, width)), np.zeros((queries, width, width))
    np.add.at(score, tables.query, engaged - total * share)
    for k in range(width):
        np.add.at(information[:, k], tables.query, -total * share * share[:, k : k + 1])
        np.add.at(information[:, k, k], tables.query, total[:, 0] * share[:, k])
    return score, information


def _step(score: Floats, information: Floats) -> Floats:
    """Newton's step with the first position held at 0."""
    moved = np.linalg.lstsq(information[1:, 1:], score[1:], rcond=None)[0]
    return np.concatenate([[0.0], np.clip(moved, -_FURTHEST, _FURTHEST)])


def _bootstrap(tables: _Tables, logs: Floats, known: NDArray[np.bool_], draws: int, seed: int) -> Floats:
    """Draws x known positions: one step from the estimate, with queries drawn with replacement."""
    score, information = _per_query(tables, logs, known)
    queries = len(score)
    drawn = np.random.default_rng(seed).multinomial(queries, np.full(queries, 1 / queries), size=draws)
    steps = [_step(times @ score, np.tensordot(times, information, axes=1)) for times in drawn]
    return np.asarray(logs + np.asarray(steps))


def _placed(values: Floats, known: NDArray[np.bool_]) -> Floats:
    out = np.full(len(known), np.nan)
    out[known] = values
    return out
