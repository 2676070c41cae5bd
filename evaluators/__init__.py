"""Evaluators: models and data, which turn a subset of layers and a seed into scores.

An evaluator is a public module or package in this folder (its name has no leading underscore) with
one class `Options`, derived from `EvaluatorOptions`: a frozen record of the keys it takes under
`[evaluator]` in a study file, with a method `create` that builds an object of the `Evaluator`
protocol.

Importing this package or an evaluator never imports torch; `Options.create` may.
"""

from evaluators._errors import EvaluatorError, InputError, TrialFailure
from evaluators._options import BaseOptions, ScreenOptions, StrictRecord
from evaluators._types import (
    Context,
    Cost,
    Description,
    Evaluation,
    Evaluator,
    EvaluatorOptions,
    Exporter,
    Measurable,
    Partial,
    Progress,
    Resumable,
    Screener,
    ScreenScore,
    Speed,
    SubsetTree,
    TaskEvaluation,
    TaskShare,
    silent,
)

__all__ = [
    "BaseOptions",
    "Context",
    "Cost",
    "Description",
    "Evaluation",
    "Evaluator",
    "EvaluatorError",
    "EvaluatorOptions",
    "Exporter",
    "InputError",
    "Measurable",
    "Partial",
    "Progress",
    "Resumable",
    "ScreenOptions",
    "ScreenScore",
    "Screener",
    "Speed",
    "StrictRecord",
    "SubsetTree",
    "TaskEvaluation",
    "TaskShare",
    "TrialFailure",
    "silent",
]
