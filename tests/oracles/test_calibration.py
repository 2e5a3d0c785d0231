"""Calibration error by hand, thresholds by trying them all, and maps that are monotone and right on average."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.toolkit.calibration import (
    coverage_at,
    expected_calibration_error,
    learn_calibration,
    threshold_at,
)

CASES = st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=1, max_size=40)


def test_calibration_error_by_hand() -> None:
    probability = np.array([0.05, 0.15, 0.12, 0.95, 1.0])
    happened = np.array([0.0, 1.0, 0.0, 1.0, 1.0])
    assert expected_calibration_error(probability, happened) == pytest.approx((0.05 + 0.73 + 0.05) / 5)


@given(CASES, st.floats(0.05, 1.0))
def test_thresholds_are_the_lowest_that_hold(cases: list[tuple[int, bool]], precision: float) -> None:
    confidence = np.array([score / 8 for score, _ in cases])
    right = np.array([float(flag) for _, flag in cases])
    good = [level for level in np.unique(confidence) if right[confidence >= level].mean() >= precision]
    expected = min(good) if good else float("inf")
    assert threshold_at(precision, confidence, right) == expected
    assert coverage_at(precision, confidence, right) == pytest.approx(np.mean(confidence >= expected))


def test_maps_find_the_true_probability() -> None:
    random = np.random.default_rng(7)
    scores = random.uniform(-3, 3, 20_000)
    true = 1 / (1 + np.exp(-2 * scores))
    made = learn_calibration(scores, (random.random(20_000) < true).astype(float))
    fresh = random.uniform(-3, 3, 5_000)
    assert np.abs(made.of(fresh) - 1 / (1 + np.exp(-2 * fresh))).mean() < 0.02
    assert (np.diff(made.of(np.sort(fresh))) >= 0).all()
    assert (np.diff(made.of(np.linspace(-1.5, 1.5, 500))) > 0).all()  # no ties: order is kept
    assert 0 < made.of(np.array([-9.0]))[0] < made.of(np.array([9.0]))[0] < 1
