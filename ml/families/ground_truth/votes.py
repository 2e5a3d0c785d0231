"""What annotators said, and what they agree on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.families.ground_truth.columns import votes

Vote = tuple[str, str]
YES = frozenset({"yes", "true", "1"})
NEUTRAL = 3.0
GRADES = ("dissatisfied", "neutral", "satisfied")
UNKNOWN = ""


@dataclass(frozen=True, slots=True)
class Consensus:
    """Of n rows: the label agreed on ("" where nobody said anything, or votes are tied), and how many voted."""

    labels: NDArray[np.str_]
    voters: NDArray[np.int64]
    agreement: NDArray[np.float64]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where there is a label."""
        known: NDArray[np.bool_] = self.labels != UNKNOWN
        return known


def votes_of(rows: pa.Table, kind: str) -> list[list[Vote]]:
    """Each row's votes: annotator and label, in the terms of the kind."""
    return [
        [_vote(line, kind) for line in text.split("\n")] if text else []
        for text in rows.column(votes(kind)).to_pylist()
    ]


def _vote(line: str, kind: str) -> Vote:
    annotator, _, label = line.partition("\t")
    if kind in ("goal_boundary", "goal_success"):
        return annotator, "yes" if label.strip().lower() in YES else "no"
    return annotator, label.strip()


def consensus(given: Sequence[Sequence[Vote]], kind: str) -> Consensus:
    """The majority's label; of satisfaction the side of the scale's middle on which the mean rating lies."""
    agreed = [_grade(some) if kind == "satisfaction" else _majority(some) for some in given]
    return Consensus(
        np.array([label for label, _ in agreed], dtype=str),
        np.array([len(some) for some in given], dtype=np.int64),
        np.array([share for _, share in agreed], dtype=np.float64),
    )


def _majority(some: Sequence[Vote]) -> tuple[str, float]:
    counted = Counter(label for _, label in some).most_common(2)
    if not counted or (len(counted) > 1 and counted[0][1] == counted[1][1]):
        return UNKNOWN, 0.0
    return counted[0][0], counted[0][1] / len(some)


def _grade(some: Sequence[Vote]) -> tuple[str, float]:
    ratings = np.array([_rating(label) for _, label in some])
    ratings = ratings[~np.isnan(ratings)]
    if not len(ratings):
        return UNKNOWN, 0.0
    sides = np.sign(ratings - NEUTRAL)
    side = np.sign(np.round(ratings.mean() - NEUTRAL, 9))
    return GRADES[int(side) + 1], float(np.mean(sides == side))


def _rating(label: str) -> float:
    try:
        return float(label)
    except ValueError:
        return {"yes": 5.0, "no": 1.0}.get(label.lower(), float("nan"))


def one_left_out(given: Sequence[Sequence[Vote]], kind: str) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """Each annotator's label beside the consensus of the others, where both are known: the bar of a single human."""
    pairs = [
        (consensus([[some[place]]], kind).labels[0], consensus([[*some[:place], *some[place + 1 :]]], kind).labels[0])
        for some in given if len(some) > 1 for place in range(len(some))
    ]  # fmt: skip
    kept = [pair for pair in pairs if UNKNOWN not in pair]
    return np.array([one for one, _ in kept], dtype=str), np.array([rest for _, rest in kept], dtype=str)
