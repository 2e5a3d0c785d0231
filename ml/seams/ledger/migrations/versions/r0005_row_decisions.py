"""What people decided about rows that were put aside; decisions stay as they were written."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"
branch_labels = None
depends_on = None

_REFUSAL = "decisions about rows are append-only"
_FUNCTION = f"""
CREATE FUNCTION bellwether_row_decisions_stay() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '{_REFUSAL}' USING ERRCODE = 'restrict_violation'; END $$
"""


def upgrade() -> None:
    """Add the table, and the triggers that keep what is in it."""
    op.create_table(
        "row_decisions",
        sa.Column("decision_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("shop", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("row_id", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("ingest", sa.Text(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("batch", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("decision_id"),
    )
    with op.batch_alter_table("row_decisions", schema=None) as batch_op:
        batch_op.create_index("row_decisions_by_row", ["shop", "table_name", "row_id"], unique=False)
    for statement in _statements(op.get_bind().dialect.name):
        op.execute(statement)


def _statements(dialect: str) -> list[str]:
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER row_decisions_no_{change} BEFORE {change} ON row_decisions "
            f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
            for change in ("UPDATE", "DELETE")
        ]
    return [
        _FUNCTION,
        "CREATE TRIGGER row_decisions_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON row_decisions "
        "FOR EACH STATEMENT EXECUTE FUNCTION bellwether_row_decisions_stay()",
        "REVOKE UPDATE, DELETE, TRUNCATE ON row_decisions FROM PUBLIC",
    ]


def downgrade() -> None:
    """Drop them."""
    op.drop_table("row_decisions")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION bellwether_row_decisions_stay")
