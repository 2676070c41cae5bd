"""The evaluator `retrieval`: cut, short contrastive fine-tune, NDCG@10 on NanoBEIR-layout data."""

from evaluators._errors import InputError
from evaluators._types import Context, Evaluator
from evaluators.retrieval.options import (
    EvaluationOptions,
    HeldoutOptions,
    RetrievalOptions,
    TrainOptions,
)

__all__ = ["EvaluationOptions", "HeldoutOptions", "Options", "TrainOptions"]


class Options(RetrievalOptions):
    """Keys of `[evaluator]` with `name = "retrieval"`, and the way to build it from them."""

    def create(self, context: Context) -> Evaluator:
        """Load the base and the data, once for all trials of this process.

        Args:
            context: base, folders and device.

        Raises:
            InputError: something that the options name is missing or does not fit.
        """
        if context.base is None:
            message = "evaluator 'retrieval' needs a [base] section with the model to cut"
            raise InputError(message)
        if self.steps and self.train is None:
            message = "evaluator.train is missing: name the training data, or set steps = 0"
            raise InputError(message)

        # imported here: it loads torch, and commands which only read a study file start at once
        from evaluators.retrieval.evaluator import RetrievalEvaluator  # noqa: PLC0415

        return RetrievalEvaluator.load(self, context.base, context)
