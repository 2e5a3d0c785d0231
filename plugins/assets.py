"""Names of what DAGs announce to each other. An event is a hint: what is new is read from the ledger."""

from __future__ import annotations

from airflow.sdk import Asset


def table_asset(table: str) -> Asset:
    """A validated table of the newest ingest."""
    return Asset(name=f"table {table}", uri=f"bellwether://tables/{table}", group="bellwether")


def champion_asset(family: str) -> Asset:
    """The version of a family that is in service."""
    return Asset(name=f"champion {family}", uri=f"bellwether://champions/{family}", group="bellwether")
