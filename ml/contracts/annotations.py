"""`annotations`: What people say about a turn."""

from datetime import timedelta

from sqlalchemy import BigInteger, DateTime, Text

from ml.contracts.base import key_column, required, table

annotations = table(
    "annotations",
    key_column("dialogue_id"),
    key_column("turn_idx", BigInteger),
    key_column("kind"),
    key_column("annotator_id"),
    required("annotated_at", DateTime),
    required("label", Text),
    event_time="annotated_at",
    late_by=timedelta(days=7),
)
