"""Optuna's storage in the same database, with the same connection settings."""

import optuna
from optuna.storages import RDBStorage
from sqlalchemy import URL

from storage import engine as engines


def open_optuna(url: URL, *, create: bool = False) -> RDBStorage:
    """Optuna's storage at `url`. `create` makes its tables: only under the caller's lock."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return RDBStorage(
        url.render_as_string(hide_password=False),
        engine_kwargs=engines.settings(url),
        skip_table_creation=not create,
        skip_compatibility_check=not create,
    )


def create_tables(url: URL) -> None:
    """Create Optuna's tables where they are missing."""
    storage = open_optuna(url, create=True)
    storage.engine.dispose()
