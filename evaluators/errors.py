"""The errors of evaluators. Their messages are written for the person at the terminal."""


class EvaluatorError(Exception):
    """The evaluator cannot go on."""


class InputError(EvaluatorError, ValueError):
    """What was asked for cannot be: no such file, no such column, a model without layers."""


class TrialFailure(EvaluatorError):  # noqa: N818 - an expected end of a trial, not a defect
    """This trial has no score; the reason is recorded and the study goes on."""
