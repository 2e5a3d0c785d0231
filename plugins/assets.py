"""Names of what DAGs announce to each other. An event is a hint: what is new is read from the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from airflow.sdk import Asset, AssetAll, AssetAny, AssetOrTimeSchedule

from plugins.clock import by_clock


def table_asset(table: str) -> Asset:
    """A validated table of the newest ingest."""
    return Asset(name=f"table {table}", uri=f"bellwether://tables/{table}", group="bellwether")


def champion_asset(family: str) -> Asset:
    """The version of a family that is in service."""
    return Asset(name=f"champion {family}", uri=f"bellwether://champions/{family}", group="bellwether")


def retrain_asset(family: str) -> Asset:
    """A request for a retrain: what the monitor saw of the family's champion is beyond its limits."""
    return Asset(name=f"retrain {family}", uri=f"bellwether://retrain/{family}", group="bellwether")


def retrain_schedule(family: str, tables: Sequence[str], cron: str | None) -> AssetAny | AssetOrTimeSchedule:
    """When a family is retrained: by the clock, or else when all its tables are new; and when it is asked for."""
    asked = retrain_asset(family)
    if cron:
        return AssetOrTimeSchedule(timetable=by_clock(cron), assets=AssetAny(asked))
    return AssetAny(AssetAll(*(table_asset(table) for table in tables)), asked)
