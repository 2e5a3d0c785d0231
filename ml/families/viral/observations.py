"""When a cascade is looked at, and what its own posts say by then."""

from __future__ import annotations

import ibis

from ml.families.viral.cascades import hours, log
from ml.families.viral.columns import TIMESCALES
from ml.families.viral.histories import PAST
from ml.families.viral.params import ViralParams
from ml.toolkit.windows import exact_sum, parted, whole

_GAPS = 4


def observations(placed: ibis.Table, params: ViralParams, as_of: str) -> ibis.Table:
    """One row per cascade and point: `post-5` as the fifth post comes, `hour-24` a day after the first one.

    cascade_id, point, kind (post, hour), product_id, platform, started, observed_at, posts (seen by then), post_id (the
    last seen).
    """
    sized = placed.filter(placed["rank"] >= params.fewest)
    return ibis.union(_by_posts(sized, params), _by_hours(sized, params, as_of))


def _by_posts(sized: ibis.Table, params: ViralParams) -> ibis.Table:
    wanted = {params.fewest, *(n for n in params.posts if n >= params.fewest)}
    chosen = sized.filter(sized["rank"].isin(sorted(wanted)))
    point = ibis.literal("post-") + chosen["rank"].cast("string")
    return _row(chosen, point, "post", chosen["at"])


def _by_hours(sized: ibis.Table, params: ViralParams, as_of: str) -> ibis.Table:
    spans = ibis.memtable([{"span": span} for span in params.hours], schema={"span": "int64"})
    each = sized.cross_join(spans)
    now = (each.age <= each.span) & (each.next_age.isnull() | (each.next_age > each.span))
    latest = each.filter(now).mutate(moment=each.started + each.span.as_interval("h"))
    latest = latest.filter(latest.moment < ibis.timestamp(as_of))
    return _row(latest, ibis.literal("hour-") + latest.span.cast("string"), "hour", latest.moment)


def _row(posts: ibis.Table, point: ibis.Value, kind: str, moment: ibis.Value) -> ibis.Table:
    return posts.select(
        "cascade_id", "product_id", "platform", "started", "post_id", point=point, kind=ibis.literal(kind),
        observed_at=moment, posts=posts["rank"].cast("int64"),
    )  # fmt: skip


def measured(posts: ibis.Table) -> ibis.Table:
    """Posts with what is added up over an observation in whole millionths, once for all observations of a post."""
    step = log(posts.gap)
    amounts = {
        "step": step,
        "squared": step * step,
        "deep": posts.depth,
        "direct": (posts.depth == 1).cast("float64"),
        "newcomer": (posts.past_posts == 0).cast("float64"),
        **{name: posts[name] for name in PAST},
    }
    wholes = {_whole(name): whole(value) for name, value in amounts.items()}
    return posts.mutate(step=step, **wholes).drop("gap", "past_posts")


def _whole(name: str) -> str:
    return f"whole_{name}"


def course(seen: ibis.Table, posts: ibis.Table) -> ibis.Table:
    """What all posts up to each observation say together; `posts` are measured, with histories and followers."""
    pairs = seen.select("cascade_id", "point", "observed_at", "posts").join(posts, "cascade_id")
    pairs = pairs.filter(pairs["rank"] <= pairs.posts)
    return pairs.group_by("cascade_id", "point").aggregate(
        **_timing(pairs), **_shape(pairs), **_hawkes(pairs), **_people(pairs)
    )


def _mean(pairs: ibis.Table, name: str) -> ibis.Value:
    amount = pairs[_whole(name)]
    return parted(amount.sum()) / ibis.greatest(amount.count(), 1)


def _timing(pairs: ibis.Table) -> dict[str, ibis.Value]:
    step = pairs.step
    middle = pairs["rank"] == ((pairs.posts + 1) / 2).floor().cast("int64")
    return {
        "age_posts": pairs.age.max(),
        "age_middle": pairs.age.max(where=middle),
        "gap_longest": step.max(),
        "gap_typical": _mean(pairs, "step"),
        "gap_squares": _mean(pairs, "squared"),
        **{f"gap_{n}": step.max(where=pairs["rank"] == pairs.posts - (n - 1)) for n in range(1, _GAPS + 1)},
        "seq_first": pairs.seq.min(),
        "seq_last": pairs.seq.max(),
        "seq_before": pairs.seq.max(where=pairs["rank"] == pairs.posts - 1),
    }


def _shape(pairs: ibis.Table) -> dict[str, ibis.Value]:
    return {
        "depth_most": pairs.depth.max(),
        "depth_typical": _mean(pairs, "deep"),
        "breadth": _mean(pairs, "direct"),
    }


def _hawkes(pairs: ibis.Table) -> dict[str, ibis.Value]:
    """For each memory: the sum over posts of exp(-(now - then) / memory), what is still to come of them."""
    since = hours(pairs.observed_at, pairs["at"])
    return {f"alive_{scale}": exact_sum((-since / scale).exp()) for scale in TIMESCALES}


def _people(pairs: ibis.Table) -> dict[str, ibis.Value]:
    first, last = pairs["rank"] == 1, pairs["rank"] == pairs.posts
    made: dict[str, ibis.Value] = {
        "followers": pairs.followers.sum(),
        "followers_most": pairs.followers.max(),
        "newcomers": _mean(pairs, "newcomer"),
    }
    for name in PAST:
        value = pairs[name]
        made |= {f"{name}_mean": _mean(pairs, name), f"{name}_most": value.max(), f"{name}_least": value.min(),
                 f"{name}_first": value.max(where=first), f"{name}_last": value.max(where=last)}  # fmt: skip
    return made
