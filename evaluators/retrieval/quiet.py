"""Silences the libraries' own progress bars: the search draws one for the whole trial."""

import logging

import datasets
import transformers


def silence() -> None:
    """Turn the libraries' bars and chatter off, in this process."""
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    logging.getLogger("sentence_transformers").setLevel(logging.WARNING)
