"""What a sceptic would use: the majority's label, and the words of the turn alone, read by a line or by trees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from datetime import date
from typing import TYPE_CHECKING

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.families.ground_truth.columns import KEY
from ml.families.ground_truth.exchanges import Exchanges, exchanges_of, read_exchanges
from ml.families.ground_truth.grading import NOTHING_SAID, grades
from ml.families.ground_truth.model import KIND_OF, YES_OF
from ml.families.ground_truth.params import GroundTruthParams
from ml.families.ground_truth.scoring import SCHEMA, unannotated
from ml.families.ground_truth.votes import agreed, votes_of
from ml.toolkit.encoders import SentenceEncoder

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats = NDArray[np.float64]
Classes = NDArray[np.str_]
Guess = Callable[["csr_matrix", Classes, "csr_matrix"], tuple[Classes, Floats]]
"""Learn from rows and labels; classes, and probabilities (rows x classes) of other rows."""


def baselines(matrix: ibis.Table, as_of: date, params: GroundTruthParams) -> Mapping[str, pa.Table]:
    """Predictions by the majority, by TF-IDF with logistic regression (the judge), and by TF-IDF with XGBoost.

    If they are asked for (`encoder_baselines`), by the vectors of the sentence encoder with either of the two, too.
    """
    every = read_exchanges(matrix)
    asked = unannotated(every)
    guesses: dict[str, Guess] = {
        "majority": _majority,
        "last_turn": lambda rows, labels, asked: _logistic(rows, labels, asked, params),
        "last_turn_xgboost": lambda rows, labels, asked: _boosted(rows, labels, asked, params),
    }
    words = _Words(every, asked, params)
    made = {name: _predictions(words, guess) for name, guess in guesses.items()}
    if params.encoder and params.encoder_baselines:
        encoded = words.encoded(params)
        made["encoder"] = _predictions(encoded, guesses["last_turn"])
        made["encoder_xgboost"] = _predictions(encoded, guesses["last_turn_xgboost"])
    return made


class _Words:
    """TF-IDF of the turns that people annotated and of those that are asked about; learned from the former."""

    def __init__(self, every: Exchanges, asked: Exchanges, params: GroundTruthParams) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        kinds = set(KIND_OF.values()) | {"intent"}
        self.asked = asked
        self.labels = {kind: agreed(votes_of(every.rows, kind), every.dialogue, kind) for kind in kinds}
        known = np.any([self.labels[kind].known for kind in kinds], axis=0)
        self.kept = np.flatnonzero(known)[-params.max_exchanges :]
        self.learned = learned = exchanges_of(every.rows.take(pa.array(self.kept)))
        try:
            made = TfidfVectorizer(min_df=2, max_features=20_000, sublinear_tf=True).fit(
                learned.texts("text")
            )
        except ValueError:  # no word occurs twice
            made = TfidfVectorizer(token_pattern="(?s).").fit(["x"])
        self.rows, self.asked_rows = (
            made.transform(learned.texts("text")),
            made.transform(asked.texts("text")),
        )

    def encoded(self, params: GroundTruthParams) -> _Words:
        """The same turns as vectors of the sentence encoder, ten long so that the usual penalty is a mild one."""
        from scipy.sparse import csr_matrix

        encoder, other = SentenceEncoder(params.encoder, params.nthread), copy(self)
        other.rows, other.asked_rows = (csr_matrix(10 * encoder.place(some.texts("text")))
                                        for some in (self.learned, self.asked))  # fmt: skip
        return other

    def guess(self, kind: str, by: Guess) -> tuple[Classes, Floats]:
        """Classes and probabilities of the turns asked about; no class where nobody annotated the kind."""
        known = self.labels[kind].known[self.kept]
        if not known.any():
            return np.zeros(0, dtype=str), np.zeros((len(self.asked), 0))
        return by(self.rows[known], self.labels[kind].labels[self.kept][known], self.asked_rows)


def _majority(_: csr_matrix, labels: Classes, asked: csr_matrix) -> tuple[Classes, Floats]:
    classes, counts = np.unique(labels, return_counts=True)
    return classes, np.tile(counts / counts.sum(), (asked.shape[0], 1))


def _logistic(
    rows: csr_matrix, labels: Classes, asked: csr_matrix, params: GroundTruthParams
) -> tuple[Classes, Floats]:
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(labels)) == 1:
        return _majority(rows, labels, asked)
    made = LogisticRegression(C=1.0, max_iter=200, tol=1e-3, random_state=params.seed).fit(rows, labels)
    return made.classes_, made.predict_proba(asked)


def _boosted(
    rows: csr_matrix, labels: Classes, asked: csr_matrix, params: GroundTruthParams
) -> tuple[Classes, Floats]:
    import xgboost as xgb

    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) == 1:
        return _majority(rows, labels, asked)
    rounds = max(1, min(params.rounds, 3000 // len(classes), 100))
    given = {
        "objective": "multi:softprob", "num_class": len(classes), "tree_method": "hist", "max_depth": 4,
        "eta": 0.2, "seed": params.seed, "nthread": params.nthread, "verbosity": 0,
    }  # fmt: skip
    made = xgb.train(given, xgb.DMatrix(rows, label=codes), rounds)
    return classes, np.asarray(made.predict(xgb.DMatrix(asked)), dtype=np.float64)


def _predictions(words: _Words, by: Guess) -> pa.Table:
    """Likeliest labels, with the probabilities as they are; never sure, as nothing was calibrated."""
    count = len(words.asked)
    first = words.asked.step(-1) < 0
    guessed = {kind: words.guess(kind, by) for kind in words.labels}
    probability = {name: _of(*guessed[KIND_OF[name]], YES_OF[name]) for name in KIND_OF}
    boundary, failure = (probability[name] for name in ("boundary", "failure"))
    defect, satisfied = (probability[name] for name in ("dissatisfied", "satisfied"))
    classes, chances = guessed["intent"]
    grade = grades(defect, satisfied)
    columns = {
        **{name: words.asked.rows.column(name) for name in KEY},
        "boundary": boundary, "begins": first | (boundary >= 0.5),
        "success": np.where(failure == NOTHING_SAID, NOTHING_SAID, 1 - failure), "succeeded": failure < 0.5,
        "defect": defect, "defective": grade == "dissatisfied", "satisfied": satisfied, "grade": grade,
        "intent": classes[chances.argmax(axis=1)] if len(classes) else np.full(count, "", dtype=str),
        "intent_confidence": chances.max(axis=1, initial=0.0),
        **{name: np.zeros(count, dtype=bool) for name in SCHEMA.names if name.endswith("_sure")},
    }  # fmt: skip
    return pa.table({name: columns[name] for name in SCHEMA.names}).cast(SCHEMA)


def _of(classes: Classes, chances: Floats, label: str) -> Floats:
    """The probability of one label; NOTHING_SAID where the kind was not annotated."""
    if not len(classes):
        return np.full(len(chances), NOTHING_SAID)
    return np.asarray(chances[:, classes == label].sum(axis=1), dtype=np.float64)
