"""Off-policy estimators where a policy's value is known: by hand, by enumeration, and in the simulated world."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bench.off_policy import of_voice
from ml.toolkit.off_policy import (
    Floats,
    Rounds,
    direct,
    doubly_robust,
    effective_size,
    interval,
    ips,
    lost_mass,
    snips,
    weights,
)
from ml.world import World, simulate

# contexts x actions: how often a context comes, what is earned, what was logged, what is to be valued
COMES = np.array([0.5, 0.3, 0.2])
EARNS = np.array([[0.9, 0.2, 0.1, 0.5], [0.1, 0.6, 0.3, 0.0], [0.4, 0.4, 0.8, 0.2]])
LOGGED = np.array([[0.02, 0.28, 0.4, 0.3], [0.4, 0.1, 0.1, 0.4], [0.25, 0.25, 0.25, 0.25]])
VALUED = np.array([[0.7, 0.1, 0.1, 0.1], [0.1, 0.7, 0.1, 0.1], [0.0, 0.1, 0.9, 0.0]])
TRUTH = float(COMES @ (VALUED * EARNS).sum(axis=1))
WRONG = np.full_like(EARNS, 0.3)
CLIP = 5.0

Estimator = Callable[[Rounds], Floats]


def played(seed: int, n: int = 400, model: Floats = EARNS) -> Rounds:
    rng = np.random.default_rng(seed)
    context = rng.choice(3, n, p=COMES)
    action = (rng.random(n)[:, None] > LOGGED[context].cumsum(axis=1)).sum(axis=1)
    where = context, action
    reward = (rng.random(n) < EARNS[where]).astype(float)
    fitted_target = (VALUED * model).sum(axis=1)[context]
    return Rounds(reward, LOGGED[where], VALUED[where], model[where], fitted_target)


def estimates(estimator: Estimator, model: Floats = EARNS, times: int = 1_500, n: int = 400) -> Floats:
    return np.array([estimator(played(seed, n, model)).mean() for seed in range(times)])


def is_about(found: Floats, truth: float) -> bool:
    return bool(abs(found.mean() - truth) < 4 * found.std() / np.sqrt(len(found)))


def test_three_rounds_worked_by_hand() -> None:
    rounds = Rounds(
        reward=np.array([1.0, 0.0, 1.0]),
        propensity=np.array([0.5, 0.25, 0.1]),
        target=np.array([0.5, 0.5, 0.5]),
        fitted=np.array([0.5, 0.5, 0.75]),
        fitted_target=np.array([0.4, 0.5, 0.6]),
    )
    np.testing.assert_allclose(weights(rounds), [1, 2, 5])
    assert ips(rounds).mean() == pytest.approx((1 + 0 + 5) / 3)
    assert ips(rounds, 3).mean() == pytest.approx((1 + 0 + 3) / 3)
    assert snips(rounds).mean() == pytest.approx(6 / 8)
    assert direct(rounds).mean() == pytest.approx(0.5)
    assert doubly_robust(rounds).mean() == pytest.approx(0.5 + (0.5 - 1 + 1.25) / 3)
    assert effective_size(rounds) == pytest.approx(64 / 30)
    assert lost_mass(rounds, 0.5) == pytest.approx(0.5)


@pytest.mark.parametrize("model", [EARNS, WRONG], ids=["true model", "wrong model"])
def test_ips_and_dr_hit_the_value_that_enumeration_gives(model: Floats) -> None:
    assert is_about(estimates(ips, model), TRUTH)
    assert is_about(estimates(doubly_robust, model), TRUTH)


def test_snips_is_consistent_and_keeps_to_the_range_of_rewards() -> None:
    found = estimates(snips, times=300, n=4_000)
    assert abs(found.mean() - TRUTH) < 0.01
    few = estimates(snips, times=200, n=5)
    assert few.min() >= 0 and few.max() <= 1


def test_the_direct_method_is_as_good_as_its_model() -> None:
    assert is_about(estimates(direct, EARNS), TRUTH)
    assert abs(estimates(direct, WRONG).mean() - TRUTH) > 0.2


def test_a_good_model_takes_variance_out() -> None:
    assert estimates(doubly_robust).std() < 0.8 * estimates(ips).std()


def test_clipping_loses_what_enumeration_says() -> None:
    kept = np.minimum(VALUED / LOGGED, CLIP)
    clipped_value = float(COMES @ (LOGGED * kept * EARNS).sum(axis=1))
    mass = 1 - float(COMES @ (LOGGED * kept).sum(axis=1))
    found = estimates(lambda rounds: ips(rounds, CLIP))
    assert is_about(found, clipped_value)
    lost = np.array([lost_mass(played(seed), CLIP) for seed in range(500)])
    assert is_about(lost, mass)
    assert 0.1 < TRUTH - clipped_value <= mass
    assert found.std() < 0.6 * estimates(ips).std()


def test_clipped_dr_is_right_where_the_model_is() -> None:
    assert is_about(estimates(lambda rounds: doubly_robust(rounds, CLIP)), TRUTH)


@pytest.mark.parametrize("estimator", [snips, doubly_robust, ips])
def test_intervals_cover(estimator: Estimator) -> None:
    found = [interval(estimator(played(seed, 1_500, WRONG)), draws=300) for seed in range(80)]
    covered = np.mean([one.low <= TRUTH <= one.high for one in found])
    assert covered > 0.85


def test_one_tiny_propensity_makes_plain_estimators_explode_and_clipped_ones_not() -> None:
    rounds = played(1, 2_000)
    propensity = rounds.propensity.copy()
    propensity[0] = 1e-6
    spoilt = Rounds(
        np.append(0.0, rounds.reward[1:]), propensity, np.append(0.5, rounds.target[1:]), rounds.fitted,
        rounds.fitted_target,
    )  # fmt: skip
    assert doubly_robust(spoilt).mean() < -1
    assert snips(spoilt).mean() < 0.1 * TRUTH
    assert effective_size(spoilt) < 2
    for estimator in (doubly_robust, snips):
        assert abs(estimator(spoilt, 50.0).mean() - TRUTH) < 0.15


def test_self_normalised_draws_keep_to_the_range_of_rewards() -> None:
    rounds = played(3, 12)
    found = interval(ips(rounds), weight=weights(rounds))
    assert found.point == pytest.approx(snips(rounds).mean())
    assert 0 <= found.low < found.high <= 1


def test_a_cluster_is_drawn_whole() -> None:
    contributions = ips(played(4, 200))
    twice, cluster = np.repeat(contributions, 2), np.repeat(np.arange(200), 2)
    one, two = interval(contributions), interval(twice, cluster=cluster)
    assert (two.low, two.high) == pytest.approx((one.low, one.high))


@pytest.mark.parametrize("propensity", [0.0, -0.1, 1.5, float("nan")])
def test_an_impossible_propensity_is_refused(propensity: float) -> None:
    ones = np.ones(2)
    with pytest.raises(ValueError, match=r"1 propensities are not in .* \(row 1\)"):
        weights(Rounds(ones, np.array([0.5, propensity]), ones, ones, ones))


@pytest.fixture(scope="module")
def world() -> World:
    return simulate("small", seed=7)


def test_the_worlds_other_ranker_is_valued_from_its_log(world: World) -> None:
    """Voice shows one result. What if it were mostly the one that is wanted least? The truth is the world's."""
    rounds, truth = of_voice(world)
    assert truth < 0.93 * rounds.reward.mean()  # another policy, indeed
    for estimator in (ips, snips, doubly_robust):
        found = interval(estimator(rounds))
        assert found.low <= truth <= found.high, estimator
        assert abs(found.point / truth - 1) < 0.15
    assert abs(direct(rounds).mean() - truth) > 0.03  # its model knows no products
    plain, clipped = interval(ips(rounds)), interval(ips(rounds, 5.0))
    assert clipped.high - clipped.low < 0.9 * (plain.high - plain.low)
    assert 0 < plain.point - clipped.point < lost_mass(rounds, 5.0)
