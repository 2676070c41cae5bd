"""The short contrastive fine-tune, with sentence-transformers' own trainer and losses."""

import math
import tempfile
from collections.abc import Sequence
from typing import Any

import torch
from datasets import Dataset
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    MultipleNegativesRankingLoss,
)
from sentence_transformers.sentence_transformer.training_args import BatchSamplers
from transformers import (
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from evaluators._types import Progress
from evaluators.errors import TrialFailure
from evaluators.retrieval import Options

CACHED = "cached-multiple-negatives-ranking"


class _Trainer(SentenceTransformerTrainer):
    """The stock trainer without its model card, which looks things up on the hub."""

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Add nothing."""


class _Watch(TrainerCallback):
    """Reports each step, and ends a run whose loss is no longer a number."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def on_step_end(
        self,
        args: TrainingArguments,  # noqa: ARG002 - the trainer's signature
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        **_: object,
    ) -> None:
        """Report the step."""
        self.progress("train", state.global_step, state.max_steps)

    def on_log(
        self,
        args: TrainingArguments,  # noqa: ARG002 - the trainer's signature
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        logs: dict[str, float] | None = None,
        **_: object,
    ) -> None:
        """Fail the trial on a loss that is not finite."""
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            message = f"the loss is not a number at step {state.global_step} of {state.max_steps}"
            raise TrialFailure(message)


def finetune(
    model: SentenceTransformer,
    pairs: Dataset,
    options: Options,
    *,
    seed: int,
    bf16: bool,
    micro_batch: int | None,
    progress: Progress,
    callbacks: Sequence[TrainerCallback] = (),
) -> None:
    """Train `model` in place for `options.steps` steps.

    Args:
        model: the cut model, on its device.
        pairs: columns `anchor`, `positive`, `negative_1`, ... in this order.
        options: loss, steps, batch and learning rate.
        seed: decides order, dropout and everything else left to chance.
        bf16: run matrix products in bfloat16.
        micro_batch: texts per forward pass, through the cached loss; None is one pass per batch.
        progress: called after every step.
        callbacks: of the stock trainer, besides those that watch the loss.

    Raises:
        TrialFailure: the loss became NaN or infinite.
    """
    prompts = dict.fromkeys(pairs.column_names, options.document_prompt)
    prompts["anchor"] = options.query_prompt
    with tempfile.TemporaryDirectory(prefix="layer-search-") as scratch:
        arguments = SentenceTransformerTrainingArguments(
            output_dir=scratch,
            max_steps=options.steps,
            per_device_train_batch_size=options.batch_size,
            learning_rate=options.learning_rate,
            warmup_steps=options.warmup,
            bf16=bf16,
            seed=seed,
            data_seed=seed,
            batch_sampler=BatchSamplers.NO_DUPLICATES,
            prompts=prompts if any(prompts.values()) else None,
            # the lengths of queries and documents differ, and the model knows them by these names
            router_mapping={
                name: "query" if name == "anchor" else "document" for name in pairs.column_names
            },
            use_cpu=model.device.type == "cpu",
            dataloader_pin_memory=model.device.type == "cuda",
            save_strategy="no",
            logging_steps=max(1, options.steps // 10),
            logging_nan_inf_filter=False,
            report_to="none",
            disable_tqdm=True,
        )
        trainer = _Trainer(
            model=model,
            args=arguments,
            train_dataset=pairs,
            loss=_loss(model, micro_batch),
            callbacks=[_Watch(progress), *callbacks],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    if not all(torch.isfinite(weight).all() for weight in model.parameters()):
        message = "the weights are not numbers after training: lower evaluator.learning_rate"
        raise TrialFailure(message)


def _loss(model: SentenceTransformer, micro_batch: int | None) -> torch.nn.Module:
    """The ranking loss: both forms compute the same gradients (GradCache, Gao et al. 2021)."""
    if micro_batch is None:
        return MultipleNegativesRankingLoss(model)
    return CachedMultipleNegativesRankingLoss(model, mini_batch_size=micro_batch)
