"""The base: its files, its settings, and the retrievers that are cut from it."""

from evaluators.retrieval.base.loaded import LoadedBase
from evaluators.retrieval.base.settings import Settings

__all__ = ["LoadedBase", "Settings"]
