"""What alembic runs: the migrations, inside the transaction that the store has opened."""

from __future__ import annotations

from alembic import context

from calib.ledger.revision import VERSION_TABLE
from calib.ledger.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
