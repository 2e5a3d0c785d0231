"""What came of a cascade: its size as of now and as of each earlier origin, and when it was at its peak."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import ibis

from ml.families.viral.cascades import hours

BURST = 10  # posts; the peak is the middle of the shortest time that saw so many


def outcomes(placed: ibis.Table, origins: Sequence[date]) -> ibis.Table:
    """cascade_id; size; size_1, … (as of each origin); last_at; peak_at (null below ten posts)."""
    within = ibis.window(group_by="cascade_id", order_by=["at", "post_id"])
    ended = placed["at"].lead(BURST - 1).over(within)
    middle = placed["at"].lead(BURST // 2).over(within)
    spans = placed.mutate(span=hours(ended, placed["at"]), middle=middle)
    at_origins = {
        f"size_{n}": spans.count(where=spans["at"] < ibis.timestamp(str(origin)))
        for n, origin in enumerate(origins, start=1)
    }
    return spans.group_by("cascade_id").aggregate(
        size=spans.count(), **at_origins, last_at=spans["at"].max(),
        peak_at=spans.middle.argmin(spans.span, where=spans.span.notnull()),
    )  # fmt: skip


def origins(starts: ibis.Table, as_of: date, windows: int, holdout: float) -> tuple[date, ...]:
    """Days at which earlier models are fitted, oldest first; a share `holdout` of the cascades started after the last.

    The others lie as many cascades apart. Days are never the same: where most cascades started on a few days, they lie
    a day apart. `starts`: one row per cascade with `started`.
    """
    levels = [1 - holdout * (windows - n) for n in range(windows)]
    epoch = starts.started.epoch_seconds()
    found = starts.aggregate(
        **{f"q{n}": epoch.quantile(level) for n, level in enumerate(levels)}
    ).to_pyarrow()
    days = [int((found.column(f"q{n}")[0].as_py() or 0) // 86400) for n in range(windows)]
    latest = as_of.toordinal() - date(1970, 1, 1).toordinal()
    for n in reversed(range(windows)):
        days[n] = min(days[n], latest - 1)
        latest = days[n]
    return tuple(date.fromordinal(day + date(1970, 1, 1).toordinal()) for day in days)
