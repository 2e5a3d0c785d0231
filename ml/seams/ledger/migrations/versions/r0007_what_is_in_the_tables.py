"""A publication keeps the digest of each of its tables."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; what was published before is compared by its numbers of rows."""
    op.add_column("publications", sa.Column("contents", sa.JSON(), nullable=False, server_default="{}"))


def downgrade() -> None:
    """Drop the column."""
    with op.batch_alter_table("publications", schema=None) as batch_op:
        batch_op.drop_column("contents")
