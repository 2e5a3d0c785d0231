"""What the customer wanted: words and letters, one plane for each intent, and a request of none of them refused."""

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


@dataclass(frozen=True, slots=True)
class Intents:
    """What tells intents apart; a request whose likeness to its best intent is below `refused` is `unsupported`."""

    planes: linear.Linear
    unsupported: str
    refused: float
    accepting: Calibration
    refusing: Calibration
    sure: float = 1.0

    def answer(self, words: csr_matrix) -> tuple[Labels, Floats]:
        """Labels and calibrated confidences; shape (m,) each."""
        ranked = _rank(self.planes.margins(words), self.planes.classes, self.unsupported)
        return _decide(ranked, self.refused, self.unsupported, self.accepting, self.refusing)


@dataclass(frozen=True, slots=True)
class LearnedIntents:
    """Intents, and the answers to the labelled cases by planes that had not seen their dialogues."""

    intents: Intents
    labels: Labels
    unseen: Floats


@dataclass(frozen=True, slots=True)
class _Ranked:
    """The best supported intent of each case, how far it is ahead, and how like it (against being unsupported)."""

    labels: Labels
    lead: Floats
    likeness: Floats


def words_of(reader: Reader, read: Read) -> csr_matrix:
    """What was said as letters and words, what was said around it, and its vector if a sentence encoder is set."""
    from scipy.sparse import csr_matrix, hstack

    before = read.exchanges.step(-1)
    around = [at(read.answered, before), at(read.said, before), read.answered]
    blocks = [reader.letters.place(read.exchanges.texts("text")), *(0.5 * block for block in around)]
    if reader.folder:
        blocks.append(csr_matrix(read.said_vectors.astype(np.float32)))
    return hstack(blocks, format="csr", dtype=np.float32)


def learn_intents(
    words: csr_matrix, labels: Labels, dialogue: Places, params: GroundTruthParams
) -> LearnedIntents:
    """Learn from cases with labels; confidence from parts of the dialogues that were held out."""
    part = parts(dialogue, params.folds, params.seed)
    classes = tuple(np.unique(labels).tolist())
    margins = np.full((len(labels), len(classes)), -1.0)
    for number in range(params.folds):
        inside = part == number
        if inside.any() and not inside.all():
            made = linear.learn_classes(words[~inside], labels[~inside], params.seed, 0.5)
            margins[np.ix_(inside, np.searchsorted(classes, made.classes))] = _all_margins(
                made.margins(words[inside])
            )
    ranked = _rank_columns(margins, classes, params.unsupported_intent)
    refused = _refused(ranked, labels, params)
    accepted = ranked.likeness >= refused
    right = np.where(accepted, ranked.labels, params.unsupported_intent) == labels
    right = right.astype(np.float64)
    accepting = learn_calibration(ranked.lead[accepted], right[accepted])
    refusing = learn_calibration(refused - ranked.likeness[~accepted], right[~accepted])
    planes = linear.learn_classes(words, labels, params.seed, 0.5)
    intents = Intents(planes, params.unsupported_intent, refused, accepting, refusing)
    decided = _decide(ranked, refused, params.unsupported_intent, accepting, refusing)
    return LearnedIntents(intents, *decided)


def _refused(ranked: _Ranked, labels: Labels, params: GroundTruthParams) -> float:
    """The likeness below which the allowed share of rightly understood requests lies; none if none is unsupported."""
    if params.unsupported_intent not in labels:
        return float("-inf")
    return float(np.quantile(ranked.likeness[ranked.labels == labels], params.refused_share))


def _rank(margins: Floats, classes: tuple[str, ...], unsupported: str) -> _Ranked:
    return _rank_columns(_all_margins(margins), classes, unsupported)


def _all_margins(margins: Floats) -> Floats:
    """One column for each class: of two classes LIBLINEAR keeps the second's alone."""
    return np.column_stack([-margins, margins]) if margins.shape[1] == 1 else margins


def _rank_columns(margins: Floats, classes: tuple[str, ...], unsupported: str) -> _Ranked:
    names = np.array(classes, dtype=str)
    margins = margins[:, : len(names)]
    supported = np.flatnonzero(names != unsupported)
    if not len(supported):
        supported = np.arange(len(names))
    known = margins[:, supported]
    order = np.sort(known, axis=1)
    best = order[:, -1]
    second = order[:, -2] if known.shape[1] > 1 else np.full(len(best), -1.0)
    other = margins[:, names == unsupported].max(axis=1, initial=-1.0)
    return _Ranked(names[supported][known.argmax(axis=1)], best + (best - second), best - other)


def _decide(
    ranked: _Ranked, refused: float, unsupported: str, accepting: Calibration, refusing: Calibration
) -> tuple[Labels, Floats]:
    accepted = ranked.likeness >= refused
    labels = np.where(accepted, ranked.labels, unsupported)
    below = np.where(accepted, 0.0, refused - ranked.likeness)
    return labels, np.where(accepted, accepting.of(ranked.lead), refusing.of(below))


def save(intents: Intents, folder: Path) -> None:
    """Write JSON and arrays."""
    linear.write(intents.planes, folder / "planes")
    rest = {
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
    planes, refused, sure = linear.read(folder / "planes"), float(rest["refused"]), float(rest["sure"])
    return Intents(planes, rest["unsupported"], refused, accepting, refusing, sure)
