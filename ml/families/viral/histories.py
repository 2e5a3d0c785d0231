"""What was known of everyone who posts, at the moment of the post: a running account of earlier cascades.

Each creator has a time-ordered account. A post is an entry; so is the moment at which a cascade that the creator had
joined early reached `fewest` posts (a trial), twice as many (a hit), doubled once more (a credit), or fell quiet (an
end, with its size). A post reads the sums of the entries before it, and nothing else: one sort, whatever the size.
"""

from __future__ import annotations

import ibis

from ml.families.viral.cascades import hours, log

THOUSANDTHS = 1000
ENTRIES = (
    "posts", "rank_log", "trials", "hits", "credits", "ended", "ended_size", "ended_trials", "ended_hits",
)  # fmt: skip
PAST = (
    "since", "pace", "usual_rank", "hit_rate", "hit_odds", "credit", "ended_size", "ended_hit_rate",
)  # fmt: skip
TYPICAL_SIZE = 3.3  # log2: a cascade of ten


def histories(placed: ibis.Table, fewest: int, quiet_hours: int, as_of: str) -> ibis.Table:
    """post_id, past_posts, and each column of PAST as it stood just before the post.

    Rates, and no counts: counts grow with the time since the first snapshot, so that what is learned from last year's
    would be wrong for this year's.
    """
    entries = [_posts(placed), _trials(placed, fewest), _hits(placed, fewest), _credits(placed),
               _ends(placed, fewest, quiet_hours, as_of)]  # fmt: skip
    account = ibis.union(*entries)
    order = {"group_by": "creator_id", "order_by": ["at", "turn", "post_id"]}
    running = ibis.window(**order, preceding=None, following=0)
    posted = ibis.ifelse(account.turn == 0, account["at"], None)
    summed = account.mutate(
        **{name: account[name].sum().over(running) for name in ENTRIES},
        own_rank=account.rank_log,
        first=account["at"].first().over(running),
        previous=posted.max().over(ibis.window(**order, preceding=(None, 1))),
    )
    return _read(summed.filter(summed.turn == 0))


def _read(rows: ibis.Table) -> ibis.Table:
    """Sums turned into rates, each pulled towards what is usual by one or two ghosts."""
    n = rows.posts - 1
    later = n > 0
    return rows.select(
        "post_id",
        past_posts=log(n, 1.0),
        since=ibis.ifelse(later, log(hours(rows["at"], rows.previous), 0.01), None),
        pace=log((n + 1) / (hours(rows["at"], rows["first"]) + 24)),
        usual_rank=((rows.rank_log - rows.own_rank) / THOUSANDTHS + 4.0) / (n + 2),
        hit_rate=(rows.hits + 1.0) / (rows.trials + 2.0),
        hit_odds=((rows.hits + 1.0) / (rows.trials - rows.hits + 1.0)).ln(),
        credit=(rows.credits + 1.0) / (n + 2.0),
        ended_size=(rows.ended_size / THOUSANDTHS + 2 * TYPICAL_SIZE) / (rows.ended + 2),
        ended_hit_rate=(rows.ended_hits + 1.0) / (rows.ended_trials + 2.0),
    )


def _entry(rows: ibis.Table, turn: int, post_id: ibis.Value, **amounts: ibis.Value) -> ibis.Table:
    filled = {name: amounts.get(name, ibis.literal(0)) for name in ENTRIES}
    return rows.select(
        "creator_id", "at", turn=ibis.literal(turn, "int8"), post_id=post_id,
        **{name: value.cast("float64") for name, value in filled.items()},
    )  # fmt: skip


def _posts(placed: ibis.Table) -> ibis.Table:
    return _entry(placed, 0, placed.post_id, posts=ibis.literal(1), rank_log=_log2(placed["rank"]))


def _log2(value: ibis.Value) -> ibis.Value:
    return (value.cast("float64").log2() * THOUSANDTHS).round()


def _early(placed: ibis.Table, moments: ibis.Table, upto: ibis.Value) -> ibis.Table:
    """The creators within the first `upto` posts of each cascade, at the moment that `moments` gives."""
    joined = moments.join(placed.select("cascade_id", "creator_id", "rank"), "cascade_id")
    return joined.filter(joined["rank"] <= upto)


def _reached(placed: ibis.Table, size: int) -> ibis.Table:
    return placed.filter(placed["rank"] == size).select("cascade_id", "at", "post_id")


def _trials(placed: ibis.Table, fewest: int) -> ibis.Table:
    rows = _early(placed, _reached(placed, fewest), ibis.literal(fewest))
    return _entry(rows, 1, rows.post_id, trials=ibis.literal(1))


def _hits(placed: ibis.Table, fewest: int) -> ibis.Table:
    rows = _early(placed, _reached(placed, 2 * fewest), ibis.literal(fewest))
    return _entry(rows, 1, rows.post_id, hits=ibis.literal(1))


def _credits(placed: ibis.Table) -> ibis.Table:
    sizes = placed.filter(placed["rank"].isin([2**power for power in range(2, 31)]))
    moments = sizes.select("cascade_id", "at", "post_id", half=(sizes["rank"] / 2).cast("int64"))
    rows = _early(placed, moments, ibis._.half)
    return _entry(rows, 1, rows.post_id, credits=ibis.literal(1))


def _ends(placed: ibis.Table, fewest: int, quiet_hours: int, as_of: str) -> ibis.Table:
    """The first time that a cascade was quiet for so long; what was posted later does not undo it."""
    quiet = ibis.interval(hours=quiet_hours)
    silent = (placed.next_age - placed.age > quiet_hours) | (
        placed.next_age.isnull() & (placed["at"] + quiet < ibis.timestamp(as_of))
    )
    over = placed.filter(silent)
    first = over.group_by("cascade_id").aggregate(
        size=over["rank"].min(), at=over["at"].min() + quiet, post_id=over.post_id.argmin(over["rank"])
    )
    rows = _early(placed, first, ibis._.size)
    early = rows["rank"] <= fewest
    return _entry(
        rows, 1, rows.post_id, ended=ibis.literal(1), ended_size=_log2(rows["size"]),
        ended_trials=early & (rows["size"] >= fewest), ended_hits=early & (rows["size"] >= 2 * fewest),
    )  # fmt: skip
