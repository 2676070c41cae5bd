"""Subsets of layers and their canonical key, `0_1_2_18`.

The key is how the store writes a subset, so its format is defined there, once.
"""

from storage.subset_key import Subset, key, parse

__all__ = ["Subset", "key", "parse"]
