"""Store URLs: which databases they may name, and how people may see them."""

import re
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from storage.errors import InputError, first_line

DEFAULT_URL = "sqlite:///layer-search.db"
_LARGEST_PORT = 2**16 - 1


def parse_url(url: str) -> URL:
    """Return `url` with the database driver of this project.

    Args:
        url: `sqlite:///FILE` or `postgresql://USER@HOST/DATABASE`.

    Raises:
        InputError: it is not the URL of an SQLite file or a PostgreSQL database. The message never
            repeats a password.
    """
    hint = f"use {DEFAULT_URL} or postgresql://USER@HOST/DATABASE"
    if re.fullmatch(r"[\w./~-]+", url):  # a bare path, which is safe to repeat
        hint = f"for an SQLite file write sqlite:///{url}"

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        message = f"the store URL is not a database URL: {hint}"
        raise InputError(message) from error

    kind = parsed.get_backend_name()
    if kind == "sqlite":
        return _sqlite(parsed, hint)
    if kind == "postgresql":
        return _postgresql(parsed, url, hint)
    message = f"a store on {kind!r} is not supported: {hint}"
    raise InputError(message)


def _sqlite(parsed: URL, hint: str) -> URL:
    """Return the URL of an SQLite file with its home folder expanded.

    Raises:
        InputError: it names no file that workers can share, or one that cannot be looked up.
    """
    if not parsed.database or re.match(r"file:|:memory:", parsed.database):
        message = f"the store must be a file that workers can share: {hint}"
        raise InputError(message)

    if parsed.host or parsed.query:
        message = f"an SQLite store is a file alone, without a host or options: {hint}"
        raise InputError(message)

    try:
        file = Path(parsed.database).expanduser()
        is_folder = file.is_dir()
    except (OSError, RuntimeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or first_line(error)
        message = f"cannot keep a store in {parsed.database}: {reason}"
        raise InputError(message) from error

    if is_folder:
        message = f"{file} is a folder: name a file in it, such as sqlite:///{file}/layer-search.db"
        raise InputError(message)
    return parsed.set(drivername="sqlite", database=str(file))


def _postgresql(parsed: URL, url: str, hint: str) -> URL:
    """Return the URL of a PostgreSQL database with its driver, psycopg."""
    if url.count("@") > 1:  # what follows the first may be a password
        message = f"the store URL holds more than one '@': write the password's as %40; {hint}"
        raise InputError(message)
    if not parsed.database:
        message = f"the store URL names no database: {hint}"
        raise InputError(message)

    if parsed.port is not None and not 0 < parsed.port <= _LARGEST_PORT:
        message = f"the store URL names port {parsed.port}: ports go from 1 to {_LARGEST_PORT}"
        raise InputError(message)

    return parsed.set(drivername="postgresql+psycopg")


def display_url(url: URL) -> str:
    """Return `url` as people may see it, without its password."""
    text = url.set(drivername=url.get_backend_name()).render_as_string(hide_password=True)
    return re.sub(r"(?i)(password=)[^&]*", r"\1***", text)
