"""Optuna's own tables beside ours."""

import optuna
from sqlalchemy import Engine, inspect

from storage.database import parse_url
from storage.database.optuna_storage import open_optuna
from storage.schema import Table
from storage.studies import study_names


def test_optunas_tables_exist_beside_ours(engine: Engine, store_url: str) -> None:
    tables = set(inspect(engine).get_table_names())
    assert {"studies", "trials", "trial_params", "alembic_version"} <= tables
    assert set(Table.metadata.tables) <= tables
    assert all(name.startswith("search_") for name in Table.metadata.tables)

    storage = open_optuna(parse_url(store_url))
    made = optuna.create_study(storage=storage, study_name="theirs", direction="maximize")
    made.tell(made.ask(), 0.5)
    assert [study.study_name for study in storage.get_all_studies()] == ["theirs"]
    assert study_names(engine) == []
    storage.engine.dispose()


def test_optunas_own_check_accepts_its_tables(engine: Engine) -> None:
    url = engine.url.render_as_string(hide_password=False)
    storage = optuna.storages.RDBStorage(url, skip_table_creation=True)
    assert storage.get_current_version() == storage.get_head_version()
    storage.engine.dispose()
