"""Names of our runs, made from Airflow's: a retry of a task finds the workspace of its first try again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from hashlib import sha256
from typing import Any

from ml.errors import UsageError

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
SCHEDULED = ("scheduled", "backfill")


def run_id(kind: str, as_of: date | None, unknown: str, airflow_run: str) -> str:
    """`<kind>-<as_of, or unknown>-<six digits of the hash of Airflow's run>`: short, readable, safe in a path."""
    digits = sha256(airflow_run.encode()).hexdigest()[:6]
    return f"{kind}-{as_of or unknown}-{digits}"


def asked_day(params: Mapping[str, Any]) -> date | None:
    """The DAG parameter `as_of`. Raises UsageError for what is no date: a client need not use the form."""
    given = params.get("as_of")
    if not given:
        return None
    if not isinstance(given, str) or not _DAY.fullmatch(given):
        raise _no_day(given)
    try:
        return date.fromisoformat(given)
    except ValueError:
        raise _no_day(given) from None


def _no_day(given: object) -> UsageError:
    return UsageError(
        "as_of is no day", found=repr(given)[:80], expected="YYYY-MM-DD", next_step="trigger the DAG again"
    )


def scheduled_day(dag_run: Any) -> date | None:
    """The day as of which a scheduled or backfilled run reads: the end of its data interval. None for other runs."""
    if str(getattr(dag_run.run_type, "value", dag_run.run_type)) not in SCHEDULED:
        return None
    end = dag_run.data_interval_end or dag_run.logical_date
    return end.date() if end else None


def announced_day(events: Iterable[Any]) -> date | None:
    """The `as_of` that the latest of the triggering asset events carries: a hint, so nonsense in it is no error."""
    newest = max((event for event in events if _day(event)), key=lambda event: event.timestamp, default=None)
    return _day(newest) if newest else None


def _day(event: Any) -> date | None:
    try:
        return date.fromisoformat(event.extra["as_of"])
    except (KeyError, TypeError, ValueError):
        return None
