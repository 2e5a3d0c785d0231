"""`products`: What the store sells."""

from __future__ import annotations

from sqlalchemy import DateTime, Double, Text

from ml.contracts.base import image, key_column, optional, required, table

products = table(
    "products",
    key_column("product_id"),
    optional("launched_at", DateTime),
    required("title", Text),
    optional("description", Text),
    required("category", Text),
    optional("brand", Text),
    required("price", Double),
    image("image_uri"),
    event_time="launched_at",
)
