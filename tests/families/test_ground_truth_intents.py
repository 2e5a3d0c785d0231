"""Intents: words and vectors vote together, what belongs to no intent is refused, and a saved reading reads alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from ml.families.ground_truth import intents
from ml.families.ground_truth.params import GroundTruthParams

PARAMS = GroundTruthParams(folds=3, nthread=1)
NAMES = ("play", "buy", "weather")


def cases(
    count: int = 360, seed: int = 5, names: tuple[str, ...] = (*NAMES, "oos")
) -> tuple[intents.Blocks, np.ndarray]:
    """Two noisy blocks that err on different cases; unsupported requests are like none of the intents."""
    random = np.random.default_rng(seed)
    labels = random.choice(names, count)
    blocks = []
    for _ in range(2):
        rows = random.normal(0, 0.9, (count, 6))
        for place, name in enumerate(NAMES):
            rows[labels == name, place] += 2.0
        blocks.append(csr_matrix(rows.astype(np.float32)))
    return tuple(blocks), labels


def learned(blocks: intents.Blocks, labels: np.ndarray) -> intents.LearnedIntents:
    return intents.learn_intents(blocks, labels, np.arange(len(labels)) // 2, PARAMS)


def test_two_readings_of_a_request_are_better_than_one() -> None:
    blocks, labels = cases()
    asked, true = cases(seed=6)
    right = [
        np.mean(learned(some, labels).intents.answer(others)[0] == true)
        for some, others in ((blocks[:1], asked[:1]), (blocks[1:], asked[1:]), (blocks, asked))
    ]
    assert right[2] > max(right[:2]) + 0.02


def test_what_is_like_no_intent_is_refused_and_the_promised_share_of_others_is_not() -> None:
    blocks, labels = cases(1200)
    said = learned(blocks, labels)
    supported = labels != "oos"
    assert np.mean(said.labels[~supported] == "oos") > 0.2
    understood = np.mean(said.labels[supported] == "oos")
    assert understood < 3 * PARAMS.refused_share + 0.02


def test_a_saved_reading_answers_the_same(tmp_path: Path) -> None:
    blocks, labels = cases()
    made = learned(blocks, labels).intents
    intents.save(made, tmp_path)
    for one, other in zip(made.answer(blocks), intents.load(tmp_path).answer(blocks), strict=True):
        np.testing.assert_array_equal(one, other)


def test_one_intent_or_two_are_enough() -> None:
    for names in (("play",), ("play", "buy"), ("play", "oos"), ("oos",)):
        blocks, labels = cases(60, names=names)
        said, sure = learned(blocks, labels).intents.answer(blocks)
        assert set(said) <= set(names)
        assert ((sure >= 0) & (sure <= 1)).all()


def test_of_many_requests_a_part_is_enough_to_learn_confidence_from(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks, labels = cases(1200)
    monkeypatch.setattr(intents, "ENOUGH", 500)
    some = learned(blocks, labels)
    assert 500 <= len(some.held) < 1000
    right = some.labels == labels[some.held]
    assert np.mean(some.unseen) == pytest.approx(np.mean(right), abs=0.03)
