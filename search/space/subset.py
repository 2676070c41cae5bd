"""Subsets of layers and their canonical key, `0_1_2_18`.

The key is how the store writes a subset, so its format is defined there, once: `parse_subset`
raises the `InputError` of the store.
"""

from storage.values.subset_key import Subset, format_subset, parse_subset

__all__ = ["Subset", "format_subset", "parse_subset"]
