"""What the monitor saw of each champion."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "monitoring",
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("champion_run", sa.Text(), nullable=False),
        sa.Column("ingest", sa.Text(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("looked_at", sa.DateTime(), nullable=False),
        sa.Column("breached", sa.Boolean(), nullable=False),
        sa.Column("asked", sa.Boolean(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("family", "run_id"),
    )
    with op.batch_alter_table("monitoring", schema=None) as batch_op:
        batch_op.create_index("monitoring_by_family", ["family", "looked_at"], unique=False)


def downgrade() -> None:
    """Drop it."""
    with op.batch_alter_table("monitoring", schema=None) as batch_op:
        batch_op.drop_index("monitoring_by_family")
    op.drop_table("monitoring")
