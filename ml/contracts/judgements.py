"""`judgements`: How relevant an annotator found a product for a query: 0 irrelevant to 3 exact."""

from __future__ import annotations

from sqlalchemy import BigInteger, DateTime

from ml.contracts.base import key_column, required, table

judgements = table(
    "judgements",
    key_column("query"),
    key_column("product_id", references="products.product_id"),
    key_column("annotator_id"),
    required("judged_at", DateTime),
    required("grade", BigInteger),
    event_time="judged_at",
)
