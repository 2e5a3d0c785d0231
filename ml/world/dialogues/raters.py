"""People who annotate dialogues: how much each does, how well, and how each errs.

A rater gives the true label with their own probabilities, which are the truth `rater_confusion`:

- satisfaction: grades near the true one, shifted by leniency;
- goal_boundary and goal_success: a hit rate and a false-alarm rate of "yes";
- intent and failure_point: right, or any other.

The last two hardly look: one says yes to everything, one guesses.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from random import Random

import numpy as np

from ml.world.dialogues.plot import COMPONENTS, NONE
from ml.world.dialogues.wording import INTENTS
from ml.world.seeds import Stream, generator

RATERS = 10
LABELS: Mapping[str, tuple[str, ...]] = {
    "satisfaction": ("1", "2", "3", "4", "5"),
    "goal_boundary": ("no", "yes"),
    "goal_success": ("no", "yes"),
    "intent": tuple(intent.name for intent in INTENTS),
    "failure_point": (*COMPONENTS, NONE),
}
_YES: Mapping[str, str] = {
    "satisfaction": "4", "goal_boundary": "yes", "goal_success": "yes", "intent": "find_item", "failure_point": NONE,
}  # fmt: skip
Confusion = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Rater:
    """One person. `confusion` by kind: true label x chosen label; `coverage`: their share of annotated dialogues."""

    name: str
    coverage: float
    confusion: Mapping[str, Confusion]

    def says(self, kind: str, true: str, random: Random) -> str:
        """The label that they give."""
        odds = self._odds(kind, true)
        return LABELS[kind][min(bisect_right(odds, random.random()), len(odds) - 1)]

    def _odds(self, kind: str, true: str) -> tuple[float, ...]:
        return tuple(accumulate(self.confusion[kind][LABELS[kind].index(true)]))

    def accuracy(self, kind: str) -> float:
        """Mean over the true labels of the probability of being right."""
        return float(np.mean(np.diag(np.array(self.confusion[kind]))))


def raters(seed: int) -> tuple[Rater, ...]:
    """The people of a world."""
    rng = generator(seed, Stream.RATERS)
    skill, lenient = rng.uniform(0.82, 0.96, RATERS), rng.normal(0, 0.2, RATERS)
    coverage = rng.uniform(0.15, 0.55, RATERS)
    usual = [
        _careful(place, float(coverage[place]), float(skill[place]), float(lenient[place]))
        for place in range(RATERS - 2)
    ]
    return (*usual, _yes_sayer(RATERS - 2), _guesser(RATERS - 1))


def _name(place: int) -> str:
    return f"R{place + 1:02d}"


def _careful(place: int, coverage: float, skill: float, lenient: float) -> Rater:
    miss, kind_heart = 1 - skill, max(lenient, 0) / 2
    confusion = {
        "satisfaction": _graded(skill, lenient),
        "goal_boundary": _yes_no(miss / 2, miss),
        "goal_success": _yes_no(miss + 0.05 + kind_heart, miss + 0.02),
        "intent": _even(len(LABELS["intent"]), skill + 0.02),
        "failure_point": _even(len(LABELS["failure_point"]), skill - 0.12),
    }
    return Rater(_name(place), coverage, confusion)


def _yes_no(false_alarm: float, missed: float) -> Confusion:
    return (1 - false_alarm, false_alarm), (missed, 1 - missed)


def _graded(skill: float, lenient: float) -> Confusion:
    """Chosen grades fall off from the true one (shifted) the faster, the better the rater is."""
    near = np.exp(
        -np.abs(np.subtract.outer(np.arange(5) + lenient, np.arange(5))) * (1.0 + 6 * (skill - 0.7))
    )
    return tuple(map(tuple, (near / near.sum(axis=1, keepdims=True)).tolist()))


def _even(n: int, right: float) -> Confusion:
    wrong = (1 - right) / (n - 1)
    return tuple(tuple(right if true == chosen else wrong for chosen in range(n)) for true in range(n))


def _yes_sayer(place: int) -> Rater:
    always = {
        kind: tuple(tuple(float(label == _YES[kind]) for label in labels) for _ in labels)
        for kind, labels in LABELS.items()
    }
    return Rater(_name(place), 0.12, always)


def _guesser(place: int) -> Rater:
    return Rater(
        _name(place), 0.12, {kind: _even(len(labels), 1.4 / len(labels)) for kind, labels in LABELS.items()}
    )
