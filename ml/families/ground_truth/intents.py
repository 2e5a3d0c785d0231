"""What the customer wanted: words and letters, one plane for each intent, and a request of none of them refused.

Where a sentence encoder is set, requests near in meaning vote too, and the margins of both are added up: words and
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
from ml.families.ground_truth.votes import Shares
from ml.toolkit import kernels, linear
from ml.toolkit.calibration import Calibration, among_beliefs, learn_calibration
from ml.toolkit.kernels import Sums

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Labels = NDArray[np.str_]
Singles = NDArray[np.float32]
Said = tuple["csr_matrix", Singles]
"""What was said as words and letters with what was said around it, and its meaning (of no components: no encoder)."""
Way = tuple[float, float]

ENOUGH = 12_000
"""Held-out cases that confidence is learned from, if there are so many: planes for many intents take long."""
_PENALTY = 0.5
"""LIBLINEAR's C of the planes for words."""
_TRIED = ((0.1, 2.0), (1.0, 1.0), (10.0, 1.0))
"""Penalties of the voter by meaning, and how much it counts against words; or it does not vote."""


@dataclass(frozen=True, slots=True)
class Voters:
    """Planes for words, one for each intent; what requests near in meaning were (None: no vote), and its weight."""

    words: linear.Linear
    meaning: kernels.Kernel | None
    weight: float

    def margins(self, said: Said) -> Floats:
        """The sum of both; one column for each class."""
        made = _all_margins(self.words, said[0])
        return made + self.weight * self.meaning.margins(said[1]) if self.meaning else made


@dataclass(frozen=True, slots=True)
class Intents:
    """What tells intents apart; a request whose likeness to its best intent is below `refused` is `unsupported`.

    `likeness` are the weights of the margins that it is made of.
    """

    voters: Voters
    unsupported: str
    likeness: tuple[float, float, float]
    refused: float
    accepting: Calibration
    refusing: Calibration
    sure: float = 1.0

    def answer(self, said: Said) -> tuple[Labels, Floats]:
        """Labels and calibrated confidences; shape (m,) each."""
        ranked = _rank(self.voters.margins(said), self.voters.words.classes, self.unsupported)
        like = ranked.like(self.likeness)
        return _decide(ranked, like, self.refused, self.unsupported, self.accepting, self.refusing)


@dataclass(frozen=True, slots=True)
class LearnedIntents:
    """Intents; the answers to the cases at places `held` by planes that had not seen their dialogues, how sure these
    were of them, and how far they were right."""

    intents: Intents
    held: Places
    labels: Labels
    unseen: Floats
    right: Floats


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


def said_of(reader: Reader, read: Read) -> Said:
    """What the intents of the exchanges are told from."""
    from scipy.sparse import hstack

    before = read.exchanges.step(-1)
    around = [at(read.answered, before), at(read.said, before), read.answered]
    blocks = [reader.letters.place(read.exchanges.texts("text")), *(0.5 * block for block in around)]
    return hstack(blocks, format="csr", dtype=np.float32), read.meaning


def learn_intents(said: Said, given: Shares, dialogue: Places, params: GroundTruthParams) -> LearnedIntents:
    """Learn from cases that people gave labels; confidence from parts of the dialogues that were held out.

    Of the ways in which meaning may vote, the one is taken that is right most often about those, none among them.
    """
    names, unsupported = np.array(given.labels, dtype=str), params.unsupported_intent
    labels = names[given.of.argmax(axis=1)]
    classes = tuple(np.unique(labels).tolist())
    part = parts(dialogue, params.folds, params.seed)
    held = _held(part, params)
    sums = _sums(said[1], labels, part, held, params)
    how, margins = _best_way(said, labels, part, held, sums, params)
    ranked = _rank(margins, classes, unsupported)
    weights = _weights(ranked, labels[held] == unsupported)
    like = ranked.like(weights)
    refused = _refused(like[ranked.labels == labels[held]], labels[held], params)
    accepted = like >= refused
    answers = np.where(accepted, ranked.labels, unsupported)
    belief, prior = _believed(given, held, answers)
    right = np.zeros(len(held))
    accepting, right[accepted] = _calibrated(ranked.lead[accepted], belief[accepted], prior, accepted)
    refusing, right[~accepted] = _calibrated(refused - like[~accepted], belief[~accepted], prior, ~accepted)
    planes = linear.learn_classes(said[0], labels, params.seed, _PENALTY)
    voters = Voters(planes, sums.kernel(how[0]), how[1]) if sums and how else Voters(planes, None, 0.0)
    intents = Intents(voters, unsupported, weights, refused, accepting, refusing)
    return LearnedIntents(
        intents, held, *_decide(ranked, like, refused, unsupported, accepting, refusing), right
    )


def _believed(given: Shares, held: Places, answers: Labels) -> tuple[Floats, Floats | None]:
    """How far votes speak for each answer, and how frequent it is before any vote (None: votes are no beliefs)."""
    places = {name: place for place, name in enumerate(given.labels)}
    place = np.array([places.get(name, -1) for name in answers.tolist()], dtype=np.int64)
    belief = np.where(place >= 0, given.of[held, place], 0.0)
    return belief, None if given.prior is None else np.where(place >= 0, given.prior[place], 0.5)


def _calibrated(
    scores: Floats, belief: Floats, prior: Floats | None, some: Flags
) -> tuple[Calibration, Floats]:
    if prior is None:
        return learn_calibration(scores, belief), belief
    return among_beliefs(scores, belief, prior[some])


def _held(part: Places, params: GroundTruthParams) -> Places:
    """Places of the cases in as many parts as are enough."""
    sizes = np.cumsum(np.bincount(part, minlength=params.folds))
    return np.flatnonzero(part <= min(int(np.searchsorted(sizes, ENOUGH)), params.folds - 1))


def _sums(
    meaning: Singles, labels: Labels, part: Places, held: Places, params: GroundTruthParams
) -> Sums | None:
    """What voters by meaning are learned from; the parts of which no case is held are one."""
    if not meaning.shape[1]:
        return None
    return kernels.learn_sums(meaning, labels, np.minimum(part, part[held].max() + 1), params.seed)


def _best_way(
    said: Said, labels: Labels, part: Places, held: Places, sums: Sums | None, params: GroundTruthParams
) -> tuple[Way | None, Floats]:
    """How meaning votes, and the margins of the held cases by voters that had not seen their dialogues."""
    classes = tuple(np.unique(labels).tolist())
    of_words = _words_unseen(said[0], labels, part, held, params)
    ways: dict[Way | None, Floats] = {}
    if sums is not None:
        voted = _meaning_unseen(sums, said[1], part, held)
        ways |= {way: of_words + way[1] * some for way, some in zip(_TRIED, voted, strict=True)}
    ways[None] = of_words  # the last: where all are equally right, meaning votes
    return max(ways.items(), key=lambda way: _rightly(way[1], classes, labels[held]))


def _rightly(margins: Floats, classes: tuple[str, ...], labels: Labels) -> float:
    return float(np.mean(np.array(classes)[margins.argmax(axis=1)] == labels)) if len(labels) else 0.0


def _words_unseen(
    words: csr_matrix, labels: Labels, part: Places, held: Places, params: GroundTruthParams
) -> Floats:
    """Margins of the held cases by planes learned without their part; -1 of a class that these did not know."""
    classes = np.unique(labels)
    margins = np.full((len(part), len(classes)), -1.0)
    for number in np.unique(part[held]):
        inside, outside = np.flatnonzero(part == number), np.flatnonzero(part != number)
        if len(outside):
            made = linear.learn_classes(words[outside], labels[outside], params.seed, _PENALTY)
            known = np.searchsorted(classes, made.classes)
            margins[np.ix_(inside, known)] = _all_margins(made, words[inside])
    return margins[held]


def _meaning_unseen(sums: Sums, meaning: Singles, part: Places, held: Places) -> Floats:
    """The same of the voter by meaning, for each penalty that is tried."""
    margins = np.full((len(_TRIED), len(part), len(sums.classes)), -1.0)
    for number in np.unique(part[held]):
        inside = np.flatnonzero(part == number)
        if len(inside) < len(part):
            made = kernels.together([sums.kernel(penalty, number) for penalty, _ in _TRIED])
            voted = made.margins(meaning[inside]).reshape(len(inside), len(_TRIED), -1)
            margins[:, inside] = voted.swapaxes(0, 1)
    return margins[:, held]


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
    linear.write(intents.voters.words, folder / "words")
    if intents.voters.meaning:
        kernels.write(intents.voters.meaning, folder / "meaning")
    rest = {
        "meaning": intents.voters.meaning is not None, "weight": intents.voters.weight, "likeness": intents.likeness,
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
    meaning = kernels.read(folder / "meaning") if rest["meaning"] else None
    voters = Voters(linear.read(folder / "words"), meaning, rest["weight"])
    refused, sure = float(rest["refused"]), float(rest["sure"])
    best, second, other = rest["likeness"]
    return Intents(voters, rest["unsupported"], (best, second, other), refused, accepting, refusing, sure)
