"""Alembic's entry: migrates on the connection it is handed."""

from alembic import context

from storage.migrations import VERSION_TABLE
from storage.schema import Table


def migrate() -> None:
    """Run the migrations on the connection of the one transaction that `storage.setup` opened."""
    names = {*Table.metadata.tables, VERSION_TABLE}
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=Table.metadata,
        version_table=VERSION_TABLE,
        # Optuna's tables live in the same database and are none of our business
        include_name=lambda name, kind, _parents: kind != "table" or name in names,
    )
    context.run_migrations()


migrate()
