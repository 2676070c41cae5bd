"""Decides: which subsets exist, which one is tried next, who runs it, what the answer is."""
