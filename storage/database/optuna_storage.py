"""Optuna's own storage in the same database, with the same connection settings."""

import optuna
from optuna.storages import RDBStorage
from sqlalchemy import URL

from storage.database.engine import engine_settings


def open_optuna(url: URL, *, create: bool = False) -> RDBStorage:
    """Open Optuna's storage at `url`.

    Args:
        url: the store.
        create: whether its tables are made where they are missing; only under the lock of a setup.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    settings = engine_settings(url)
    storage = RDBStorage(
        url.render_as_string(hide_password=False),
        engine_kwargs=settings,
        skip_table_creation=not create,
        skip_compatibility_check=not create,
    )
    if "creator" in settings:
        settings["creator"].attach(storage.engine)
    return storage


def create_optuna_tables(url: URL) -> None:
    """Create Optuna's tables where they are missing."""
    storage = open_optuna(url, create=True)
    storage.engine.dispose()
