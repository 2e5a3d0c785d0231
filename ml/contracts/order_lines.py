"""`order_lines`: What was bought; a negative quantity is a return."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import BigInteger, DateTime, Double, Text

from ml.contracts.base import key_column, optional, required, table

order_lines = table(
    "order_lines",
    key_column("order_id"),
    key_column("line_no", BigInteger),
    required("ordered_at", DateTime),
    optional("customer_id", Text),
    required("product_id", Text, references="products.product_id"),
    required("quantity", Double),
    required("unit_price", Double),
    event_time="ordered_at",
    late_by=timedelta(days=2),
)
