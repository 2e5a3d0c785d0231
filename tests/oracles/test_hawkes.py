"""The self-exciting process against simulated cascades of known branching factor, and against sums written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from ml.toolkit.hawkes import Hawkes, alive, branching, expected_size, fit, log_likelihood, simulate


@pytest.mark.parametrize("factor", [0.3, 0.6, 0.9])
def test_the_branching_factor_of_many_cascades_is_recovered(factor: float) -> None:
    random = np.random.default_rng(7)
    model, until = Hawkes(factor, 5.0), 12.0
    cascades = [times[times <= until] for times in (simulate(model, random) for _ in range(3000))]
    posts = np.array([len(times) for times in cascades])
    spent = posts - np.array([alive(times, until, model.memory) for times in cascades])
    pooled, children = (posts - 1).sum() / spent.sum(), (posts - 1).sum()
    assert pooled == pytest.approx(factor, rel=4 / math.sqrt(children))  # the number of children is Poisson
    assert 4 / math.sqrt(children) < 0.15


@pytest.mark.parametrize("factor", [0.2, 0.5, 0.8])
def test_final_sizes_are_those_of_a_branching_process(factor: float) -> None:
    """Mean size 1 / (1 - n) (Harris 1963), which the expectation at the first post must give too."""
    random = np.random.default_rng(11)
    sizes = [len(simulate(Hawkes(factor, 1.0), random)) for _ in range(6000)]
    at_start = expected_size(np.array([1.0]), np.array([factor]), np.array([1.0]))[0]
    assert at_start == pytest.approx(1 / (1 - factor))
    assert np.mean(sizes) == pytest.approx(at_start, rel=0.08)


def test_the_expected_size_at_a_later_time_is_right_on_average() -> None:
    random = np.random.default_rng(3)
    model, until = Hawkes(0.7, 2.0), 3.0
    whole = [simulate(model, random) for _ in range(4000)]
    posts = np.array([float((times <= until).sum()) for times in whole])
    still = np.array([alive(times[times <= until], until, model.memory) for times in whole])
    made = expected_size(posts, np.full(len(posts), model.branching), still)
    assert made.mean() == pytest.approx(np.mean([len(times) for times in whole]), rel=0.05)


def test_the_closed_form_is_the_top_of_the_likelihood() -> None:
    times, until, memory = np.array([0.0, 0.4, 0.5, 2.0, 2.2, 5.0]), 6.0, 1.5
    closed = branching(np.array([6.0]), np.array([alive(times, until, memory)]))[0]
    found = minimize_scalar(
        lambda n: -log_likelihood(times, until, Hawkes(n, memory)), bounds=(1e-3, 10), method="bounded"
    )
    assert closed == pytest.approx(found.x, abs=1e-3)


def test_the_likelihood_is_the_sum_written_out() -> None:
    times, until, n, m = [0.0, 1.0, 1.5], 4.0, 0.8, 2.0
    rates = [sum(n / m * math.exp(-(now - then) / m) for then in times if then < now) for now in times[1:]]
    integral = n * sum(1 - math.exp(-(until - then) / m) for then in times)
    assert log_likelihood(np.array(times), until, Hawkes(n, m)) == pytest.approx(
        sum(map(math.log, rates)) - integral
    )


def test_the_memory_is_found_in_a_long_cascade() -> None:
    random = np.random.default_rng(5)
    cascades = (simulate(Hawkes(0.95, 24.0), random) for _ in range(2000))
    long = next(times for times in cascades if len(times) > 400)
    assert fit(long, float(long[-1]) + 500, (1.0, 24.0, 168.0)).memory == 24.0


def test_a_factor_of_one_or_more_gives_a_finite_size() -> None:
    made = expected_size(np.array([10.0]), np.array([3.0]), np.array([2.0]))
    assert np.isfinite(made).all()
    assert made[0] > 10
