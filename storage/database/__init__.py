"""The database behind the store: connections, transactions, its clock, and outages."""

from storage.database.clock import utc_now
from storage.database.engine import connect, insert_missing, read, write, write_and_hang_up
from storage.database.retry import (
    available,
    explain,
    is_outage,
    is_refusal,
    patient,
    reason_of,
)
from storage.database.url import display_url, parse_url

__all__ = [
    "available",
    "connect",
    "display_url",
    "explain",
    "insert_missing",
    "is_outage",
    "is_refusal",
    "parse_url",
    "patient",
    "read",
    "reason_of",
    "utc_now",
    "write",
    "write_and_hang_up",
]
