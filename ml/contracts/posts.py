"""`posts`: What people showed of products, and who reshared it."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import DateTime, Text

from ml.contracts.base import image, key_column, optional, required, table

posts = table(
    "posts",
    key_column("post_id"),
    required("posted_at", DateTime),
    required("product_id", Text, references="products.product_id"),
    required("creator_id", Text, references="creators.creator_id"),
    optional("parent_post_id", Text),
    required("platform", Text),
    optional("text", Text),
    image("image_uri"),
    event_time="posted_at",
    late_by=timedelta(days=1),
)
