"""`turns`: What was said in a dialogue, by whom."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import BigInteger, Boolean, DateTime, Double, Text

from ml.contracts.base import key_column, optional, required, table

turns = table(
    "turns",
    key_column("dialogue_id"),
    key_column("turn_idx", BigInteger),
    required("said_at", DateTime),
    required("speaker", Text),
    required("text", Text),
    optional("asr_confidence", Double),
    optional("nlu_confidence", Double),
    optional("domain", Text),
    optional("intent", Text),
    optional("action", Text),
    optional("barge_in", Boolean),
    event_time="said_at",
    late_by=timedelta(days=1),
)
