"""Intents: words and meaning vote together, what belongs to no intent is refused, and a saved reading reads alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from ml.families.ground_truth import intents
from ml.families.ground_truth.params import GroundTruthParams
from ml.families.ground_truth.votes import Shares
from ml.toolkit.calibration import expected_calibration_error

PARAMS = GroundTruthParams(folds=3, nthread=1)
NAMES = ("play", "buy", "weather")


def cases(
    count: int = 360, seed: int = 5, names: tuple[str, ...] = (*NAMES, "oos")
) -> tuple[intents.Said, np.ndarray]:
    """Noisy words and meanings that err on different cases; unsupported requests are like none of the intents."""
    random = np.random.default_rng(seed)
    labels = random.choice(names, count)
    blocks = []
    for _ in range(2):
        rows = random.normal(0, 0.9, (count, 6))
        for place, name in enumerate(NAMES):
            rows[labels == name, place] += 2.0
        blocks.append(rows.astype(np.float32))
    words, meaning = blocks
    return (csr_matrix(words), meaning / np.linalg.norm(meaning, axis=1, keepdims=True)), labels


def without_meaning(said: intents.Said) -> intents.Said:
    return said[0], said[1][:, :0]


def without_words(said: intents.Said) -> intents.Said:
    return said[0] * 0, said[1]


def learned(said: intents.Said, labels: np.ndarray) -> intents.LearnedIntents:
    names = np.unique(labels)
    given = Shares(tuple(names.tolist()), (labels[:, None] == names[None, :]).astype(float))
    return intents.learn_intents(said, given, np.arange(len(labels)) // 2, PARAMS)


def test_words_and_meaning_are_better_than_either() -> None:
    given, labels = cases()
    asked, true = cases(seed=6)
    right = [
        np.mean(learned(some(given), labels).intents.answer(some(asked))[0] == true)
        for some in (without_meaning, without_words, lambda said: said)
    ]
    assert right[2] > max(right[:2]) + 0.02


def test_what_is_like_no_intent_is_refused_and_the_promised_share_of_others_is_not() -> None:
    given, labels = cases(1200)
    said = learned(given, labels)
    supported = labels != "oos"
    assert np.mean(said.labels[~supported] == "oos") > 0.2
    understood = np.mean(said.labels[supported] == "oos")
    assert understood < 3 * PARAMS.refused_share + 0.02


def test_a_saved_reading_answers_the_same(tmp_path: Path) -> None:
    given, labels = cases()
    made = learned(given, labels).intents
    intents.save(made, tmp_path)
    for one, other in zip(made.answer(given), intents.load(tmp_path).answer(given), strict=True):
        np.testing.assert_array_equal(one, other)


def test_without_an_encoder_words_alone_are_kept(tmp_path: Path) -> None:
    given, labels = cases()
    intents.save(learned(without_meaning(given), labels).intents, tmp_path)
    assert intents.load(tmp_path).voters.meaning is None


def test_one_intent_or_two_are_enough() -> None:
    for names in (("play",), ("play", "buy"), ("play", "oos"), ("oos",)):
        given, labels = cases(60, names=names)
        said, sure = learned(given, labels).intents.answer(given)
        assert set(said) <= set(names)
        assert ((sure >= 0) & (sure <= 1)).all()


def test_of_many_requests_a_part_is_enough_to_learn_confidence_from(monkeypatch: pytest.MonkeyPatch) -> None:
    given, labels = cases(1200)
    monkeypatch.setattr(intents, "ENOUGH", 500)
    some = learned(given, labels)
    assert 500 <= len(some.held) < 1000
    right = some.labels == labels[some.held]
    assert np.mean(some.unseen) == pytest.approx(np.mean(right), abs=0.03)


def test_confidence_is_how_often_answers_are_right_though_annotators_err() -> None:
    """Each label is one annotator's, who errs in a sixth of the cases: that is not the model's error."""
    (words, meaning), true = cases(3000, names=NAMES)
    random, names = np.random.default_rng(9), np.array(sorted(NAMES))
    wrong = random.random(len(true)) < 1 / 6
    noted = np.where(wrong, random.choice(names, len(true)), true)
    right, other = 1 - 1 / 6 * 2 / 3, 1 / 6 / 3
    belief = np.where(noted[:, None] == names[None, :], right, other)
    given = Shares(tuple(names.tolist()), belief, np.full(3, 1 / 3))
    plain = Shares(given.labels, (noted[:, None] == names[None, :]).astype(float))
    dialogue = np.arange(len(true)) // 2
    asked, truth = cases(3000, seed=6, names=NAMES)
    away = []
    for shares in (given, plain):
        said, sure = intents.learn_intents((words, meaning), shares, dialogue, PARAMS).intents.answer(asked)
        away.append(expected_calibration_error(sure, (said == truth).astype(float)))
    assert away[0] < 0.05 and away[1] > 2 * away[0]
