"""Errors of evaluators. Their messages are written for the person at the terminal."""


class EvaluatorError(Exception):
    """An evaluator cannot go on."""


class InputError(EvaluatorError, ValueError):
    """An option, a file or a model does not exist or does not fit."""


class TrialFailure(EvaluatorError):  # noqa: N818 - an expected end of a trial, not a defect
    """A trial has no score; its reason is recorded, and the study goes on."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the name of its class if it has none."""
    return str(error).strip().split("\n", 1)[0] or type(error).__name__
