"""`annotations`: What people say about a turn.

The labels by kind: `satisfaction` "1" (very dissatisfied) to "5", on a turn of the user; `goal_boundary` "yes" where a
new task begins, else "no", on a turn of the user (the first turn of a dialogue is a "yes"); `goal_success` "yes" or
"no", on the last turn of the goal, whoever speaks; `intent` any name, on a turn of the user; `failure_point` the first
component that failed for good ("recognition", "understanding", "entity", "result") or "none", on the goal's last turn.
A turn without an annotation of a kind was not looked at.
"""

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
