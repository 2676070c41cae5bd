"""The PostgreSQL role of a reader, as tests connect as it and look at it."""

import hashlib
import hmac
import re
from base64 import b64decode

import psycopg
from sqlalchemy import make_url

from tests.support.databases import run_sql

READER = "looker_of_these_tests"


def as_reader(url: str, name: str = READER) -> str:
    """Return the store's URL for the role; the server of these tests asks for no password."""
    return make_url(url).set(username=name).render_as_string(hide_password=False)


def stored_password(url: str, name: str = READER) -> str | None:
    """Return the hash that the server keeps of the role's password; None when it has none."""
    with psycopg.connect(url) as connection:
        query = "SELECT rolpassword FROM pg_authid WHERE rolname = %s"
        (kept,) = connection.execute(query, [name]).fetchone() or (None,)
    return None if kept is None else str(kept)


def fits(kept: str | None, password: str) -> bool:
    """Whether `password` is the one behind the server's hash, as RFC 5802 checks it."""
    found = re.fullmatch(r"SCRAM-SHA-256\$(\d+):(.+)\$(.+):(.+)", kept or "")
    assert found is not None
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), b64decode(found[2]), int(found[1]))
    key = hmac.digest(salted, b"Client Key", "sha256")
    return hashlib.sha256(key).digest() == b64decode(found[3])


def drop_readers(url: str) -> None:
    """Drop every role that a test has made: roles outlive their database."""
    names = run_sql(url, "SELECT rolname FROM pg_roles WHERE rolname LIKE 'looker_of%'")
    for (name,) in names:
        run_sql(url, f'DROP OWNED BY "{name}"', f'DROP ROLE "{name}"')
