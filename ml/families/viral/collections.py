"""Internet Famous: the products that are shown and reshared now, each with its evidence in words and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import ibis
import numpy as np
import pyarrow as pa

from ml.families.record import Tables
from ml.families.viral.cascades import cascades
from ml.families.viral.demand import Lifts, lifts
from ml.families.viral.model import Model, score
from ml.families.viral.params import ViralParams

NAME = "internet-famous"
DESCRIPTION = (
    "Products that people show and reshare, all year round: by attention of late and still to come, and by what such "
    "attention has done to their sales."
)
RECENT_DAYS = 28
EVERGREEN_DAYS = 365
HISTORY_WEEKS = 26
_SERIES = pa.list_(pa.float64())
_FACTS = pa.list_(pa.struct([("words", pa.string()), ("number", pa.float64())]))
COLLECTIONS = pa.schema(
    [
        ("collection_id", pa.string()), ("title", pa.string()), ("description", pa.string()),
        ("occasion_start", pa.date32()), ("occasion_end", pa.date32()),
    ]
)  # fmt: skip
ITEMS = pa.schema(
    [
        ("collection_id", pa.string()), ("rank", pa.int64()), ("product_id", pa.string()), ("title", pa.string()),
        ("category", pa.string()), ("reason", pa.string()), ("lift", pa.float64()), ("lift_low", pa.float64()),
        ("lift_high", pa.float64()), ("history_start", pa.date32()), ("history", _SERIES),
        ("forecast_start", pa.date32()), ("forecast_mean", _SERIES), ("forecast_q10", _SERIES),
        ("forecast_q90", _SERIES), ("image", pa.string()), ("evidence", _FACTS), ("history_of", pa.string()),
    ]
)  # fmt: skip
EVIDENCE = pa.schema(
    [
        ("product_id", pa.string()), ("rank", pa.int64()), ("posts", pa.int64()), ("posts_28", pa.int64()),
        ("reach_28", pa.int64()), ("growth", pa.float64()), ("cascades", pa.int64()), ("largest", pa.int64()),
        ("posts_expected", pa.float64()), ("doubles", pa.float64()), ("lead_hours", pa.float64()),
        ("lift", pa.float64()), ("lift_low", pa.float64()), ("lift_high", pa.float64()), ("bursts", pa.int64()),
        ("placebo_share", pa.float64()),
    ]
)  # fmt: skip
CHECK = pa.schema(
    [
        ("kind", pa.string()), ("cases", pa.int64()), ("lift_mean", pa.float64()), ("lift_low", pa.float64()),
        ("lift_high", pa.float64()), ("share_above_placebo_95", pa.float64()),
    ]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Effect:
    """Demand after bursts over what was expected, a 90 % interval, and the share of placebos that lifted as much."""

    lift: float
    low: float
    high: float
    bursts: int
    placebo_share: float | None


def publications(
    model: Model, matrix: ibis.Table, tables: Tables, as_of: date, params: ViralParams
) -> Mapping[str, pa.Table]:
    """`internet_famous`, `cascade_forecasts`, `demand_check`, `collections` and `collection_items`."""
    placed = cascades(tables["posts"], as_of)
    made = score(model, matrix, as_of)
    measured = lifts(placed, tables["order_lines"], as_of, params)
    effects = effects_of(measured)
    ranked = _ranked(_attention(placed, tables, as_of), _ahead(matrix, made), effects, params.collection_size)
    history = _history(placed, as_of)
    evidence = [_evidence(row, effects.get(row["product_id"])) for row in ranked]
    items = [_item(row, effects.get(row["product_id"]), history, as_of) for row in ranked]
    return {
        "internet_famous": pa.Table.from_pylist(evidence, EVIDENCE),
        "cascade_forecasts": made,
        "demand_check": pa.Table.from_pylist(demand_check(measured), CHECK),
        "collections": pa.Table.from_pylist(_heads(ranked), COLLECTIONS),
        "collection_items": pa.Table.from_pylist(items, ITEMS),
    }  # fmt: skip


def _attention(placed: ibis.Table, tables: Tables, as_of: date) -> list[dict[str, Any]]:
    """Each product shown within a year: posts, reach and growth of late; all posts; cascades, and the largest."""
    joined = placed.left_join(tables["creators"], "creator_id")
    start = ibis.timestamp(str(as_of))
    recent, before = (
        joined["at"] >= start - ibis.interval(days=RECENT_DAYS),
        start - ibis.interval(days=2 * RECENT_DAYS),
    )
    summed = joined.group_by("product_id").aggregate(
        posts=joined.count(), posts_28=joined.count(where=recent),
        posts_before=joined.count(where=~recent & (joined["at"] >= before)),
        reach_28=joined.followers.sum(where=recent).fill_null(0), cascades=joined.count(where=joined["rank"] == 1),
        largest=joined["rank"].max(), newest=joined["at"].max(),
    )  # fmt: skip
    shown = summed.filter(summed.newest >= start - ibis.interval(days=EVERGREEN_DAYS))
    about = tables["products"].select("product_id", "title", "category", "image_uri")
    named = shown.left_join(about, "product_id")
    return named.drop("product_id_right").order_by("product_id").to_pyarrow().to_pylist()  # type: ignore[no-any-return]


def _ahead(matrix: ibis.Table, made: pa.Table) -> dict[str, dict[str, float]]:
    """Per product: posts still expected of its open cascades, and the chance and lead time of the likeliest."""
    rows = matrix.filter(matrix.open).select("cascade_id", "point", "product_id", "posts").to_pyarrow()
    joined = rows.join(made, ["cascade_id", "point"], join_type="inner").sort_by(
        [("cascade_id", "ascending")]
    )
    ahead: dict[str, dict[str, float]] = {}
    for row in joined.to_pylist():
        one = ahead.setdefault(row["product_id"], {"expected": 0.0, "doubles": 0.0, "lead_hours": 0.0})
        one["expected"] += max(2 ** row["log2_size"] - row["posts"], 0.0)
        if row["doubles"] > one["doubles"]:
            one |= {"doubles": row["doubles"], "lead_hours": row["lead_hours"]}
    return ahead


def effects_of(measured: Lifts) -> dict[str, Effect]:
    """The lift of each product with a burst behind it, pulled towards none by two ghosts."""
    placebo = np.sort(measured.log_lift[measured.placebo])
    names = np.asarray(measured.product_id)
    found = {}
    for name in sorted(set(names[~measured.placebo].tolist())):
        some = (names == name) & ~measured.placebo
        found[name] = _effect(measured.sold[some], measured.expected[some], measured.usual[some], placebo)
    return found


def _effect(sold: Any, expected: Any, usual: Any, placebo: Any) -> Effect:
    """The interval takes units for Poisson counts, before and after; where people buy by the dozen it is too narrow."""
    after, likely, before = float(sold.sum()) + 2, float(expected.sum()) + 2, float(usual.sum()) + 2
    log_lift, spread = np.log(after / likely), 1.645 * np.sqrt(1 / after + 1 / before)
    single = np.log((sold + 2) / (expected + 2)).mean()
    share = float((placebo >= single).mean()) if len(placebo) else None
    low, high = np.exp([log_lift - spread, log_lift + spread])
    return Effect(float(np.exp(log_lift)), float(low), float(high), len(sold), share)


def demand_check(measured: Lifts) -> list[dict[str, Any]]:
    """Bursts and placebo dates side by side: what they lifted, and how many exceed 95 % of the placebos."""
    values = {"burst": measured.log_lift[~measured.placebo], "placebo": measured.log_lift[measured.placebo]}
    bar = float(np.quantile(values["placebo"], 0.95)) if len(values["placebo"]) else None
    return [_check(kind, logs, bar) for kind, logs in values.items() if len(logs)]


def _check(kind: str, logs: Any, bar: float | None) -> dict[str, Any]:
    error = 1.96 * logs.std() / np.sqrt(len(logs))
    mean, low, high = np.exp([logs.mean(), logs.mean() - error, logs.mean() + error]).tolist()
    above = None if bar is None else float((logs > bar).mean())
    return {"kind": kind, "cases": len(logs), "lift_mean": mean, "lift_low": low, "lift_high": high,
            "share_above_placebo_95": above}  # fmt: skip


def _ranked(
    shown: list[dict[str, Any]],
    ahead: Mapping[str, dict[str, float]],
    effects: Mapping[str, Effect],
    size: int,
) -> list[dict[str, Any]]:
    """By attention of late and still to come, times what attention does to the product's demand."""
    nothing = {"expected": 0.0, "doubles": 0.0, "lead_hours": 0.0}
    rows = [row | ahead.get(row["product_id"], nothing) for row in shown]
    for row in rows:
        effect = effects.get(row["product_id"])
        attention = np.log1p(row["posts_28"] + row["expected"] + row["posts"] / 13)
        row["score"] = attention * (max(effect.lift, 0.5) if effect else 1.0)
    chosen = sorted(rows, key=lambda row: (-row["score"], row["product_id"]))[:size]
    return [row | {"rank": rank} for rank, row in enumerate(chosen, start=1)]


def _evidence(row: Mapping[str, Any], effect: Effect | None) -> dict[str, Any]:
    known = {
        name: row[name]
        for name in ("product_id", "rank", "posts", "posts_28", "reach_28", "cascades", "largest")
    }
    return known | {
        "growth": _growth(row), "posts_expected": row["expected"], "doubles": row["doubles"] or None,
        "lead_hours": row["lead_hours"] if row["doubles"] else None,
        "lift": effect.lift if effect else None, "lift_low": effect.low if effect else None,
        "lift_high": effect.high if effect else None, "bursts": effect.bursts if effect else 0,
        "placebo_share": effect.placebo_share if effect else None,
    }  # fmt: skip


def _growth(row: Mapping[str, Any]) -> float:
    return float((row["posts_28"] + 1) / (row["posts_before"] + 1))


def _item(
    row: Mapping[str, Any], effect: Effect | None, history: Mapping[str, list[float]], as_of: date
) -> dict[str, Any]:
    lift = {"lift": effect.lift, "lift_low": effect.low, "lift_high": effect.high} if effect else {}
    return {
        "collection_id": NAME, "rank": row["rank"], "product_id": row["product_id"],
        "title": row["title"] or row["product_id"],
        "category": row["category"], "reason": reason(row, effect), **lift,
        "history_start": as_of - timedelta(weeks=HISTORY_WEEKS), "history": history.get(row["product_id"], []),
        "forecast_mean": [], "forecast_q10": [], "forecast_q90": [],
        "image": row["image_uri"], "evidence": _facts(row), "history_of": "posts",
    }  # fmt: skip


def _facts(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The evidence in numbers, as the landing page shows it."""
    told = {
        "posts in four weeks": row["posts_28"],
        "followers reached": row["reach_28"],
        "times the four weeks before": _growth(row),
        "posts in all": row["posts"],
        "largest cascade": row["largest"],
        "more posts expected": row["expected"],
    }
    return [{"words": words, "number": float(number)} for words, number in told.items() if number]


def reason(row: Mapping[str, Any], effect: Effect | None) -> str:
    """The evidence in words: posts, reach, growth; what is expected; what bursts did to its sales."""
    told = [f"{_count(row['posts_28'], 'post')} in four weeks"]
    if row["reach_28"]:
        told.append(f"seen by up to {row['reach_28']:,} followers")
    if row["posts_before"]:
        told.append(f"{row['posts_28'] / row['posts_before']:.1f} times the four weeks before")
    told.append(f"{_count(row['posts'], 'post')} in all")
    sentences = [", ".join(told), _outlook(row), _effect_words(effect)]
    return ". ".join(sentence[0].upper() + sentence[1:] for sentence in sentences if sentence) + "."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _outlook(row: Mapping[str, Any]) -> str:
    if not row["doubles"]:
        return ""
    hours = row["lead_hours"]
    when = (
        "now"
        if hours < 1
        else f"in about {hours:.0f} hours"
        if hours < 48
        else f"in about {hours / 24:.0f} days"
    )
    return f"{row['expected']:.0f} more posts expected ({row['doubles']:.0%} likely to double), at their peak {when}"


def _effect_words(effect: Effect | None) -> str:
    if effect is None:
        return ""
    after = f"after {_count(effect.bursts, 'burst')} of attention it sold {effect.lift:.1f} times what was expected"
    if effect.placebo_share is None:
        return f"{after} (90 % interval {effect.low:.1f} to {effect.high:.1f})"
    return f"{after} ({effect.low:.1f} to {effect.high:.1f}); {effect.placebo_share:.0%} of quiet dates show as much"


def _history(placed: ibis.Table, as_of: date) -> dict[str, list[float]]:
    """Posts about each product in each of the last weeks, oldest first."""
    start = as_of - timedelta(weeks=HISTORY_WEEKS)
    late = placed.filter(placed["at"] >= ibis.timestamp(str(start)))
    week = (late["at"].date().delta(ibis.date(start), unit="day") / 7).floor().cast("int64")
    summed = late.group_by("product_id", week=week).aggregate(posts=late.count()).to_pyarrow()
    history: dict[str, list[float]] = {}
    for row in summed.to_pylist():
        history.setdefault(row["product_id"], [0.0] * HISTORY_WEEKS)[row["week"]] = float(row["posts"])
    return history


def _heads(ranked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not ranked:
        return []
    return [{"collection_id": NAME, "title": "Internet Famous", "description": DESCRIPTION}]
