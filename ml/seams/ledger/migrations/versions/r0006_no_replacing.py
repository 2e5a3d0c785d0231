"""SQLite: `INSERT OR REPLACE` would put another row in a decision's place, past the triggers of UPDATE and DELETE."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_KEYS = {
    "decisions": ("decisions are append-only", "family = NEW.family AND seq = NEW.seq"),
    "row_decisions": ("decisions about rows are append-only", "decision_id = NEW.decision_id"),
}


def upgrade() -> None:
    """Add the triggers. (PostgreSQL's own way, ON CONFLICT DO UPDATE, meets the trigger of UPDATE.)"""
    if op.get_bind().dialect.name != "sqlite":
        return
    for table, (refusal, same) in _KEYS.items():
        op.execute(
            f"CREATE TRIGGER {table}_no_REPLACE BEFORE INSERT ON {table} "
            f"WHEN EXISTS (SELECT 1 FROM {table} WHERE rowid = NEW.rowid OR ({same})) "
            f"BEGIN SELECT RAISE(ABORT, '{refusal}'); END"
        )


def downgrade() -> None:
    """Drop the triggers."""
    if op.get_bind().dialect.name == "sqlite":
        for table in _KEYS:
            op.execute(f"DROP TRIGGER {table}_no_REPLACE")
