"""`events`: Occasions: of the whole store, or of one category."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Date, Text

from ml.contracts.base import key_column, optional, required, table

events = table(
    "events",
    key_column("event_id"),
    required("start_day", Date),
    required("name", Text),
    required("end_day", Date),
    required("kind", Text),
    optional("category", Text),
    event_time="start_day",
    known_ahead=timedelta(days=400),
)
