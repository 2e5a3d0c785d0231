"""What an accepted snapshot looked like, for the next ones to be compared with.

A profile describes the newest `profile_days` of a table (all of it, where the suite names none): rows in all and per
day, how many weeks out of all had rows on each weekday, and the distribution of each column.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy import Table

from ml.contracts.base import arrow_schema, event_time, key
from ml.seams.quality.distribution import bin_of
from ml.seams.quality.predicates import literal, quoted
from ml.seams.quality.rows import Database
from ml.seams.quality.suites import read_suite

_CATEGORIES = 200
_DECILES = [share / 10 for share in range(1, 10)]
Profile = dict[str, Any]


def read_history(path: Path | None, as_of: date) -> list[Profile]:
    """Profiles of the snapshots accepted before `as_of`, oldest first; later ones (a backfill) do not count."""
    if path is None or not path.is_file():
        return []
    snapshots: list[Profile] = json.loads(path.read_text())["snapshots"]
    return sorted(
        (one for one in snapshots if one["as_of"] < as_of.isoformat()), key=lambda one: str(one["as_of"])
    )


def fresh_since(contract: Table, suite: Path, as_of: date) -> datetime | None:
    """The time at or after which the newest row of a fresh table is; None where the table's suite does not ask."""
    found: datetime | None = facts(contract, read_suite(suite).meta, as_of, []).get("fresh_since")
    return found


def facts(
    contract: Table, meta: Mapping[str, Any], as_of: date, history: Sequence[Profile]
) -> dict[str, Any]:
    """Values of a suite's placeholders; those that need a history are absent without one."""
    now = datetime.combine(as_of, time())
    known: dict[str, Any] = {"as_of": now, "plans_until": now + contract.info["known_ahead"]}
    if "earliest" in meta:
        known["earliest"] = datetime.fromisoformat(meta["earliest"])
    for name, setting in (("fresh_since", "fresh_within_days"), ("usable_since", "usable_within_days")):
        if setting in meta:
            known[name] = now - timedelta(days=meta[setting])
    return {**known, **_facts_of(history, meta, now)} if history else known


def _facts_of(history: Sequence[Profile], meta: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    last = history[-1]
    before = datetime.fromisoformat(last["as_of"])
    columns = last["columns"].items()
    return {
        "rows_at_least": math.floor(last["rows"] * meta.get("rows_kept", 0.5)),
        "rows_at_most": _rows_at_most(history, meta, (now - before).days),
        "more_than_before": last["rows"] + 1,
        "since_last": max(before, now - timedelta(days=28)),
        "usual_weekdays": [int(day) for day, share in last["weekdays"].items() if share == 1],
        **{
            f"known.{name}": sorted(kept["shares"])
            for name, kept in columns
            if "edges" not in kept and "shares" in kept
        },
        **{f"usual.{name}": kept for name, kept in columns if "shares" in kept},
    }


def _rows_at_most(history: Sequence[Profile], meta: Mapping[str, Any], days: int) -> int:
    last = history[-1]
    factor = meta.get("usual_volume_times", 10)
    if not last["rows_per_day"]:
        return int(factor * max(last["rows"], meta.get("volume_floor", 100)))
    return int(
        last["rows"] + factor * max(last["rows_per_day"] * max(days, 1), meta.get("volume_floor", 100))
    )


def profile(database: Database, contract: Table, meta: Mapping[str, Any], as_of: date) -> Profile:
    """Describe the view of this table."""
    table, when = quoted(contract.name), event_time(contract)
    recent = _recent(when, meta, as_of)
    rows = database.run(f"SELECT count(*) FROM {table}")[0][0]
    days = (
        _per_day(database, f"SELECT * FROM {table} WHERE {recent}", when)
        if when and "profile_days" in meta
        else {}
    )
    schema = arrow_schema(contract)
    return {
        "table": contract.name,
        "as_of": as_of.isoformat(),
        "rows": rows,
        "rows_per_day": _median(sorted(days.values())),
        "weekdays": _weekdays(list(days)),
        "columns": {
            name: kept for name, kept in _columns(database, table, recent, schema, key(contract)) if kept
        },
    }


def _recent(when: str | None, meta: Mapping[str, Any], as_of: date) -> str:
    if not when or "profile_days" not in meta:
        return "TRUE"
    now = datetime.combine(as_of, time())
    first = now - timedelta(days=meta["profile_days"])
    return f"{quoted(when)} >= {literal(first)} AND {quoted(when)} < {literal(now)}"


def _per_day(database: Database, rows: str, when: str) -> dict[date, int]:
    return dict(
        database.run(
            f"SELECT CAST({quoted(when)} AS DATE) AS day, count(*) FROM ({rows}) GROUP BY day ORDER BY day"
        )
    )


def _median(ordered: Sequence[int]) -> float:
    middle = len(ordered) // 2
    if not ordered:
        return 0.0
    return float(ordered[middle]) if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _weekdays(days: Sequence[date]) -> dict[str, float]:
    """Share of the weeks between the first and the last day that had rows on each ISO weekday."""
    if not days:
        return {}
    span = [days[0] + timedelta(days=n) for n in range((days[-1] - days[0]).days + 1)]
    seen = set(days)
    return {
        str(weekday): sum(day in seen for day in span if day.isoweekday() == weekday) / count
        for weekday in range(1, 8)
        if (count := sum(day.isoweekday() == weekday for day in span))
    }


def _columns(
    database: Database, table: str, recent: str, schema: pa.Schema, keys: Sequence[str]
) -> list[tuple[str, dict[str, Any]]]:
    rows = f"(SELECT * FROM {table} WHERE {recent})"
    numbers = [field.name for field in schema if field.name not in keys and pa.types.is_floating(field.type)]
    texts = [field.name for field in schema if field.name not in keys and pa.types.is_string(field.type)]
    return [(name, _numeric(database, rows, name)) for name in numbers] + _texts(database, rows, texts)


def _numeric(database: Database, rows: str, name: str) -> dict[str, Any]:
    column = quoted(name)
    deciles = database.run(
        f"SELECT quantile_disc({column}, {_DECILES}) FROM {rows} WHERE isfinite({column})"
    )[0][0]
    if not deciles:
        return {}
    edges = sorted(set(deciles))
    bins = (
        f"SELECT {bin_of(name, edges)} AS bin, count(*) FROM {rows} WHERE {column} IS NOT NULL GROUP BY bin"
    )
    counts = dict(database.run(bins))
    total = sum(counts.values())
    return {
        "deciles": deciles,
        "edges": edges,
        "shares": [counts.get(i, 0) / total for i in range(len(edges) + 1)],
    }


def _texts(database: Database, rows: str, names: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
    if not names:
        return []
    counted = ", ".join(f"approx_count_distinct({quoted(name)})" for name in names)
    distinct = database.run(f"SELECT {counted} FROM {rows}")[0]
    return [
        (name, _text(database, rows, name))
        for name, many in zip(names, distinct, strict=True)
        if many <= _CATEGORIES
    ]


def _text(database: Database, rows: str, name: str) -> dict[str, Any]:
    column = quoted(name)
    counts = database.run(
        f"SELECT {column}, count(*) AS n FROM {rows} WHERE {column} IS NOT NULL GROUP BY {column} ORDER BY {column}"
    )
    total = sum(count for _, count in counts)
    return {"shares": {value: count / total for value, count in counts}} if total else {}
