"""Which sentence tells how a goal ended? Only whole goals are labelled, so it is found out in rounds.

Multiple instance learning (Andrews, Tsochantaridis & Hofmann 2003): first every sentence that was answered takes its
goal's label; then a failed goal is taken to show it in its most telling sentence alone, a successful one in none. The
same again for success: what was mended after a failure is told by the order of the two. Sentences, as a refusal in a
long answer is a small part of its words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.families.ground_truth.binary import parts
from ml.families.ground_truth.exchanges import Places
from ml.families.ground_truth.params import GroundTruthParams
from ml.families.ground_truth.reading import Read, Reader, answers, at
from ml.toolkit import linear

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
OUTCOMES = ("failure", "success")
_PENALTIES = (3.0, 1.0)
"""Ridge regression's, of the first round and of those after it."""
_ROUNDS = 2
_LAST = 4
_SENTENCES = re.compile(r"(?<=[.!?;])\s+")


@dataclass(frozen=True, slots=True)
class Sentences:
    """s sentences of answers: their words (s x places), and where those of each exchange begin (n + 1)."""

    words: csr_matrix
    first: Places

    def of(self, starts: Places, ends: Places) -> tuple[Places, Places]:
        """Every sentence of every goal: its place, and the goal's number."""
        return members(self.first[starts], self.first[ends + 1] - 1)


@dataclass(frozen=True, slots=True)
class Margins:
    """The strongest evidence of each outcome in each of n exchanges."""

    failure: Floats
    success: Floats


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for either outcome."""

    failure: linear.Linear
    success: linear.Linear

    def margins(self, sentences: Sentences) -> Margins:
        """Of every exchange the most telling sentence's."""
        return Margins(*(_strongest(getattr(self, outcome), sentences) for outcome in OUTCOMES))


def sentences_of(reader: Reader, read: Read) -> Sentences:
    """The sentences of each answer (at least one, if empty), and a little of what was said before and after."""
    from scipy.sparse import hstack

    split = [_SENTENCES.split(answer) for answer in answers(read.exchanges)]
    sizes = np.array([len(some) for some in split], dtype=np.int64)
    exchange = np.repeat(np.arange(len(split)), sizes)
    words = reader.grams.place([sentence for some in split for sentence in some])
    around = [0.4 * read.said, 0.4 * at(read.said, read.exchanges.step(1))]
    rows = hstack([words, *(block[exchange] for block in around)], format="csr", dtype=np.float32)
    return Sentences(rows, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))


def learn_evidence(
    sentences: Sentences,
    dialogue: Places,
    starts: Places,
    ends: Places,
    failed: Flags,
    params: GroundTruthParams,
) -> tuple[Evidence, Margins]:
    """What speaks for failure and success, and each exchange's evidence by models that had not seen its dialogue."""
    part = parts(dialogue, params.folds, params.seed)
    margins = Margins(np.zeros(len(dialogue)), np.zeros(len(dialogue)))
    for number in range(params.folds):
        kept, inside = part[ends] != number, part == number
        if kept.any():
            made = _learn(sentences, starts[kept], ends[kept], failed[kept]).margins(sentences)
            margins.failure[inside], margins.success[inside] = made.failure[inside], made.success[inside]
    return _learn(sentences, starts, ends, failed), margins


def _learn(sentences: Sentences, starts: Places, ends: Places, failed: Flags) -> Evidence:
    return Evidence(*(_telling(sentences, starts, ends, shown) for shown in (failed, ~failed)))


def _telling(sentences: Sentences, starts: Places, ends: Places, shown: Flags) -> linear.Linear:
    """What tells goals of an outcome (`shown`) from the others."""
    place, goal = sentences.of(starts, ends)
    made = linear.learn_share(sentences.words[place], shown[goal].astype(np.float64), _PENALTIES[0])
    for _ in range(_ROUNDS):
        most = place[_best(made.margins(sentences.words[place])[:, 0], goal)][shown]
        chosen = np.concatenate([most, place[~shown[goal]]])
        tells = (np.arange(len(chosen)) < len(most)).astype(np.float64)
        made = linear.learn_share(sentences.words[chosen], tells, _PENALTIES[1])
    return made


def _strongest(telling: linear.Linear, sentences: Sentences) -> Floats:
    if len(sentences.first) == 1:
        return np.zeros(0)
    return np.maximum.reduceat(telling.margins(sentences.words)[:, 0], sentences.first[:-1])


def members(starts: Places, ends: Places) -> tuple[Places, Places]:
    """Every place from a start to its end (included), and the number of the pair."""
    sizes = ends - starts + 1
    goal = np.repeat(np.arange(len(ends)), sizes)
    within = np.arange(len(goal)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.repeat(starts, sizes) + within, goal


def _best(values: Floats, goal: Places) -> Places:
    """The member with the highest value of each goal; goals are numbered without gaps, in order."""
    order = np.lexsort((values, goal))
    return np.asarray(order[np.flatnonzero(np.append(np.diff(goal[order]) != 0, True))], dtype=np.int64)


def signals(margins: Margins, starts: Places, ends: Places) -> dict[str, Floats]:
    """Of either outcome the evidence of each goal's last exchanges, the strongest, and what came of the other since."""
    place, goal = members(starts, ends)
    made: dict[str, Floats] = {}
    most = {name: place[_best(getattr(margins, name)[place], goal)] for name in OUTCOMES}
    for name, other in (OUTCOMES, OUTCOMES[::-1]):
        own, others = getattr(margins, name), getattr(margins, other)
        made |= {f"{name}-{back}": np.where(ends - back >= starts, own[np.maximum(ends - back, 0)], np.nan)
                 for back in range(_LAST)}  # fmt: skip
        made |= {
            f"{name}_most": own[most[name]], f"{name}_since": (ends - most[name]).astype(np.float64),
            f"{other}_at_{name}": others[most[name]], f"{other}_after_{name}": _after(others, most[name], ends),
        }  # fmt: skip
    return {**made, "failure_to_success": (most["success"] - most["failure"]).astype(np.float64)}


def _after(margins: Floats, most: Places, ends: Places) -> Floats:
    """The strongest evidence in the exchanges after `most`; nan where nothing followed."""
    made = np.full(len(ends), np.nan)
    for number, (start, end) in enumerate(zip(most.tolist(), ends.tolist(), strict=True)):
        if end > start:
            made[number] = margins[start + 1 : end + 1].max()
    return made


def save(evidence: Evidence, folder: Path) -> None:
    """Write JSON and arrays."""
    for outcome in OUTCOMES:
        linear.write(getattr(evidence, outcome), folder / outcome)


def load(folder: Path) -> Evidence:
    """Read what `save` wrote."""
    return Evidence(*(linear.read(folder / outcome) for outcome in OUTCOMES))
