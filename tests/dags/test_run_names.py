"""Names of runs: the same for a retry, another for another run, safe in a path."""

from __future__ import annotations

from datetime import UTC, date, datetime
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from plugins.run_ids import announced_day, asked_day, run_id, scheduled_day

DAY = date(2024, 2, 29)


def test_a_retry_finds_the_same_name() -> None:
    names = {run_id("ingest", DAY, "auto", "scheduled__2024-02-29T03:00:00+00:00") for _ in range(3)}
    assert names == {"ingest-2024-02-29-7ceb4d"}


def test_another_run_or_day_has_another_name() -> None:
    assert run_id("ingest", DAY, "auto", "manual__1") != run_id("ingest", DAY, "auto", "manual__2")
    assert run_id("ingest", DAY, "auto", "manual__1") != run_id("ingest", None, "auto", "manual__1")


@given(st.text(max_size=80))
def test_names_are_short_and_safe_whatever_airflow_calls_its_run(airflow_run: str) -> None:
    name = run_id("retrain-ground_truth", None, "newest", airflow_run)
    assert len(name) < 60
    assert name.replace("-", "").replace("_", "").isalnum()


def test_days_come_from_where_they_are_given() -> None:
    end = datetime(2024, 2, 29, 3, tzinfo=UTC)
    run = SimpleNamespace(run_type=SimpleNamespace(value="backfill"), data_interval_end=end, logical_date=end)
    assert scheduled_day(run) == DAY
    assert (
        scheduled_day(SimpleNamespace(run_type="scheduled", data_interval_end=None, logical_date=end)) == DAY
    )
    assert (
        scheduled_day(SimpleNamespace(run_type="asset_triggered", data_interval_end=end, logical_date=end))
        is None
    )
    assert asked_day({"as_of": "2024-02-29"}) == DAY
    assert asked_day({"as_of": None}) is asked_day({}) is None


def test_nonsense_in_an_event_is_no_error() -> None:
    events = [
        SimpleNamespace(extra=extra, timestamp=1) for extra in (None, {}, {"as_of": None}, {"as_of": "soon"})
    ]
    assert announced_day(events) is None
    assert announced_day([*events, SimpleNamespace(extra={"as_of": "2024-02-29"}, timestamp=0)]) == DAY
