"""The matrix's columns: what a row is, what may be known at its moment, and what came of it."""

from __future__ import annotations

from ml.families.viral.histories import PAST

KEY = ("cascade_id", "point")
TIMESCALES = (1, 24, 168)  # hours of memory of the self-exciting process
BUSY = (1, 24, 168, 720)
ABOUT = ("cascade_id", "point", "kind", "product_id", "platform", "started", "observed_at", "posts")

TIMING = (
    "log_posts", "age", "idle", "gap_1", "gap_2", "gap_3", "gap_4", "gap_longest", "gap_typical", "gap_spread",
    "halves", "velocity", "hour", "weekday", "start_hour",
)  # fmt: skip
PLATFORM = (
    "passed", "passed_1", *(f"busy_{span}" for span in BUSY), "trend_hour", "trend_day", "trend_week",
)  # fmt: skip
SPREAD = ("depth_most", "depth_typical", "breadth")
HAWKES = (*(f"branching_{scale}" for scale in TIMESCALES), *(f"alive_{scale}" for scale in TIMESCALES))
REACH = ("reach", "reach_most", "newcomers")
CREATORS = tuple(f"{name}_{how}" for name in PAST for how in ("mean", "most", "least", "first", "last"))
PRODUCT = (
    "text_length", "price", "product_posts", "product_since", "product_best", "selling", "image_score",
)  # fmt: skip
FEATURES = (*TIMING, *PLATFORM, *SPREAD, *HAWKES, *REACH, *CREATORS, *PRODUCT)
DRIFTING = (
    "newcomers",
    "hour",
    "weekday",
    "start_hour",
    *(name for name in PLATFORM if not name.startswith("passed")),
    *(name for name in CREATORS if name.startswith(("since", "pace"))),
)  # go with the calendar, and with how long people have been watched
STEADY = tuple(name for name in FEATURES if name not in DRIFTING)
PREFIX = (*(name for name in TIMING if name in STEADY), *SPREAD, *HAWKES, "passed", "passed_1")
