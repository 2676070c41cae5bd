"""Store URLs: which are refused and why, and that no message repeats a password."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from sqlalchemy import URL

from storage.database import display_url, parse_url
from storage.errors import InputError
from storage.setup import open_store
from tests.support.passwords import PASSWORDS


@pytest.mark.parametrize(
    ("url", "parsed"),
    [
        ("sqlite:///store.db", "sqlite:///store.db"),
        ("sqlite+pysqlite:////data/store.db", "sqlite:////data/store.db"),
        ("postgresql://ann@host:5433/search", "postgresql+psycopg://ann@host:5433/search"),
        ("postgresql+psycopg2://ann@host/search", "postgresql+psycopg://ann@host/search"),
    ],
)
def test_url_gets_the_driver_of_this_project(url: str, parsed: str) -> None:
    assert str(parse_url(url)) == parsed


def test_file_may_lie_in_the_users_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parse_url("sqlite:///~/store.db").database == f"{tmp_path}/store.db"


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "not a database URL"),
        ("garbage", "not a database URL"),
        ("/var/data/store.db", "not a database URL"),
        ("postgresql://u@host:port/db", "not a database URL"),
        ("mysql://u@host/db", "'mysql' is not supported"),
        ("mysql+pymysql://u@host/db", "'mysql' is not supported"),
        ("oracle://u@host/db", "'oracle' is not supported"),
        ("sqlite://", "must be a file"),
        ("sqlite:///", "must be a file"),
        ("sqlite:///:memory:", "must be a file"),
        ("sqlite:///file::memory:?cache=shared&uri=true", "must be a file"),
        ("sqlite://host/store.db", "without a host or options: use sqlite:///"),
        ("sqlite:///store.db?timeout=x", "without a host or options: use sqlite:///"),
        ("sqlite:////", "/ is a folder: name a file in it"),
        (f"sqlite:///{'a' * 300}.db", "File name too long"),
        ("sqlite:///~nosuchperson/store.db", "home directory"),
        ("postgresql://u@host:65536/db", "names port 65536: ports go from 1 to 65535"),
        ("sqlite:////no/such/folder/store.db", "/no/such/folder"),
        ("postgresql://u@host", "names no database"),
        ("postgresql://u@host/", "names no database"),
        ("postgresql://u:a@b@host/db", "more than one '@': write the password's as %40"),
    ],
)
def test_bad_url_is_refused(url: str, reason: str, *, create: bool) -> None:
    with pytest.raises(InputError) as caught:
        open_store(url, create=create)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("results/store.db", "for an SQLite file write sqlite:///results/store.db"),
        ("a path", "use sqlite:///layer-search.db or postgresql://USER@HOST/DATABASE"),
    ],
)
def test_refusal_says_how_to_write_it(url: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_url(url)
    assert str(caught.value).endswith(hint)


# passwords


@given(password=PASSWORDS)
@settings(deadline=None)
def test_display_hides_the_password(password: str) -> None:
    kept = URL.create("postgresql", "ann", password, "db.example", 5432, "search")
    asked = URL.create("postgresql", "ann", None, "db.example", 5432, "search")
    asked = asked.set(query={"password": password, "sslmode": "require"})

    for url in (kept, asked):
        parsed = parse_url(url.render_as_string(hide_password=False))
        assert password in (parsed.password, parsed.query.get("password"))
        shown = display_url(parsed)
        assert shown.startswith("postgresql://ann")
        assert "db.example:5432/search" in shown
        assert "0Qz" not in shown  # neither the password nor its quoted form
        assert "***" in shown


@given(password=PASSWORDS)
@settings(deadline=None)
def test_password_that_nobody_escaped_is_not_shown_either(password: str) -> None:
    for url in (f"mysql://ann:{password}@host/db", f"postgresql://ann:{password}@host/db"):
        try:
            shown = display_url(parse_url(url))
        except InputError as error:
            shown = str(error)
        assert "0Qz" not in shown


def test_file_is_shown_as_it_was_given(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    assert display_url(parse_url(url)) == url
