"""When a DAG runs by the clock."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable


def by_clock(cron: str) -> CronTriggerTimetable:
    """Whenever `cron` (UTC) says so, the first time after the DAG became known.

    Given a cron expression alone, Airflow begins with the time that has just passed: whoever starts the platform within
    a tenth of a day after it would get an ingest that nobody asked for, before their own.
    """
    return CronTriggerTimetable(cron, timezone="UTC", run_immediately=timedelta(0))
