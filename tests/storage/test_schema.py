"""The tables of the store: the same as the models, and as strict."""

import pytest
from sqlalchemy import Engine, insert, inspect, select, text
from sqlalchemy.exc import IntegrityError, StatementError

from storage.database import read, write
from storage.errors import InputError
from storage.leaderboard.views import VIEWS
from storage.schema import Depth, Trial
from storage.states import Origin, TrialState
from tests.support.schema import differences
from tests.support.stores import begin, new_trial, query, queue_of


def test_tables_are_those_of_the_models(engine: Engine) -> None:
    assert differences(engine) == []
    assert sorted(inspect(engine).get_view_names()) == sorted(VIEWS)


def row(study_id: int, **changed: object) -> dict[str, object]:
    """Return the column values of a trial."""
    good: dict[str, object] = {
        "study_id": study_id,
        "depth": 4,
        "subset": (0, 1),
        "seed": 0,
        "origin": Origin.SAMPLER,
        "state": TrialState.WAITING,
        "token": 1,
        "crashes": 0,
        "mirrored": False,
    }
    return good | changed


def test_database_refuses_rows_that_the_models_refuse(engine: Engine) -> None:
    study = begin(engine, {4: 2, 7: 3})
    for wrong in ({"study_id": 99}, {"depth": 5}, {"subset": None}):
        with pytest.raises(IntegrityError), write(engine) as connection:
            connection.execute(insert(Trial).values(row(study.id) | wrong))

    with write(engine) as connection:
        connection.execute(insert(Trial).values(row(study.id)))
    with pytest.raises(IntegrityError), write(engine) as connection:
        connection.execute(insert(Trial).values(row(study.id)))


def test_unknown_state_is_refused(engine: Engine) -> None:
    study = begin(engine, {4: 2})
    with pytest.raises(StatementError), write(engine) as connection:
        connection.execute(insert(Trial).values(row(study.id, state="lost")))

    queue_of(engine, study).claim(new_trial((0, 1, 2, 3)))
    for change in ("search_trials SET state = 'lost'", "search_attempts SET outcome = 'lost'"):
        with pytest.raises(IntegrityError), write(engine) as connection:
            connection.execute(text(f"UPDATE {change}"))


def test_values_are_text_in_sql_and_typed_in_python(engine: Engine) -> None:
    study = begin(engine, {4: 2})
    with write(engine) as connection:
        connection.execute(insert(Trial).values(row(study.id, subset=(0, 1, 2, 18))))
    sql = "SELECT subset, origin, state FROM search_trials"
    assert query(engine, sql) == [("0_1_2_18", "sampler", "waiting")]

    with read(engine) as connection:
        found = connection.execute(select(Trial.subset, Trial.origin, Trial.state)).one()
        leader = connection.execute(select(Depth.leader)).scalar_one()
    assert tuple(found) == ((0, 1, 2, 18), Origin.SAMPLER, TrialState.WAITING)
    assert (type(found.origin), type(found.state)) == (Origin, TrialState)
    assert leader is None


def test_subset_that_is_none_is_refused_as_it_is_read(engine: Engine) -> None:
    study = begin(engine, {4: 2})
    with write(engine) as connection:
        connection.execute(insert(Trial).values(row(study.id)))
        connection.execute(text("UPDATE search_trials SET subset = '1_0'"))
    with pytest.raises(InputError, match="'1_0' is not a subset"), read(engine) as connection:
        connection.execute(select(Trial.subset)).all()
