"""`creators`: Who posts; the table has no time and is taken whole."""

from __future__ import annotations

from sqlalchemy import BigInteger

from ml.contracts.base import key_column, required, table

creators = table(
    "creators",
    key_column("creator_id"),
    required("followers", BigInteger),
    event_time=None,
)
