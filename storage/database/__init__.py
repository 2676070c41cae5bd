"""The database behind the store: connections, transactions, its clock, and outages."""

from storage.database.clock import utc_now
from storage.database.engine import connect, insert_missing, read, write
from storage.database.retry import available, patient
from storage.database.url import display_url, parse_url

__all__ = [
    "available",
    "connect",
    "display_url",
    "insert_missing",
    "parse_url",
    "patient",
    "read",
    "utc_now",
    "write",
]
