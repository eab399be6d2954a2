"""Runs migrations on the connection the ledger hands over. There is no other way to run them."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    render_as_batch=True,
    # SQLite can roll back tables too, once the driver does not begin transactions by itself.
    transactional_ddl=True,
)
context.run_migrations()
