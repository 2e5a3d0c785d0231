"""A yes-or-no question about exchanges or goals: linear readings of the words, then trees over them and the signals.

The words of a context, and its letters, are read by ridge regression on sparse n-grams; the scores of dialogues that it
did not learn from are features of the trees, of the neighbours too; the trees' score of unseen dialogues calibrates the
answer.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.families.ground_truth.params import GroundTruthParams
from ml.toolkit import boosting, linear
from ml.toolkit.boosting import Recipe
from ml.toolkit.calibration import Calibration, among_beliefs, learn_calibration

if TYPE_CHECKING:
    import xgboost as xgb

    from ml.toolkit.linear import Rows

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.int64]
READINGS = ("wording", "spelling", "meaning")
_PENALTIES = (15.0, 12.0, 8.0)


@dataclass(frozen=True, slots=True)
class Asked:
    """m cases of a question: words (m x places each), signals (m x names), the dialogue of each.

    `words`: what each of READINGS reads, or the first of them. `around`: for each offset, the place of the case that is
    so far on in the dialogue, or -1.
    """

    words: tuple[Rows, ...]
    names: tuple[str, ...]
    signals: Floats
    dialogue: Places
    around: tuple[tuple[int, Places], ...]

    def first(self, count: int) -> Asked:
        """The same, of which only the first readings are read."""
        return replace(self, words=self.words[:count])


@dataclass(frozen=True, slots=True)
class Head:
    """What answers one question."""

    names: tuple[str, ...]
    readings: tuple[linear.Linear, ...]
    trees: xgb.Booster
    calibration: Calibration
    threshold: float
    sure_yes: float = 1.0
    sure_no: float = 1.0

    def table(self, asked: Asked) -> Floats:
        """What the trees look at."""
        pairs = zip(self.readings, asked.words, strict=False)  # not every head reads all of them
        return _table(asked, np.column_stack([reading.margins(rows)[:, 0] for reading, rows in pairs]))

    def answer(self, asked: Asked) -> Floats:
        """Calibrated probabilities of yes; shape (m,)."""
        raw = boosting.predict(self.trees, self.names, self.table(asked).astype(np.float32))
        return self.calibration.of(raw)


@dataclass(frozen=True, slots=True)
class Learned:
    """A head, its answers to the labelled cases by heads that had not seen their dialogues, and how far each is yes."""

    head: Head
    unseen: Floats
    yes: Floats


def parts(dialogue: Places, count: int, seed: int) -> Places:
    """The part of each case: whole dialogues together, at random."""
    drawn = np.random.default_rng(seed).permutation(int(dialogue.max(initial=0)) + 1)
    return np.asarray(drawn[dialogue] % count, dtype=np.int64)


def learn_heads(
    asked: Asked,
    known: Places,
    yes: Floats,
    params: GroundTruthParams,
    prior: float | None = None,
    *,
    ways: Sequence[int] = (),
) -> list[Learned]:
    """Learn from the cases at places `known`; `yes` is how far the answer to each is yes, 0 to 1.

    `prior`: how often it is yes, if `yes` is a belief from annotators' votes alone. `ways`: for each head, how many of
    READINGS it reads (default: one head, all that there are); a reading that several heads read is learned once.
    """
    part = parts(asked.dialogue, params.folds, params.seed)
    pairs = zip(asked.words, _PENALTIES, strict=False)
    learned = [_read(rows, known, yes, part, penalty) for rows, penalty in pairs]
    return [
        _learn_head(asked.first(count), learned[:count], known, yes, part, params, prior)
        for count in ways or (len(learned),)
    ]


def _learn_head(
    asked: Asked,
    learned: Sequence[tuple[linear.Linear, Floats]],
    known: Places,
    yes: Floats,
    part: Places,
    params: GroundTruthParams,
    prior: float | None,
) -> Learned:
    """The trees over the signals and over what was read; calibrated by trees that had not seen the dialogues."""
    readings, margins = tuple(made for made, _ in learned), np.column_stack([some for _, some in learned])
    names = (*asked.names, *_reading_names(asked))
    table = _table(asked, margins)[known].astype(np.float32)
    raw = np.zeros(len(known))
    for number in range(params.folds):
        inside = part[known] == number
        if inside.any() and not inside.all():
            trees = _grow(names, table[~inside], yes[~inside], params)
            raw[inside] = boosting.predict(trees, names, table[inside])
    trees = _grow(names, table, yes, params)
    calibration, yes = (learn_calibration(raw, yes), yes) if prior is None else among_beliefs(raw, yes, prior)
    unseen = calibration.of(raw)
    return Learned(Head(names, readings, trees, calibration, best_f1(unseen, yes)), unseen, yes)


def _read(
    rows: Rows, known: Places, yes: Floats, part: Places, penalty: float
) -> tuple[linear.Linear, Floats]:
    """The reading learned from all, and every case's margin by readings that had not seen its dialogue."""
    margins = np.zeros(len(part))
    for number in np.unique(part):
        inside, learned = part == number, part[known] != number
        if learned.any():
            made = linear.learn_share(rows[known[learned]], yes[learned], penalty)
            margins[inside] = made.margins(rows[inside])[:, 0]
    return linear.learn_share(rows[known], yes, penalty), margins


def _reading_names(asked: Asked) -> Sequence[str]:
    names = READINGS[: len(asked.words)]
    return [*names, *(f"{name}{by:+d}" for by, _ in asked.around for name in names)]


def _table(asked: Asked, margins: Floats) -> Floats:
    near = [
        np.where(places[:, None] < 0, np.nan, margins[np.maximum(places, 0)]) for _, places in asked.around
    ]
    return np.column_stack([asked.signals, margins, *near])


def _grow(
    names: Sequence[str], table: NDArray[np.float32], yes: Floats, params: GroundTruthParams
) -> xgb.Booster:
    recipe = Recipe(
        "binary:logistic", params.rounds, params.learning_rate, params.depth, minimum_weight=5.0, seed=params.seed,
        nthread=params.nthread,
    )  # fmt: skip
    return boosting.grow(recipe, boosting.Table.of(names, table, recipe), yes.astype(np.float32))


def best_f1(probability: Floats, yes: Floats) -> float:
    """The threshold with the highest F1 of yes (in shares); .5 where nothing is yes, or nothing is told apart."""
    if not yes.any() or np.ptp(probability) == 0:
        return 0.5
    order = np.argsort(-probability, kind="stable")
    hits = np.cumsum(yes[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + yes.sum())
    last = np.append(np.diff(probability[order]) != 0, True)
    best = np.flatnonzero(last)[np.argmax(f1[last])]
    after = probability[order][best + 1] if best + 1 < len(order) else 0.0
    return float((probability[order][best] + after) / 2)


def save(head: Head, folder: Path) -> None:
    """Write UBJSON, JSON and arrays."""
    for name, reading in zip(READINGS, head.readings, strict=False):
        linear.write(reading, folder / name)
    boosting.write(head.trees, folder / "trees")
    numbers = {name: str(getattr(head, name)) for name in ("threshold", "sure_yes", "sure_no")}
    rest = {
        "names": head.names,
        "readings": len(head.readings),
        "calibration": asdict(head.calibration),
        **numbers,
    }
    (folder / "head.json").write_text(json.dumps(rest))


def load(folder: Path) -> Head:
    """Read what `save` wrote."""
    rest = json.loads((folder / "head.json").read_text())
    calibration = Calibration(*(tuple(rest["calibration"][name]) for name in ("scores", "probabilities")))
    readings = tuple(linear.read(folder / name) for name in READINGS[: rest["readings"]])
    trees = boosting.read(folder / "trees")
    numbers = (float(rest[name]) for name in ("threshold", "sure_yes", "sure_no"))
    return Head(tuple(rest["names"]), readings, trees, calibration, *numbers)
