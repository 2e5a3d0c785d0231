"""Pk, WindowDiff and boundary F1 against loops that follow the papers' words, and against a case worked on paper."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ml.toolkit.segmentation import boundary_f1, pk, window_diff, window_size

Flags = NDArray[np.bool_]
CUTS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=30)


def flags(text: str) -> Flags:
    return np.array([letter == "|" for letter in text])


def by_loops(true: list[Flags], made: list[Flags], *, counts: bool) -> float:
    size = window_size(true)
    wrong, probes = 0, 0
    for some, others in zip(true, made, strict=True):
        for start in range(len(some) - size):
            inside = [sum(cuts[start + 1 : start + size + 1]) for cuts in (some, others)]
            different = inside[0] != inside[1] if counts else (inside[0] > 0) != (inside[1] > 0)
            wrong, probes = wrong + int(different), probes + 1
    return wrong / probes if probes else float("nan")


@given(st.lists(CUTS, min_size=1, max_size=4))
def test_windows_are_counted_as_in_the_papers(pairs: list[list[tuple[bool, bool]]]) -> None:
    true = [np.array([one for one, _ in some]) for some in pairs]
    made = [np.array([other for _, other in some]) for some in pairs]
    assert pk(true, made) == pytest.approx(by_loops(true, made, counts=False), nan_ok=True)
    assert window_diff(true, made) == pytest.approx(by_loops(true, made, counts=True), nan_ok=True)


def test_a_case_worked_on_paper() -> None:
    true, made = [flags("|..|.|..")], [flags("|..||...")]
    assert window_size(true) == 1
    assert boundary_f1(true, made) == pytest.approx(0.5)
    assert pk(true, made) == pytest.approx(2 / 7)
    long_true, long_made = [flags("|.......|.......")], [flags("|......|........")]
    assert window_size(long_true) == 4
    assert pk(long_true, long_made) == pytest.approx(2 / 12)


def test_a_beginning_too_many_costs_windowdiff_what_pk_forgives() -> None:
    true, made = [flags("|.......|.......")], [flags("|......||.......")]
    assert pk(true, made) < window_diff(true, made)


@given(CUTS)
def test_the_truth_is_right(pairs: list[tuple[bool, bool]]) -> None:
    true = [np.array([one for one, _ in pairs])]
    assert window_diff(true, true) in (0.0, pytest.approx(float("nan"), nan_ok=True))
    assert boundary_f1(true, true) == 1.0 if true[0][1:].any() else np.isnan(boundary_f1(true, true))
