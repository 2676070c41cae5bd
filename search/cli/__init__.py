"""The command line: `layer-search`."""

from search.cli.app import app, main

__all__ = ["app", "main"]
