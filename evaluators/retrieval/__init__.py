"""The evaluator `retrieval`: cut, short contrastive fine-tune, NDCG@10 on NanoBEIR-layout data."""

from evaluators.retrieval.options import EvaluationOptions, Options, TrainOptions

__all__ = ["EvaluationOptions", "Options", "TrainOptions"]
