"""Which exchange of a goal tells how it ended? Only whole goals are labelled, so it is found out in two rounds.

Multiple instance learning (Andrews, Tsochantaridis & Hofmann 2003): first every exchange takes its goal's label; then a
failed goal is taken to show it in its most telling exchange alone, a successful one in none, save those that look like
it: a failure may have been mended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.families.ground_truth.binary import parts
from ml.families.ground_truth.exchanges import Places
from ml.families.ground_truth.params import GroundTruthParams
from ml.families.ground_truth.reading import Read, at
from ml.toolkit import linear

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
_PENALTY = 10.0
_LAST = 4


def words(read: Read) -> csr_matrix:
    """The answer of each exchange; what it answered, the answer before, and what the customer says next."""
    from scipy.sparse import hstack

    before, after = read.exchanges.step(-1), read.exchanges.step(1)
    blocks = [read.answered, 0.7 * at(read.answered, before), 0.5 * read.said, 0.5 * at(read.said, after)]
    return hstack(blocks, format="csr", dtype=np.float32)


def learn_evidence(
    read: Read, starts: Places, ends: Places, failed: Flags, params: GroundTruthParams
) -> tuple[linear.Linear, Floats]:
    """What speaks for failure, and each exchange's evidence by models that had not seen its dialogue."""
    rows = words(read)
    part = parts(read.exchanges.dialogue, params.folds, params.seed)
    margins = np.zeros(len(read.exchanges))
    for number in range(params.folds):
        kept = part[ends] != number
        if kept.any():
            made = _learn(rows, starts[kept], ends[kept], failed[kept], params.seed)
            margins[part == number] = made.margins(rows[part == number])[:, 0]
    return _learn(rows, starts, ends, failed, params.seed), margins


def _learn(rows: csr_matrix, starts: Places, ends: Places, failed: Flags, seed: int) -> linear.Linear:
    place, goal = members(starts, ends)
    made = linear.learn_binary(rows[place], failed[goal].astype(np.float64), seed)
    margins = made.margins(rows[place])[:, 0]
    most = place[_best(margins, goal)]
    sound = place[~failed[goal] & (margins < 0)]
    telling = np.concatenate([most[failed], sound])
    yes = (np.arange(len(telling)) < failed.sum()).astype(np.float64)
    return linear.learn_binary(rows[telling], yes, seed, _PENALTY)


def members(starts: Places, ends: Places) -> tuple[Places, Places]:
    """Every exchange of every goal: its place, and the goal's number."""
    sizes = ends - starts + 1
    goal = np.repeat(np.arange(len(ends)), sizes)
    within = np.arange(len(goal)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.repeat(starts, sizes) + within, goal


def _best(values: Floats, goal: Places) -> Places:
    """The member with the highest value of each goal; goals are numbered without gaps, in order."""
    order = np.lexsort((values, goal))
    return np.asarray(order[np.flatnonzero(np.append(np.diff(goal[order]) != 0, True))], dtype=np.int64)


def signals(margins: Floats, starts: Places, ends: Places) -> dict[str, Floats]:
    """The evidence of the last exchanges of each goal, the strongest for and against, and how long ago each was."""
    place, goal = members(starts, ends)
    most, least = place[_best(margins[place], goal)], place[_best(-margins[place], goal)]
    last = {f"evidence-{back}": np.where(ends - back >= starts, margins[np.maximum(ends - back, 0)], np.nan)
            for back in range(_LAST)}  # fmt: skip
    return {
        **last, "evidence_most": margins[most], "evidence_least": margins[least],
        "since_most": (ends - most).astype(np.float64), "since_least": (ends - least).astype(np.float64),
        "least_after_most": _extreme_after(margins, most, ends),
    }  # fmt: skip


def _extreme_after(margins: Floats, most: Places, ends: Places) -> Floats:
    """The strongest evidence against failure after the strongest for it; nan where nothing followed."""
    made = np.full(len(ends), np.nan)
    for number, (start, end) in enumerate(zip(most.tolist(), ends.tolist(), strict=True)):
        if end > start:
            made[number] = margins[start + 1 : end + 1].min()
    return made
