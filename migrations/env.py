"""Alembic's entry: runs on the connection that storage.schema hands over."""

from alembic import context

from storage.models import Table

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("Run `audiostory migrate`: it knows where the data folder is.")
context.configure(connection=connection, target_metadata=Table.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
