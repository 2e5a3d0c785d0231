"""`searches`: One row for each result shown for a query, and what the customer did with it."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import BigInteger, Boolean, DateTime, Text

from ml.contracts.base import key_column, optional, required, table

searches = table(
    "searches",
    key_column("search_id"),
    key_column("position", BigInteger),
    required("searched_at", DateTime),
    optional("customer_id", Text),
    required("query", Text),
    required("modality", Text),
    required("product_id", Text, references="products.product_id"),
    required("engaged", Boolean),
    required("purchased", Boolean),
    event_time="searched_at",
    late_by=timedelta(days=1),
)
