"""What stands first is worth: relevance, engagement and purchases at the first place, for any number of rankings at
once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml.families.relevance_fusion.cases import Cases, cases_of
from ml.families.relevance_fusion.catalogue import numbers

Floats = NDArray[np.float64]
AIMS = ("relevance", "purchase", "engagement")
_PRIOR, _PRIOR_TOLD = 2.0, 20.0  # looks that what is expected of a result is worth: the mean, or a prediction
_LEAST_PRIOR, _MOST_PRIOR = 1.0, 1000.0


@dataclass(frozen=True, slots=True)
class Side:
    """The rows that one aim is measured on: their place in the table, their cases, what each is worth, weight of
    cases."""

    rows: NDArray[np.int64]
    cases: Cases
    worth: Floats
    weight: Floats

    def first(self, score: Floats) -> Floats:
        """Worth of what `score` (over all rows of the table) puts first in each case."""
        return self.worth[self.cases.best(score[self.rows])]


@dataclass(frozen=True, slots=True)
class Board:
    """A sorted table of candidates, the name of each one's case, and a side for each aim that can be measured."""

    table: pa.Table
    names: NDArray[np.str_]
    sides: Mapping[str, Side]

    def at_first(self, score: Floats) -> dict[str, float]:
        """Mean worth of the first place by aim; NaN where it cannot be measured."""
        return {aim: self.mean(aim, score) for aim in AIMS}

    def mean(self, aim: str, score: Floats) -> float:
        """Mean worth of what a score puts first."""
        side = self.sides.get(aim)
        return float(np.average(side.first(score), weights=side.weight)) if side else float("nan")

    def best(self, aim: str) -> float:
        """The most that any ranking could reach."""
        side = self.sides.get(aim)
        return (
            float(np.average(side.cases.highest(side.worth), weights=side.weight)) if side else float("nan")
        )


def intervals(
    side: Side, first: Floats, query: NDArray[np.str_], draws: int, seed: int, confidence: float
) -> Floats:
    """Mean, low and high (3 x rankings) of worth at the first place (cases x rankings); queries drawn with
    replacement."""
    _, cluster = np.unique(query[side.rows[side.cases.start]], return_inverse=True)
    size = int(cluster.max()) + 1
    top = np.zeros((size, first.shape[1]))
    np.add.at(top, cluster, first * side.weight[:, None])
    bottom = np.bincount(cluster, weights=side.weight, minlength=size)
    times = np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), size=draws)
    drawn = (times @ top) / np.maximum(times @ bottom, 1e-300)[:, None]
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
    return np.stack([top.sum(axis=0) / bottom.sum(), low, high])


def board(table: pa.Table, told: Mapping[str, Floats] | None = None) -> Board:
    """From rows in the order of `case_order`: query, product_id, modality, day, grade (null: not judged), exposure,
    engaged, purchased, searches.

    relevance: the mean grade over 3. engagement, purchase: how often it happened per time the product was looked at,
    pulled towards the mean by _PRIOR looks, or towards what is `told` of each row (by aim) by _PRIOR_TOLD looks: the
    posterior mean, where the mean alone would make all that is seldom shown alike. Cases count by their searches.
    """
    names = case_names(table)
    grade, exposure = numbers(table, "grade"), np.nan_to_num(numbers(table, "exposure"))
    sides: dict[str, Side] = {}
    judged = np.flatnonzero(np.isfinite(grade))
    if len(judged):
        cases = cases_of(names[judged])
        sides["relevance"] = Side(judged, cases, grade[judged] / 3.0, np.ones(cases.number))
    shown = np.flatnonzero(exposure > 0)
    for aim, what in (("purchase", "purchased"), ("engagement", "engaged")):
        count = numbers(table, what)[shown]
        if count.sum() > 0:
            cases = cases_of(names[shown])
            usual = told[aim][shown] if told else count.sum() / exposure[shown].sum()
            prior = _PRIOR_TOLD if told else _PRIOR
            worth = (count + prior * usual) / (exposure[shown] + prior)
            volume = cases.sums(exposure[shown])
            sides[aim] = Side(shown, cases, worth, volume)
    return Board(table, names, sides)


def posterior(table: pa.Table, aim: str) -> Floats:
    """What is to be expected of each row's result when it is looked at, by what is known of all rows: empirical Bayes.

    A purchase takes two steps, an engagement and then the purchase, and each step's rate is pulled towards its mean by
    as many looks (engagements) as the rows themselves show to be right (`_prior`). Engagements are several times as
    many as purchases, and how many of them become one differs little between results: the product is nearer to the
    truth than purchases over looks.
    """
    looks, engaged, purchased = (
        np.nan_to_num(numbers(table, name)) for name in ("exposure", "engaged", "purchased")
    )
    expected = _shrunk(engaged, looks)
    return expected * _shrunk(purchased, engaged) if aim == "purchase" else expected


def _shrunk(count: Floats, number: Floats) -> Floats:
    mean = count.sum() / max(number.sum(), 1e-12)
    prior = _prior(count, number, mean)
    shrunk: Floats = (count + prior * mean) / (number + prior)
    return shrunk


def _prior(count: Floats, number: Floats, mean: float) -> float:
    """How many observations the mean is worth, from how far rates differ beyond chance: the moments of a beta-binomial
    (Kleinman 1973), of rows with at least two observations; between _LEAST_PRIOR and _MOST_PRIOR."""
    some = number >= 2
    number, rate = number[some], count[some] / number[some]
    if len(number) < 2 or not 0 < mean < 1:
        return _MOST_PRIOR
    chance = mean * (1 - mean)
    between = float(number @ (rate - mean) ** 2) - (len(number) - 1) * chance
    spread = between / float(number.sum() - number @ number / number.sum() - (len(number) - 1))
    return float(np.clip(chance / max(spread, 1e-12) - 1, _LEAST_PRIOR, _MOST_PRIOR))


def case_order(table: pa.Table) -> NDArray[np.int64]:
    """Places of the rows when sorted by case (query, modality, day), then product."""
    keys = [(name, "ascending") for name in ("query", "modality", "day", "product_id")]
    places: NDArray[np.int64] = pc.sort_indices(table, sort_keys=keys).to_numpy().astype(np.int64)
    return places


def case_names(table: pa.Table) -> NDArray[np.str_]:
    """query, modality and day of each row as one name."""
    parts = [
        np.asarray(table.column(name).cast("string").to_pylist(), dtype=str)
        for name in ("query", "modality", "day")
    ]
    return np.char.add(np.char.add(np.char.add(np.char.add(parts[0], "\t"), parts[1]), "\t"), parts[2])
