"""From several people's labels to one: majority, Dawid and Skene's model of each person's errors, and a human bar.

Labels are given as three arrays of equal length: item, annotator and category, each numbered from 0. An annotator is
one column of the model of errors; people whose work cannot be linked from one dialogue to the next have no errors that
could be estimated (see `linkable`), and a majority is all that there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ml.toolkit.agreement import counts_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Tie = Literal["lower", "higher", "nobody"]
NOBODY = -1
"""The category of an item without a label, or whose tie is left open."""


def majority(counts: Floats, tie: Tie) -> Ints:
    """The most frequent category of every item (counts: items x categories).

    `tie` says which of several most frequent ones: the lowest, the highest, or none of them (`NOBODY`).
    """
    most = counts.max(axis=1, keepdims=True)
    first, tied = counts == most, (counts == most).sum(axis=1) > 1
    last = counts.shape[1] - 1 - first[:, ::-1].argmax(axis=1)
    chosen = last if tie == "higher" else first.argmax(axis=1)
    open_ = (most[:, 0] == 0) | (tied & (tie == "nobody"))
    return np.where(open_, NOBODY, chosen).astype(np.int64)


@dataclass(frozen=True, slots=True)
class DawidSkene:
    """What the labels say of the items and of the people.

    posterior: items x categories, rows sum to 1. confusion: annotators x true x chosen category, rows sum to 1.
    prior: share of each category. log_likelihood: of the labels, with the smoothing's pseudo-counts left out.
    """

    posterior: Floats
    confusion: Floats
    prior: Floats
    log_likelihood: float
    rounds: int

    @property
    def accuracy(self) -> Floats:
        """How often each annotator is right, over the categories as frequent as they are."""
        right: Floats = np.einsum("akk,k->a", self.confusion, self.prior)
        return right


def dawid_skene(
    items: Ints,
    annotators: Ints,
    labels: Ints,
    n_categories: int,
    *,
    smoothing: float = 0.5,
    rounds: int = 200,
    tolerance: float = 1e-7,
) -> DawidSkene:
    """Maximum-likelihood estimation of observer error rates by EM (Dawid and Skene, Applied Statistics 28(1), 1979).

    It starts from the shares of the votes, as they did. `smoothing` is shared out over a row of a confusion in
    proportion to how often each category is chosen at all, so that somebody with few labels is like everybody (0:
    theirs exactly). Stops when no posterior moves by more than `tolerance`. Deterministic. Needs one label or more.
    """
    counts = counts_of(items, labels, int(items.max()) + 1, n_categories)
    posterior = _normalised(counts)
    votes = counts.sum(axis=0) / counts.sum()
    for done in range(1, rounds + 1):  # noqa: B007
        prior, confusion = _maximise(posterior, items, annotators, labels, smoothing * votes)
        before, (posterior, likelihood) = (
            posterior,
            _expect(prior, confusion, items, annotators, labels, len(counts)),
        )
        if np.abs(posterior - before).max() <= tolerance:
            break
    return DawidSkene(posterior, confusion, prior, likelihood, done)


def _maximise(
    posterior: Floats, items: Ints, annotators: Ints, labels: Ints, pseudo: Floats
) -> tuple[Floats, Floats]:
    """The M step: shares of the categories, and each annotator's confusion, weighted by what is believed."""
    n, k = int(annotators.max()) + 1, posterior.shape[1]
    cell = annotators * k + labels
    chosen = np.stack(
        [np.bincount(cell, posterior[items, true], n * k).reshape(n, k) for true in range(k)], axis=1
    )
    return posterior.mean(axis=0), _normalised(chosen + pseudo)


def _expect(
    prior: Floats, confusion: Floats, items: Ints, annotators: Ints, labels: Ints, n_items: int
) -> tuple[Floats, float]:
    """The E step: what is believed of every item, and the log-likelihood of all labels."""
    with np.errstate(divide="ignore"):
        log_prior, log_confusion = np.log(prior), np.log(confusion)
    said = log_confusion[annotators, :, labels]
    log = (
        np.stack([np.bincount(items, said[:, true], n_items) for true in range(len(prior))], axis=1)
        + log_prior
    )
    top = log.max(axis=1, keepdims=True)
    scaled = np.exp(log - top)
    return _normalised(scaled), float((np.log(scaled.sum(axis=1)) + top[:, 0]).sum())


def _normalised(values: Floats) -> Floats:
    """Rows (of the last axis) that sum to 1; a row of zeros becomes even."""
    total = values.sum(axis=-1, keepdims=True)
    even = np.full_like(values, 1 / values.shape[-1])
    shares: Floats = np.divide(values, total, out=even, where=total > 0)
    return shares


def linkable(annotators: Ints, groups: Ints, least: int) -> Flags:
    """Which annotators (by number) worked on `least` groups (dialogues) or more, so that their errors can be told.

    `groups` is the group of every label, numbered from 0.
    """
    pairs = np.unique(np.stack([annotators, groups]), axis=1)
    return np.bincount(pairs[0], minlength=int(annotators.max()) + 1) >= least


@dataclass(frozen=True, slots=True)
class HumanBar:
    """Labels of single people beside the consensus of all others on the same items; `row` is the label's place."""

    row: Ints
    chosen: Ints
    others: Ints


def against_the_others(items: Ints, labels: Ints, n_categories: int, tie: Tie) -> HumanBar:
    """Leave one annotator out: each label beside the majority of the other labels of its item.

    Left out are labels whose others are fewer than two, or tied where `tie` is "nobody". Any measure of `chosen`
    against `others` is then what a single person reaches; it is what a model must beat on the same consensus.
    """
    counts = counts_of(items, labels, int(items.max()) + 1 if len(items) else 0, n_categories)
    rest = counts[items]
    rest[np.arange(len(items)), labels] -= 1
    others = majority(rest, tie)
    row = np.flatnonzero((rest.sum(axis=1) >= 2) & (others != NOBODY))
    return HumanBar(row, labels[row], others[row])


def against_the_model(
    items: Ints, annotators: Ints, labels: Ints, n_categories: int, *, smoothing: float = 0.5
) -> HumanBar:
    """Leave one annotator out: each label beside what Dawid and Skene's model believes without that person.

    The model is fitted again without each annotator in turn, so it is for dozens of people, not for thousands. Left
    out are labels of items that nobody else labelled.
    """
    parts = [
        _without(one, items, annotators, labels, n_categories, smoothing) for one in np.unique(annotators)
    ]
    rows, others = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(rows)
    return HumanBar(rows[order], labels[rows[order]], others[order])


def _without(
    one: int, items: Ints, annotators: Ints, labels: Ints, n_categories: int, smoothing: float
) -> tuple[Ints, Ints]:
    rest = annotators != one
    own = np.flatnonzero(~rest & np.isin(items, items[rest]))
    if not len(own):
        return own, own
    known, place = np.unique(items[rest], return_inverse=True)
    _, people = np.unique(annotators[rest], return_inverse=True)
    model = dawid_skene(place, people, labels[rest], n_categories, smoothing=smoothing)
    believed = model.posterior[np.searchsorted(known, items[own])]
    return own, believed.argmax(axis=1).astype(np.int64)
