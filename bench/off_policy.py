"""DM, IPS, SNIPS and DR against policies whose value was logged: Open Bandit, both ways; and the cost of clipping.

    python -m bench.off_policy --path DIR [--clips inf 100 10]
    python -m bench.off_policy --world small [--clips inf 20 5]

Each policy's click rate is estimated from the other policy's log alone, then compared with what its own log says. The
even policy ("random") has known probabilities. Those of "bts" changed by the hour and are told for the items only that
it showed: as a policy to be valued it is taken at its average, its own log's frequencies of items by position. The
reward model of DM and DR is each item's click rate, shrunk towards the mean; that of DR is fitted on the other four
fifths of the log. Intervals are of a bootstrap over impressions; for DM, whose contributions know nothing of its
model's error, the model is fitted again in every draw.

In the world, whose true value of any policy is known, the log is that of voice, which shows one result, and the policy
shows a result the likelier the less it is wanted; the model of DM and DR knows the mean alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.sources.open_bandit import CAMPAIGNS, logged
from ml.toolkit.intervals import Interval
from ml.toolkit.off_policy import (
    NO_CLIP,
    Floats,
    Rounds,
    doubly_robust,
    effective_size,
    interval,
    ips,
    lost_mass,
    weights,
)
from ml.world import World, simulate

POLICIES = ("random", "bts")
POSITIONS = 3
FOLDS = 5
SHRINK = 200.0  # showings that the mean is worth, against an item's own
HEADER = (
    "| campaign | log → policy | estimator | clip | estimate | 95 % | own log | relative error | covers | "
    "rounds it is worth | lost to clipping |\n|---|---|---|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    """Parse the arguments and print a row an estimate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--path", type=Path, help="folder of the data set open_bandit")
    where.add_argument("--world", help="size of a world")
    parser.add_argument("--clips", nargs="+", type=float, default=[NO_CLIP, 100.0, 10.0])
    options = parser.parse_args()
    print(HEADER)
    for row in (
        in_world(options.world, options.clips)
        if options.world
        else table(logged(options.path), options.clips)
    ):
        print(row)


def in_world(size: str, clips: list[float]) -> Iterator[str]:
    """Markdown rows of every estimator and clip for the world's log of voice; "own log" is the truth."""
    rounds, value = of_voice(simulate(size, seed=7))
    truth = Interval(value, value, value)
    name = f"world, {size} | voice → what is wanted least"
    yield row_of(
        name, "DM", NO_CLIP, interval(rounds.reward), truth, "– | –"
    )  # its model is the mean, drawn anew
    for clip in (clip for clip in clips if clip == NO_CLIP or weights(rounds).max() > clip):
        lost = "–" if clip == NO_CLIP else f"{lost_mass(rounds, clip):.1%}"
        for label, found in estimates(rounds, clip).items():
            yield row_of(name, label, clip, found, truth, f"{effective_size(rounds, clip):,.0f} | {lost}")


def of_voice(world: World) -> tuple[Rounds, float]:
    """The world's voice log for a policy that shows a result the likelier the less it is wanted; its true value.

    Propensities are the log's own frequencies; results shown fewer than three times are never chosen by the policy.
    """
    with duckdb.connect() as connection:
        connection.execute("set threads = 1")
        for name in ("outcomes", "dirty_searches", "examination"):
            connection.register(name, world.truth[name])
        connection.register("searches", world.tables["searches"])
        rows = connection.execute(
            """with log as (from searches anti join dirty_searches using (search_id) where modality = 'voice'),
                    shown as (select query, product_id, count(*) as n,
                                     if(n >= 3, exp(-12 * any_value(engage)), 0) as wish
                              from log join outcomes using (query, product_id, modality) group by all),
                    chosen as (select *, wish / sum(wish) over (partition by query) as target,
                                      n / sum(n) over (partition by query) as propensity
                               from shown qualify max(n) over (partition by query) >= 3),
                    valued as (select query, sum(target * probability * engage) as truth from chosen
                               join outcomes using (query, product_id) join examination using (modality)
                               where modality = 'voice' group by query)
               select engaged::double as reward, propensity, target, avg(engaged::double) over () as fitted,
                      fitted as fitted_target, truth
               from log join chosen using (query, product_id) join valued using (query)"""
        ).fetchnumpy()
    rounds = Rounds(*(np.asarray(rows[name], dtype=np.float64) for name in Rounds.__slots__))
    return rounds, float(rows["truth"].mean())


def table(log: pa.Table, clips: list[float]) -> Iterator[str]:
    """Markdown rows of every campaign, direction, estimator and clip."""
    for campaign in CAMPAIGNS:
        for source, policy in (POLICIES, POLICIES[::-1]):
            name = f"{campaign} | {source} → {policy}"
            yield from rows_of(
                name, *(of_policy(log, campaign, one) for one in (source, policy)), policy, clips
            )


def of_policy(log: pa.Table, campaign: str, policy: str) -> pa.Table:
    """The rounds of one log."""
    return log.filter((pc.field("campaign") == campaign) & (pc.field("behavior_policy") == policy))


def rows_of(name: str, source: pa.Table, own: pa.Table, policy: str, clips: list[float]) -> Iterator[str]:
    """Rows of one direction; nothing but `truth` and the average of the policy is taken from its own log."""
    target = target_of(own, policy)
    rounds = rounds_of(source, target)
    truth = interval(column(own, "click"))
    yield row_of(name, "DM", NO_CLIP, refitted(source, target), truth, "– | –")
    for clip in (clip for clip in clips if clip == NO_CLIP or weights(rounds).max() > clip):
        lost = "–" if clip == NO_CLIP else f"{lost_mass(rounds, clip):.1%}"
        for label, found in estimates(rounds, clip).items():
            yield row_of(name, label, clip, found, truth, f"{effective_size(rounds, clip):,.0f} | {lost}")


def estimates(rounds: Rounds, clip: float, draws: int = 2000) -> dict[str, Interval]:
    """The estimators that weigh; the bootstrap of SNIPS draws numerator and denominator together."""
    return {
        "IPS": interval(ips(rounds, clip), draws=draws),
        "SNIPS": interval(ips(rounds, clip), weight=weights(rounds, clip), draws=draws),
        "DR": interval(doubly_robust(rounds, clip), draws=draws),
    }


def refitted(source: pa.Table, target: Floats, draws: int = 1000) -> Interval:
    """DM with its model fitted again in each draw of impressions."""
    position, item, click = whole(source, "position") - 1, whole(source, "item_id"), column(source, "click")
    random = np.random.default_rng(7)

    def value(rows: np.ndarray) -> float:
        rates = shrunk_rates(item[rows], click[rows], target.shape[1])
        return float((target[position[rows]] @ rates).mean())

    drawn = [value(random.integers(0, len(item), len(item))) for _ in range(draws)]
    return Interval(value(np.arange(len(item))), *(float(q) for q in np.quantile(drawn, [0.025, 0.975])))


def target_of(own: pa.Table, policy: str) -> Floats:
    """Positions x items: the probability that the policy shows an item at a position."""
    items = int(pc.max(own["item_id"]).as_py()) + 1
    shown = np.zeros((POSITIONS, items))
    np.add.at(shown, (whole(own, "position") - 1, whole(own, "item_id")), 1.0)
    even = np.full_like(shown, 1 / items)
    return even if policy == "random" else shown / shown.sum(axis=1, keepdims=True)


def rounds_of(source: pa.Table, target: Floats) -> Rounds:
    """A log, for the policy with these probabilities."""
    position, item, click = whole(source, "position") - 1, whole(source, "item_id"), column(source, "click")
    fold = np.random.default_rng(7).integers(0, FOLDS, len(item))
    rates = np.stack([shrunk_rates(item[fold != f], click[fold != f], target.shape[1]) for f in range(FOLDS)])
    return Rounds(
        reward=click,
        propensity=column(source, "propensity"),
        target=target[position, item],
        fitted=rates[fold, item],
        fitted_target=(target[position] * rates[fold]).sum(axis=1),
    )


def shrunk_rates(item: np.ndarray, click: Floats, items: int) -> Floats:
    """Click rate by item, as if each had been shown SHRINK times more at the mean rate."""
    shown = np.bincount(item, minlength=items)
    clicked = np.bincount(item, weights=click, minlength=items)
    return (clicked + SHRINK * click.mean()) / (shown + SHRINK)


def column(log: pa.Table, name: str) -> Floats:
    """A column in floating point."""
    return log[name].to_numpy().astype(np.float64)


def whole(log: pa.Table, name: str) -> np.ndarray:
    """A column of whole numbers."""
    return log[name].to_numpy().astype(np.int64)


def row_of(name: str, label: str, clip: float, found: Interval, truth: Interval, worth: str) -> str:
    """One Markdown row; rates in percent."""
    covers = "yes" if found.low <= truth.point <= found.high else "no"
    error = abs(found.point / truth.point - 1)
    bounds = f"{found.low:.2%} to {found.high:.2%}"
    at = "–" if clip == NO_CLIP else f"{clip:g}"
    own = f"{truth.point:.2%} ({truth.low:.2%} to {truth.high:.2%})"
    return f"| {name} | {label} | {at} | {found.point:.2%} | {bounds} | {own} | {error:.0%} | {covers} | {worth} |"


if __name__ == "__main__":
    main()
