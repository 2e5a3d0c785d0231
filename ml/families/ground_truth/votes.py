"""What annotators said, and what they agree on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.families.ground_truth.columns import votes
from ml.toolkit.consensus import DawidSkene, dawid_skene, linkable

Floats = NDArray[np.float64]
Vote = tuple[str, str]
YES = frozenset({"yes", "true", "1"})
NEUTRAL = 3.0
GRADES = ("dissatisfied", "neutral", "satisfied")
UNKNOWN = ""
BELIEVED = 0.8
"""The belief in a label below which it is open, where annotators' errors are known."""
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


@dataclass(frozen=True, slots=True)
class _Told:
    """Votes of annotators who can be told apart, by number: row, annotator, label; and what their errors are."""

    names: NDArray[np.str_]
    rows: NDArray[np.int64]
    who: NDArray[np.int64]
    label: NDArray[np.int64]
    item: NDArray[np.int64]
    errors: DawidSkene

    def belief(self, count: int) -> Floats:
        """What is believed of each of `count` rows (rows x labels); nan where nobody voted."""
        made = np.full((count, len(self.names)), np.nan)
        made[self.rows] = self.errors.posterior[self.item]
        return made

    def without_each(self) -> NDArray[np.int64]:
        """For each vote the label that the row's other votes speak for, by their people's errors; -1: left open."""
        said = np.log(np.maximum(self.errors.confusion[self.who, :, self.label], 1e-12))
        summed = np.zeros_like(self.errors.posterior) + np.log(np.maximum(self.errors.prior, 1e-12))
        np.add.at(summed, self.item, said)
        others = np.exp(summed[self.item] - said)
        return np.where(np.bincount(self.item)[self.item] > 1, settled(others), -1)


def settled(beliefs: Floats) -> NDArray[np.int64]:
    """The label that most of the belief is in (rows x labels, in any unit); -1 where too little of it is."""
    share = beliefs.max(axis=1) / np.maximum(beliefs.sum(axis=1), 1e-300)
    return np.where(share >= BELIEVED, beliefs.argmax(axis=1), -1)


def _told_apart(given: Sequence[Sequence[Vote]], dialogue: NDArray[np.int64], kind: str) -> _Told | None:
    """None where annotators worked on too few dialogues to know their errors."""
    alone = {label: _alone(label, kind) for label in {label for some in given for _, label in some}}
    said = [(row, annotator, alone[label]) for row, some in enumerate(given) for annotator, label in some]
    said = [vote for vote in said if vote[2] != UNKNOWN]
    if not said:
        return None
    rows, annotators, labels = (np.array(column) for column in zip(*said, strict=True))
    people, who = np.unique(annotators, return_inverse=True)
    if len(people) < 2 or not linkable(who, dialogue[rows], LINKED).all():
        return None
    names, label = np.unique(labels, return_inverse=True)
    item = np.unique(rows, return_inverse=True)[1]
    return _Told(names, rows, who, label, item, dawid_skene(item, who, label, len(names)))


def _alone(label: str, kind: str) -> str:
    return _grade([("", label)])[0] if kind == "satisfaction" else label


def agreed(given: Sequence[Sequence[Vote]], dialogue: NDArray[np.int64], kind: str) -> Consensus:
    """The likeliest label by Dawid and Skene's model of each annotator's errors; the plain consensus without one.

    A majority of lenient people is lenient; where people can be told apart, their leanings are taken out. What is
    believed too little is as open as a tie.
    """
    plain = consensus(given, kind)
    told = _told_apart(given, dialogue, kind)
    if told is None:
        return plain
    chosen = settled(told.errors.posterior)[told.item]
    labels = np.full(len(given), UNKNOWN, dtype=told.names.dtype)
    labels[told.rows] = np.where(chosen >= 0, told.names[chosen], UNKNOWN)
    same = np.bincount(told.rows, told.label == chosen, len(given))
    return Consensus(labels, plain.voters, same / np.maximum(np.bincount(told.rows, minlength=len(given)), 1))


def one_left_out(given: Sequence[Sequence[Vote]], dialogue: NDArray[np.int64], kind: str) -> LeftOut:
    """The bar of a single human: every annotator in turn against what the others on the same turn agree on.

    The others' votes are weighed by their errors where annotators can be told apart, as in `agreed`.
    """
    told = _told_apart(given, dialogue, kind)
    if told is None:
        return _plainly_left_out(given, kind)
    rest = told.without_each()
    kept = rest >= 0
    return LeftOut(told.rows[kept], told.names[told.label[kept]], told.names[rest[kept]])


def _plainly_left_out(given: Sequence[Sequence[Vote]], kind: str) -> LeftOut:
    found = [
        (row, consensus([[some[place]]], kind).labels[0], _plain([*some[:place], *some[place + 1 :]], kind))
        for row, some in enumerate(given) if len(some) > 1 for place in range(len(some))
    ]  # fmt: skip
    kept = [(row, one, rest) for row, one, rest in found if UNKNOWN not in (one, rest)]
    rows, one, rest = zip(*kept, strict=True) if kept else ((), (), ())
    return LeftOut(np.array(rows, dtype=np.int64), np.array(one, dtype=str), np.array(rest, dtype=str))


def _plain(some: Sequence[Vote], kind: str) -> str:
    return (_grade(some) if kind == "satisfaction" else _majority(some))[0]


@dataclass(frozen=True, slots=True)
class Shares:
    """What the heads learn from: how far each row is of each label (rows x labels, nan: not known).

    `prior`: how frequent each label is, if the shares are beliefs from votes alone; None if they are what was counted.
    """

    labels: tuple[str, ...]
    of: Floats
    prior: Floats | None = None


def shares(given: Sequence[Sequence[Vote]], dialogue: NDArray[np.int64], kind: str, how: str) -> Shares:
    """Dawid and Skene's belief where that is asked for and annotators can be told apart.

    Else of satisfaction the share of the annotators without whom the others come to this label, of everything else the
    majority's.
    """
    told = _told_apart(given, dialogue, kind) if how == "dawid_skene" else None
    if told is None:
        return _counted(given, kind)
    return Shares(tuple(told.names.tolist()), told.belief(len(given)), told.errors.prior)


def _counted(given: Sequence[Sequence[Vote]], kind: str) -> Shares:
    plain = consensus(given, kind)
    left = _plainly_left_out(given, kind) if kind == "satisfaction" else _NOBODY
    labels = tuple(np.unique(np.concatenate([plain.labels[plain.known], left.rest])).tolist())
    made = (plain.labels[:, None] == np.array(labels, dtype=str)[None, :]).astype(np.float64)
    count = np.bincount(left.row, minlength=len(given))[:, None]
    summed = np.zeros_like(made)
    np.add.at(summed, (left.row, np.searchsorted(labels, left.rest)), 1.0)
    made = np.where(count > 0, summed / np.maximum(count, 1), made)
    made[~plain.known] = np.nan
    return Shares(labels, made)
