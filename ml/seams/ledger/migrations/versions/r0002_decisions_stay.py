"""Decisions stay as they were written: the database refuses to change or to drop one."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_REFUSAL = "decisions are append-only"
_FUNCTION = f"""
CREATE FUNCTION bellwether_decisions_stay() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '{_REFUSAL}' USING ERRCODE = 'restrict_violation'; END $$
"""


def upgrade() -> None:
    """Add the triggers."""
    for statement in _statements(op.get_bind().dialect.name):
        op.execute(statement)


def _statements(dialect: str) -> list[str]:
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER decisions_no_{change} BEFORE {change} ON decisions "
            f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
            for change in ("UPDATE", "DELETE")
        ]
    return [
        _FUNCTION,
        "CREATE TRIGGER decisions_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON decisions "
        "FOR EACH STATEMENT EXECUTE FUNCTION bellwether_decisions_stay()",
        "REVOKE UPDATE, DELETE, TRUNCATE ON decisions FROM PUBLIC",
    ]


def downgrade() -> None:
    """Drop the triggers."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER decisions_no_UPDATE")
        op.execute("DROP TRIGGER decisions_no_DELETE")
        return
    op.execute("DROP TRIGGER decisions_stay ON decisions")
    op.execute("DROP FUNCTION bellwether_decisions_stay")
