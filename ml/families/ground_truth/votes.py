"""What annotators said, and what they agree on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.families.ground_truth.columns import votes
from ml.toolkit.consensus import dawid_skene, linkable

Vote = tuple[str, str]
YES = frozenset({"yes", "true", "1"})
NEUTRAL = 3.0
GRADES = ("dissatisfied", "neutral", "satisfied")
UNKNOWN = ""
LINKED = 10
"""Dialogues that an annotator must have worked on before anything can be said of their errors."""


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


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Each annotator's label beside the consensus of the others, where both are known; `row` is the turn's place."""

    row: NDArray[np.int64]
    one: NDArray[np.str_]
    rest: NDArray[np.str_]


_NOBODY = LeftOut(np.zeros(0, np.int64), np.zeros(0, str), np.zeros(0, str))


def one_left_out(given: Sequence[Sequence[Vote]], kind: str) -> LeftOut:
    """The bar of a single human: every annotator in turn against the consensus of the others on the same turn."""
    found = [
        (row, consensus([[some[place]]], kind).labels[0], _agreed([*some[:place], *some[place + 1 :]], kind))
        for row, some in enumerate(given) if len(some) > 1 for place in range(len(some))
    ]  # fmt: skip
    kept = [(row, one, rest) for row, one, rest in found if UNKNOWN not in (one, rest)]
    rows, one, rest = zip(*kept, strict=True) if kept else ((), (), ())
    return LeftOut(np.array(rows, dtype=np.int64), np.array(one, dtype=str), np.array(rest, dtype=str))


def _agreed(some: Sequence[Vote], kind: str) -> str:
    return (_grade(some) if kind == "satisfaction" else _majority(some))[0]


def shares(
    given: Sequence[Sequence[Vote]], dialogue: NDArray[np.int64], kind: str, how: str
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """What the heads learn from: the labels, and how far each row is of each label (rows x labels, nan: not known).

    Dawid and Skene's belief where that is asked for and annotators can be told apart. Else of satisfaction the share of
    the annotators without whom the others come to this label, of everything else the majority's.
    """
    believed = _believed(given, dialogue, kind) if how == "dawid_skene" else None
    return believed or _counted(given, kind)


def _counted(given: Sequence[Sequence[Vote]], kind: str) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    agreed = consensus(given, kind)
    left = one_left_out(given, kind) if kind == "satisfaction" else _NOBODY
    labels = tuple(np.unique(np.concatenate([agreed.labels[agreed.known], left.rest])).tolist())
    made = (agreed.labels[:, None] == np.array(labels, dtype=str)[None, :]).astype(np.float64)
    count = np.bincount(left.row, minlength=len(given))[:, None]
    summed = np.zeros_like(made)
    np.add.at(summed, (left.row, np.searchsorted(labels, left.rest)), 1.0)
    made = np.where(count > 0, summed / np.maximum(count, 1), made)
    made[~agreed.known] = np.nan
    return labels, made


def _believed(
    given: Sequence[Sequence[Vote]], dialogue: NDArray[np.int64], kind: str
) -> tuple[tuple[str, ...], NDArray[np.float64]] | None:
    """Dawid and Skene's posterior; None where annotators worked on too few dialogues to know their errors."""
    said = [(row, annotator, consensus([[(annotator, label)]], kind).labels[0])
            for row, some in enumerate(given) for annotator, label in some]  # fmt: skip
    said = [vote for vote in said if vote[2] != UNKNOWN]
    if not said:
        return None
    rows, annotators, labels = (np.array(column) for column in zip(*said, strict=True))
    people, who = np.unique(annotators, return_inverse=True)
    if len(people) < 2 or not linkable(who, dialogue[rows], LINKED).all():
        return None
    items, item = np.unique(rows, return_inverse=True)
    names, label = np.unique(labels, return_inverse=True)
    made = np.full((len(given), len(names)), np.nan)
    made[items] = dawid_skene(item, who, label, len(names)).posterior
    return tuple(names.tolist()), made
