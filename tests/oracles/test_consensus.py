"""Consensus: Dawid and Skene's own example, people whose errors are known, and a bar that leaves each person out."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.toolkit import consensus
from ml.toolkit.agreement import counts_of
from ml.toolkit.consensus import NOBODY


def crowd(seed: int, n_items: int = 800, accuracies: tuple[float, ...] = (0.95, 0.9, 0.6, 0.55, 0.5)):
    """Every person labels every item of three categories; errors are even over the other two."""
    random = np.random.default_rng(seed)
    truth = random.choice(3, n_items, p=[0.6, 0.3, 0.1])
    items = np.repeat(np.arange(n_items), len(accuracies))
    annotators = np.tile(np.arange(len(accuracies)), n_items)
    right = random.random(len(items)) < np.array(accuracies)[annotators]
    labels = np.where(right, truth[items], (truth[items] + random.integers(1, 3, len(items))) % 3)
    return truth, items, annotators, labels


def test_good_people_outweigh_a_majority_of_bad_ones() -> None:
    truth, items, annotators, labels = crowd(1)
    model = consensus.dawid_skene(items, annotators, labels, 3)
    voted = consensus.majority(counts_of(items, labels, len(truth), 3), "lower")
    believed = model.posterior.argmax(axis=1)
    assert (believed == truth).mean() > (voted == truth).mean() + 0.03
    assert (believed == truth).mean() > 0.94
    assert model.prior == pytest.approx([0.6, 0.3, 0.1], abs=0.04)


def test_confusions_are_recovered() -> None:
    _, items, annotators, labels = crowd(2, 4000)
    model = consensus.dawid_skene(items, annotators, labels, 3)
    assert model.accuracy == pytest.approx([0.95, 0.9, 0.6, 0.55, 0.5], abs=0.03)
    for person, right in enumerate((0.95, 0.9, 0.6)):
        wanted = np.full((3, 3), (1 - right) / 2) + np.eye(3) * (right - (1 - right) / 2)
        assert model.confusion[person] == pytest.approx(wanted, abs=0.07)
    assert model.posterior.sum(axis=1) == pytest.approx(1.0)


def test_beliefs_are_as_often_right_as_they_say() -> None:
    truth, items, annotators, labels = crowd(3, 4000, (0.8, 0.7, 0.65))
    model = consensus.dawid_skene(items, annotators, labels, 3)
    sure = model.posterior.max(axis=1)
    assert sure.mean() == pytest.approx((model.posterior.argmax(axis=1) == truth).mean(), abs=0.03)


def test_one_who_always_says_yes_says_nothing() -> None:
    truth, items, annotators, labels = crowd(4, 1500, (0.85, 0.8, 0.75))
    truth, labels = (truth > 0).astype(int), (labels > 0).astype(int)
    with_one = [np.concatenate(pair) for pair in (
        (items, np.arange(1500)), (annotators, np.full(1500, 3)), (labels, np.ones(1500, int)))]  # fmt: skip
    model = consensus.dawid_skene(*with_one, 2)
    alone = consensus.dawid_skene(items, annotators, labels, 2)
    assert model.confusion[3, :, 1] == pytest.approx(1.0, abs=0.01)
    assert model.posterior == pytest.approx(alone.posterior, abs=0.02)


def test_em_by_hand() -> None:
    """One round of EM worked on paper: two items, two people, who agree on the first and differ on the second."""
    items, annotators, labels = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([0, 0, 0, 1])
    model = consensus.dawid_skene(items, annotators, labels, 2, smoothing=0.0, rounds=1)
    assert model.prior == pytest.approx([0.75, 0.25])
    assert model.confusion[0] == pytest.approx(np.array([[1, 0], [1, 0]]))
    assert model.confusion[1] == pytest.approx(np.array([[2 / 3, 1 / 3], [0, 1]]))
    assert model.posterior == pytest.approx(np.array([[1, 0], [0.5, 0.5]]))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_likelihood_never_falls(seed: int) -> None:
    _, items, annotators, labels = crowd(seed, 30, (0.8, 0.6, 0.5))
    steps = [
        consensus.dawid_skene(
            items, annotators, labels, 3, smoothing=0.0, rounds=n, tolerance=-1
        ).log_likelihood
        for n in range(1, 8)
    ]
    assert all(later >= earlier - 1e-9 for earlier, later in pairwise(steps))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)), min_size=1, max_size=40))
def test_majorities_are_those_counted_by_hand(given_labels: list[tuple[int, int]]) -> None:
    items, labels = np.array(given_labels).T
    counts = counts_of(items, labels, 8, 4)
    lower, higher, nobody = (consensus.majority(counts, tie) for tie in ("lower", "higher", "nobody"))
    for item in range(8):
        votes = Counter(label for one, label in given_labels if one == item)
        top = sorted(label for label, n in votes.items() if n == max(votes.values(), default=0))
        wanted = (top[0], top[-1], top[0] if len(top) == 1 else NOBODY) if top else (NOBODY,) * 3
        assert (lower[item], higher[item], nobody[item]) == wanted


def test_each_person_is_beside_the_others() -> None:
    items, labels = np.array([0, 0, 0, 1, 1, 2, 2, 2]), np.array([1, 1, 0, 1, 1, 0, 1, 2])
    bar = consensus.against_the_others(items, labels, 3, "nobody")
    assert bar.row.tolist() == [2]
    assert (bar.chosen.tolist(), bar.others.tolist()) == ([0], [1])
    lower = consensus.against_the_others(items, labels, 3, "lower")
    assert (lower.row.tolist(), lower.others.tolist()) == ([0, 1, 2, 5, 6, 7], [0, 0, 1, 1, 0, 0])


def test_the_bar_of_a_person_is_their_accuracy_and_not_flattered_by_their_own_vote() -> None:
    accuracies = (0.95, 0.95, 0.95, 0.95, 0.95, 0.7)
    _, items, annotators, labels = crowd(5, 1500, accuracies)
    voted = consensus.against_the_others(items, labels, 3, "nobody")
    model = consensus.against_the_model(items, annotators, labels, 3)
    for bar in (voted, model):
        agreed = bar.chosen == bar.others
        found = [agreed[annotators[bar.row] == person].mean() for person in range(6)]
        assert found == pytest.approx(accuracies, abs=0.03)


def test_people_of_one_dialogue_alone_cannot_be_told() -> None:
    annotators, dialogues = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 1, 2, 0, 0, 1])
    assert consensus.linkable(annotators, dialogues, 2).tolist() == [True, False, False]


def test_a_kept_library_says_the_same() -> None:
    pandas = pytest.importorskip("pandas")
    aggregation = pytest.importorskip("crowdkit.aggregation", reason="crowd-kit is not installed here")
    _, items, annotators, labels = crowd(6, 300)
    theirs = aggregation.DawidSkene(n_iter=25, tol=-1.0).fit(
        pandas.DataFrame({"task": items, "worker": annotators, "label": labels})
    )
    ours = consensus.dawid_skene(items, annotators, labels, 3, smoothing=0.0, rounds=25, tolerance=-1.0)
    assert ours.posterior == pytest.approx(theirs.probas_.sort_index()[[0, 1, 2]].to_numpy(), abs=1e-6)
