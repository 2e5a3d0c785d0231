"""The feature table: one row per cascade and moment at which it is looked at.

Every feature looks only at posts up to the row's `observed_at`, at its creators' accounts as they stood when they
posted, and at what was sold before. `size`, `last_at` and `peak_at` are what came of it, as of the table's day; `open`
marks the newest row of each cascade that has not fallen quiet.
"""

from __future__ import annotations

from datetime import date

import ibis

from ml.families.record import Tables
from ml.families.viral.cascades import cascades, hours, log
from ml.families.viral.columns import ABOUT, BUSY, FEATURES, TIMESCALES
from ml.families.viral.demand import momentum
from ml.families.viral.histories import histories
from ml.families.viral.observations import course, measured, observations
from ml.families.viral.outcomes import origins, outcomes
from ml.families.viral.params import ViralParams
from ml.families.viral.pictures import image_scores
from ml.families.viral.products import product_past
from ml.toolkit.standings import standings
from ml.toolkit.storing import stored


def features(tables: Tables, as_of: date, params: ViralParams) -> ibis.Table:
    """The matrix for `as_of` (see the module's docstring; columns in `columns.py`)."""
    placed = cascades(tables["posts"], as_of)
    seen = stored(observations(placed, params, str(as_of)))
    days = origins(_starts(placed, params.fewest), as_of, params.windows, params.holdout)
    known = _known_of_posts(placed, tables, params, as_of)
    rows = seen.join(stored(course(seen, known)), ["cascade_id", "point"])
    rows = rows.join(stored(outcomes(placed, days)), "cascade_id")
    rows = rows.join(stored(_latest(placed, seen)), "post_id")
    scores = image_scores(placed, tables["products"], as_of, params)
    rows = rows.join(stored(product_past(placed, tables["products"], scores)), "cascade_id")
    rows = rows.left_join(stored(momentum(seen, tables["order_lines"])), ["cascade_id", "point"])
    return _final(_timed(rows), params, as_of)


def _starts(placed: ibis.Table, fewest: int) -> ibis.Table:
    return placed.filter(placed["rank"] == fewest).select("started")


def _known_of_posts(placed: ibis.Table, tables: Tables, params: ViralParams, as_of: date) -> ibis.Table:
    past = histories(placed, params.fewest, params.quiet_hours, str(as_of))
    creators = tables["creators"]
    joined = placed.join(past, "post_id").left_join(creators, "creator_id")
    own = ["cascade_id", "at", "rank", "depth", "age", "gap", "seq"]
    rows = joined.select(*own, *past.columns[1:], followers=joined.followers.fill_null(0))
    return stored(measured(rows).order_by("cascade_id", "rank"))  # what is added up lies together


def _latest(placed: ibis.Table, seen: ibis.Table) -> ibis.Table:
    """How busy the platform was around the last post seen: posts in the hours before it."""
    last = placed.semi_join(seen, "post_id")
    counted = placed.group_by("platform", since=placed["at"]).aggregate(total=placed.seq.max())
    now = {"upto": last["at"] + ibis.interval(microseconds=1)}  # those of the same moment are counted
    back = {f"before_{span}": last["at"] - ibis.interval(hours=span) for span in BUSY}
    rows = standings(last, ["post_id"], now | back, counted, "platform")
    return rows.select(
        "post_id", **{f"busy_{span}": log(rows.upto - rows[f"before_{span}"], 1.0) for span in BUSY}
    )


def _timed(rows: ibis.Table) -> ibis.Table:
    age = hours(rows.observed_at, rows.started)
    middle = ibis.greatest(rows.age_middle, 0.0)
    expected = {f"branching_{scale}": _branching(rows.posts, rows[f"alive_{scale}"]) for scale in TIMESCALES}
    return rows.mutate(
        log_posts=log(rows.posts), age=log(age), idle=log(age - rows.age_posts),
        gap_spread=ibis.greatest(rows.gap_squares - rows.gap_typical * rows.gap_typical, 0.0).sqrt(),
        halves=log(rows.age_posts - middle, 0.01) - log(middle, 0.01),
        velocity=log(rows.posts) - log(age, 1.0),
        hour=_hour(rows.observed_at), weekday=rows.observed_at.day_of_week.index(), start_hour=_hour(rows.started),
        passed=log(rows.seq_last - rows.seq_first) - rows.busy_168,
        passed_1=log(rows.seq_last - rows.seq_before) - rows.busy_168, trend_hour=rows.busy_1 - rows.busy_24,
        trend_day=rows.busy_24 - rows.busy_168, trend_week=rows.busy_168 - rows.busy_720,
        reach=log(rows.followers, 1.0), reach_most=log(rows.followers_most, 1.0),
        **expected,
    )  # fmt: skip


def _branching(posts: ibis.Value, alive: ibis.Value) -> ibis.Value:
    """The most likely branching factor (`ml.toolkit.hawkes.branching`), at most 20."""
    return ibis.least((posts - 1) / ibis.greatest(posts - alive, 0.01), 20.0)


def _hour(moment: ibis.Value) -> ibis.Value:
    return moment.hour() + moment.minute() / 60


def _final(rows: ibis.Table, params: ViralParams, as_of: date) -> ibis.Table:
    """Columns in their order; features in single precision."""
    newest = ibis.window(
        group_by="cascade_id", order_by=[rows.observed_at.desc(), rows.posts.desc(), rows.point]
    )
    alive = rows.last_at + ibis.interval(hours=params.quiet_hours) >= ibis.timestamp(str(as_of))
    sizes = [name for name in rows.columns if name.startswith("size")]
    marked = rows.mutate(open=(ibis.row_number().over(newest) == 0) & alive)
    return marked.select(
        *ABOUT,
        *(marked[name].cast("float32").name(name) for name in FEATURES),
        "open",
        *sizes,
        "last_at",
        "peak_at",
    )
