"""`feedback`: What a customer let the assistant know about a turn, in words or by deed."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import BigInteger, DateTime, Double

from ml.contracts.base import key_column, required, table

feedback = table(
    "feedback",
    key_column("dialogue_id"),
    key_column("turn_idx", BigInteger),
    key_column("kind"),
    required("given_at", DateTime),
    required("value", Double),
    event_time="given_at",
    late_by=timedelta(days=1),
)
