"""What a policy would earn, estimated from a log of another policy: DM, IPS, SNIPS and DR, plain and clipped.

A logged round is a context, the action that was taken with probability `propensity`, and its reward. The policy to be
valued would have taken that action with probability `target`; w = target / propensity. `fitted` is a model's
expectation of the reward of the logged action, `fitted_target` its expectation under the policy to be valued (over all
actions).

Every estimator gives one contribution a round, whose mean is the estimate, so that intervals come free (`interval`).
Clipping at c replaces w by min(w, c) (Ionides 2008; Bottou et al. 2013, section 4.4): it trades variance for a bias
whose size `lost_mass` bounds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.toolkit.intervals import Interval, bootstrap_means, per_cluster, weighted_mean

Floats = NDArray[np.float64]
NO_CLIP = float("inf")


@dataclass(frozen=True, slots=True)
class Rounds:
    """One entry a logged round; see the module. `fitted` and `fitted_target` are needed by DM and DR alone."""

    reward: Floats
    propensity: Floats
    target: Floats
    fitted: Floats
    fitted_target: Floats


def weights(rounds: Rounds, clip: float = NO_CLIP) -> Floats:
    """min(target / propensity, clip). Raises ValueError for a propensity that is not in (0, 1]."""
    wrong = ~((rounds.propensity > 0) & (rounds.propensity <= 1))
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"{int(wrong.sum())} propensities are not in (0, 1], "
            f"the first is {rounds.propensity[first]} (row {first}): an action that was "
            "taken had a probability; leave out rows that lack it"
        )
    return np.minimum(rounds.target / rounds.propensity, clip)


def direct(rounds: Rounds) -> Floats:
    """Direct method (DM): the model's expectation under the policy. As biased as the model is."""
    return rounds.fitted_target.copy()


def ips(rounds: Rounds, clip: float = NO_CLIP) -> Floats:
    """Inverse propensity scoring (Horvitz and Thompson 1952): w r.

    Unbiased without clipping, where every action that the policy takes could have been logged.
    """
    return weights(rounds, clip) * rounds.reward


def snips(rounds: Rounds, clip: float = NO_CLIP) -> Floats:
    """Self-normalised IPS (Swaminathan and Joachims 2015): sum(w r) / sum(w), never outside the range of the rewards.

    The contributions are the estimate plus its influence, w / mean(w) (r - estimate). NaN where all weights are 0.
    """
    w = weights(rounds, clip)
    if not w.any():
        return np.full(len(w), np.nan)
    estimate = (w @ rounds.reward) / w.sum()
    return np.asarray(estimate + w / w.mean() * (rounds.reward - estimate))


def doubly_robust(rounds: Rounds, clip: float = NO_CLIP) -> Floats:
    """Doubly robust (Dudík, Langford and Li 2011): DM + w (r - fitted).

    Unbiased, without clipping, if the propensities or the model are right.
    """
    return rounds.fitted_target + weights(rounds, clip) * (rounds.reward - rounds.fitted)


def effective_size(rounds: Rounds, clip: float = NO_CLIP) -> float:
    """(sum w)^2 / sum w^2 (Kish 1965): how many rounds of the policy itself the log is worth."""
    w = weights(rounds, clip)
    squares = float(w @ w)
    return float(w.sum()) ** 2 / squares if squares else 0.0


def lost_mass(rounds: Rounds, clip: float) -> float:
    """The share of what the policy does that clipping takes out of account: 1 - E[min(w, clip)], estimated, at least 0.

    With rewards in [0, m], clipped IPS is too low by at most m times this on average, and clipped DR wrong by at most
    this times the model's largest error. The mean of clipped weights is at most `clip` a round, so it is well estimated
    where that of the plain ones (which is 1) is not.
    """
    return max(0.0, 1.0 - float(weights(rounds, clip).mean()))


def interval(
    contributions: Floats,
    weight: Floats | None = None,
    cluster: NDArray[np.generic] | None = None,
    draws: int = 2000,
    confidence: float = 0.95,
    seed: int = 7,
) -> Interval:
    """sum(contributions) / sum(weight) (all 1 where not given), and a percentile interval of its bootstrap.

    Rounds of one cluster (a session) are drawn together. With the contributions of `ips` and their weights this is
    SNIPS, kept to the range of the rewards in every draw. The interval of `direct` takes the model as given.
    No interval from the rounds alone can know of weights that never came up: read it beside `effective_size`.
    """
    over = np.ones_like(contributions) if weight is None else weight
    parts = (contributions, over)
    values, number = parts if cluster is None else (per_cluster(part, cluster) for part in parts)
    tail = (1 - confidence) / 2
    low, high = np.quantile(bootstrap_means(values, number, draws, seed), [tail, 1 - tail])
    return Interval(weighted_mean(contributions, over), float(low), float(high))
