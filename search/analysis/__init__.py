"""Findings of a study: answers, comparisons, the quality of screens, model cards."""
