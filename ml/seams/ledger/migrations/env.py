"""Alembic runs this file: it migrates the connection that `ml.seams.ledger.migrate` hands over."""

from alembic import context

from ml.seams.ledger.models import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
