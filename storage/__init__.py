"""Remembers: one SQL store, on SQLite or PostgreSQL, that any number of workers share."""
