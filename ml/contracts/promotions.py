"""`promotions`: What was, is and will be promoted, and how."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Date, Double, Text

from ml.contracts.base import key_column, optional, required, table

promotions = table(
    "promotions",
    key_column("promotion_id"),
    key_column("product_id", references="products.product_id"),
    required("start_day", Date),
    required("end_day", Date),
    required("kind", Text),
    optional("discount_pct", Double),
    event_time="start_day",
    known_ahead=timedelta(days=120),
)
