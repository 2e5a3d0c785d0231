"""Agreement of people: textbook cases, scikit-learn, statsmodels, and intervals that cover what they claim."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import fleiss_kappa as statsmodels_fleiss

from ml.toolkit import agreement
from ml.toolkit.agreement import Level, Weights

# Twelve units, four observers, missing values: Krippendorff (2011), the reliability data of section C; Gwet's
# handbook works the same data.
OBSERVERS = (
    (1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0),
    (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 0),
    (0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 3),
    (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0),
)
# Fleiss (1971) as it is worked everywhere: ten patients, fourteen raters, five categories.
PATIENTS = np.array(
    [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ],
    dtype=float,
)  # fmt: skip


def counts(observers: tuple[tuple[int, ...], ...] = OBSERVERS) -> np.ndarray:
    given = [(unit, label - 1) for row in observers for unit, label in enumerate(row) if label]
    items, labels = np.array(given).T
    return agreement.counts_of(items, labels, len(observers[0]), 5)


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_of_the_textbook(level: Level, alpha: float) -> None:
    assert agreement.krippendorff_alpha(counts(), level=level) == pytest.approx(alpha, abs=5e-4)


def test_measures_of_the_handbook_with_missing_ratings() -> None:
    assert agreement.percent_agreement(counts()) == pytest.approx(0.81818, abs=1e-5)
    assert agreement.fleiss_kappa(counts()) == pytest.approx(0.76117, abs=1e-5)
    assert agreement.gwet_ac1(counts()) == pytest.approx(0.77544, abs=1e-5)


def test_fleiss_of_the_textbook_and_of_statsmodels() -> None:
    assert agreement.fleiss_kappa(PATIENTS) == pytest.approx(0.210, abs=5e-4)
    assert agreement.fleiss_kappa(PATIENTS) == pytest.approx(statsmodels_fleiss(PATIENTS), rel=1e-12)


def test_where_one_label_is_rare_kappa_breaks_down_and_ac1_does_not() -> None:
    """118 + 2 agreed... on one side only: observed agreement .944, kappa below nothing (Gwet 2008, worked by hand)."""
    first = np.repeat([0, 0, 1, 1], [118, 5, 2, 0])
    second = np.repeat([0, 1, 0, 1], [118, 5, 2, 0])
    both = agreement.counts_of(np.tile(np.arange(125), 2), np.concatenate([first, second]), 125, 2)
    chance = 2 * (243 / 250) * (7 / 250)
    assert agreement.percent_agreement(both) == pytest.approx(0.944)
    assert agreement.gwet_ac1(both) == pytest.approx((0.944 - chance) / (1 - chance))
    assert agreement.cohen_kappa(first, second, 2) == pytest.approx(-0.0234, abs=5e-5)


@pytest.mark.parametrize(
    ("weights", "theirs"), [("none", None), ("linear", "linear"), ("quadratic", "quadratic")]
)
def test_cohens_kappa_is_scikit_learns(weights: Weights, theirs: str | None) -> None:
    random = np.random.default_rng(3)
    first = random.integers(0, 5, 400)
    second = np.where(random.random(400) < 0.6, first, random.integers(0, 5, 400))
    ours = agreement.cohen_kappa(first, second, 5, weights)
    assert ours == pytest.approx(cohen_kappa_score(first, second, weights=theirs), rel=1e-12)
    within = agreement.paired_interval(first, second, 5, np.arange(400), draws=300, weights=weights)
    assert within.low < within.point == ours < within.high


def test_a_weight_is_a_repetition() -> None:
    often = np.array([2, 1, 0, 3, 1, 1, 1, 2, 1, 1, 1, 4])
    repeated = np.repeat(counts(), often, axis=0)
    for measure in (
        agreement.percent_agreement,
        agreement.fleiss_kappa,
        agreement.gwet_ac1,
        agreement.krippendorff_alpha,
    ):
        assert measure(counts(), often.astype(float)) == pytest.approx(measure(repeated))


def test_nothing_said_is_not_a_number() -> None:
    for measure in (agreement.fleiss_kappa, agreement.krippendorff_alpha):
        assert np.isnan(measure(np.array([[3.0, 0.0], [2.0, 0.0]])))
    assert np.isnan(agreement.percent_agreement(np.array([[1.0, 0.0]])))
    assert agreement.gwet_ac1(np.array([[3.0, 0.0], [2.0, 0.0]])) == 1.0


def _labelled(random: np.random.Generator, dialogues: int) -> tuple[np.ndarray, np.ndarray]:
    """Ten turns a dialogue, three raters; how well they agree differs from dialogue to dialogue."""
    clusters = np.repeat(np.arange(dialogues), 10)
    right = random.beta(2, 1, dialogues)[clusters]
    truth = random.integers(0, 2, len(clusters))
    said = np.where(random.random((3, len(clusters))) < right, truth, 1 - truth)
    items = np.tile(np.arange(len(clusters)), 3)
    return agreement.counts_of(items, said.ravel(), len(clusters), 2), clusters


def test_an_interval_over_dialogues_covers_what_is_true() -> None:
    random = np.random.default_rng(11)
    true = agreement.percent_agreement(_labelled(random, 50_000)[0])
    found = [
        agreement.interval(agreement.percent_agreement, *_labelled(random, 40), draws=150) for _ in range(100)
    ]
    assert sum(one.low <= true <= one.high for one in found) >= 85
    turns = [agreement.interval(agreement.percent_agreement, c, np.arange(len(c)), draws=150)
             for c in (_labelled(random, 40)[0] for _ in range(20))]  # fmt: skip
    assert np.mean([one.high - one.low for one in turns]) < 0.8 * np.mean(
        [one.high - one.low for one in found]
    )
