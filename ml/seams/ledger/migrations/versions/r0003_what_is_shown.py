"""A publication names the run that made it, and the pages that it put in place."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; what was published before has none of it."""
    for name in ("run_id", "pages"):
        op.add_column("publications", sa.Column(name, sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    """Drop the columns."""
    with op.batch_alter_table("publications", schema=None) as batch_op:
        for name in ("run_id", "pages"):
            batch_op.drop_column(name)
