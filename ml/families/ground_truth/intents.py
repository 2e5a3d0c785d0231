"""What the customer wanted: words and letters, one plane for each intent, and a request of none of them refused.

Where a sentence encoder is set, its vectors have planes of their own, and the margins of both are added up: words and
meaning err on different requests.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.families.ground_truth.binary import parts
from ml.families.ground_truth.exchanges import Places
from ml.families.ground_truth.params import GroundTruthParams
from ml.families.ground_truth.reading import Read, Reader, at
from ml.toolkit import linear
from ml.toolkit.calibration import Calibration, learn_calibration

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Labels = NDArray[np.str_]
Blocks = tuple["csr_matrix", ...]
ENOUGH = 12_000
"""Held-out cases that confidence is learned from, if there are so many: planes for many intents take long."""
_PENALTIES = (0.5, 10.0)
"""LIBLINEAR's C of the planes for words, and for vectors: those are of length one and dense."""


@dataclass(frozen=True, slots=True)
class Intents:
    """What tells intents apart; a request whose likeness to its best intent is below `refused` is `unsupported`.

    One set of planes for each block of words; `likeness` are the weights of the margins that it is made of.
    """

    planes: tuple[linear.Linear, ...]
    unsupported: str
    likeness: tuple[float, float, float]
    refused: float
    accepting: Calibration
    refusing: Calibration
    sure: float = 1.0

    def answer(self, words: Blocks) -> tuple[Labels, Floats]:
        """Labels and calibrated confidences; shape (m,) each."""
        ranked = _rank(_margins(self.planes, words), self.planes[0].classes, self.unsupported)
        like = ranked.like(self.likeness)
        return _decide(ranked, like, self.refused, self.unsupported, self.accepting, self.refusing)


@dataclass(frozen=True, slots=True)
class LearnedIntents:
    """Intents, and the answers to the cases at places `held` by planes that had not seen their dialogues."""

    intents: Intents
    held: Places
    labels: Labels
    unseen: Floats


@dataclass(frozen=True, slots=True)
class _Ranked:
    """The best supported intent of each case; its margin, the second best's, and that of being unsupported."""

    labels: Labels
    best: Floats
    second: Floats
    other: Floats

    @property
    def lead(self) -> Floats:
        """How sure the best intent is."""
        return 2 * self.best - self.second

    def like(self, weights: tuple[float, float, float]) -> Floats:
        """How like its best intent a case is."""
        return weights[0] * self.best + weights[1] * self.second + weights[2] * self.other


def words_of(reader: Reader, read: Read) -> Blocks:
    """What was said as letters and words with what was said around it; its vector, if a sentence encoder is set."""
    from scipy.sparse import csr_matrix, hstack

    before = read.exchanges.step(-1)
    around = [at(read.answered, before), at(read.said, before), read.answered]
    blocks = [reader.letters.place(read.exchanges.texts("text")), *(0.5 * block for block in around)]
    words = hstack(blocks, format="csr", dtype=np.float32)
    return (words, csr_matrix(read.said_vectors.astype(np.float32))) if reader.folder else (words,)


def learn_intents(
    words: Blocks, labels: Labels, dialogue: Places, params: GroundTruthParams
) -> LearnedIntents:
    """Learn from cases with labels; confidence from parts of the dialogues that were held out."""
    classes = tuple(np.unique(labels).tolist())
    part = parts(dialogue, params.folds, params.seed)
    margins, held = _unseen(words, labels, part, classes, params)
    given, labels = labels, labels[held]
    ranked = _rank(margins, classes, params.unsupported_intent)
    weights = _weights(ranked, labels == params.unsupported_intent)
    like = ranked.like(weights)
    refused = _refused(like[ranked.labels == labels], labels, params)
    accepted = like >= refused
    right = np.where(accepted, ranked.labels, params.unsupported_intent) == labels
    right = right.astype(np.float64)
    accepting = learn_calibration(ranked.lead[accepted], right[accepted])
    refusing = learn_calibration(refused - like[~accepted], right[~accepted])
    planes = _planes(words, given, params)
    intents = Intents(planes, params.unsupported_intent, weights, refused, accepting, refusing)
    decided = _decide(ranked, like, refused, params.unsupported_intent, accepting, refusing)
    return LearnedIntents(intents, held, *decided)


def _planes(words: Blocks, labels: Labels, params: GroundTruthParams) -> tuple[linear.Linear, ...]:
    pairs = zip(words, _PENALTIES, strict=False)
    return tuple(linear.learn_classes(block, labels, params.seed, penalty) for block, penalty in pairs)


def _margins(planes: tuple[linear.Linear, ...], words: Blocks) -> Floats:
    """The sum over the blocks; one column for each class."""
    made = [_all_margins(own, block) for own, block in zip(planes, words, strict=True)]
    return np.asarray(np.sum(made, axis=0), dtype=np.float64)


def _unseen(
    words: Blocks, labels: Labels, part: Places, classes: tuple[str, ...], params: GroundTruthParams
) -> tuple[Floats, Places]:
    """Margins by planes that had not seen a case's dialogue, and these cases' places: as many parts as are enough.

    -1 of a class that the planes had not seen either.
    """
    margins = np.full((len(labels), len(classes)), -1.0)
    sizes = np.cumsum(np.bincount(part, minlength=params.folds))
    last = min(int(np.searchsorted(sizes, ENOUGH)), params.folds - 1)
    for number in range(last + 1):
        inside = part == number
        if inside.any() and not inside.all():
            made = _planes(tuple(block[~inside] for block in words), labels[~inside], params)
            columns = np.searchsorted(classes, made[0].classes)
            margins[np.ix_(inside, columns)] = _margins(made, tuple(block[inside] for block in words))
    held = np.flatnonzero(part <= last)
    return margins[held], held


def _weights(ranked: _Ranked, unsupported: Flags) -> tuple[float, float, float]:
    """What of the margins tells supported requests from others (logistic regression; both sides weigh the same)."""
    from sklearn.linear_model import LogisticRegression

    if not unsupported.any() or unsupported.all():
        return 1.0, 0.0, -1.0
    rows = np.column_stack([ranked.best, ranked.second, ranked.other])
    made = LogisticRegression(class_weight="balanced").fit(rows, ~unsupported)
    best, second, other = made.coef_[0].tolist()
    return float(best), float(second), float(other)


def _refused(understood: Floats, labels: Labels, params: GroundTruthParams) -> float:
    """The likeness below which the allowed share of rightly understood requests lies; none if none is unsupported."""
    if params.unsupported_intent not in labels or not len(understood):
        return float("-inf")
    return float(np.quantile(understood, params.refused_share))


def _all_margins(planes: linear.Linear, rows: csr_matrix) -> Floats:
    """One column for each class: of two classes LIBLINEAR keeps the second's alone."""
    made = planes.margins(rows)
    return np.column_stack([-made, made]) if len(planes.classes) == 2 else made


def _rank(margins: Floats, classes: tuple[str, ...], unsupported: str) -> _Ranked:
    names = np.array(classes, dtype=str)
    supported = np.flatnonzero(names != unsupported)
    if not len(supported):
        supported = np.arange(len(names))
    known = margins[:, supported]
    order = np.sort(known, axis=1)
    best = order[:, -1]
    second = order[:, -2] if known.shape[1] > 1 else np.full(len(best), -1.0)
    other = margins[:, names == unsupported].max(axis=1, initial=-1.0)
    return _Ranked(names[supported][known.argmax(axis=1)], best, second, other)


def _decide(
    ranked: _Ranked,
    like: Floats,
    refused: float,
    unsupported: str,
    accepting: Calibration,
    refusing: Calibration,
) -> tuple[Labels, Floats]:
    accepted = like >= refused
    labels = np.where(accepted, ranked.labels, unsupported)
    below = np.where(accepted, 0.0, refused - like)
    return labels, np.where(accepted, accepting.of(ranked.lead), refusing.of(below))


def save(intents: Intents, folder: Path) -> None:
    """Write JSON and arrays."""
    for number, planes in enumerate(intents.planes):
        linear.write(planes, folder / f"planes-{number}")
    rest = {
        "blocks": len(intents.planes), "likeness": intents.likeness,
        "unsupported": intents.unsupported, "accepting": asdict(intents.accepting),
        "refusing": asdict(intents.refusing), "refused": _finite(intents.refused), "sure": _finite(intents.sure),
    }  # fmt: skip
    (folder / "intents.json").write_text(json.dumps(rest))


def _finite(value: float) -> float | str:
    return value if np.isfinite(value) else str(value)


def load(folder: Path) -> Intents:
    """Read what `save` wrote."""
    rest = json.loads((folder / "intents.json").read_text())
    accepting, refusing = (
        Calibration(*(tuple(rest[name][axis]) for axis in ("scores", "probabilities")))
        for name in ("accepting", "refusing")
    )
    planes = tuple(linear.read(folder / f"planes-{number}") for number in range(rest["blocks"]))
    refused, sure = float(rest["refused"]), float(rest["sure"])
    best, second, other = rest["likeness"]
    return Intents(planes, rest["unsupported"], (best, second, other), refused, accepting, refusing, sure)
