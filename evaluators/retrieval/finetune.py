"""The short contrastive fine-tune, with sentence-transformers' own trainer and losses."""

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
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
from sentence_transformers.util import SimilarityFunction
from transformers import (
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)

from evaluators._errors import TrialFailure
from evaluators._types import Progress
from evaluators.retrieval import device
from evaluators.retrieval.options import RetrievalOptions

COSINE_SCALE = 20.0
"""Factor of cosines in the loss: the library's default, an inverse temperature. Other similarities
have no bounds and keep their own scale, as the library advises for dot products."""
_LOGGED_PARTS = 10
"""The loss is looked at this often in a run: enough to end a run soon after it became NaN, and
seldom enough that waiting for the device to report it costs nothing."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a fine-tune, besides its data and its options.

    Attributes:
        seed: decides order, dropout and everything else left to chance.
        bf16: run matrix products in bfloat16.
        micro_batch: texts per forward pass, through the cached loss; None is one pass per batch.
        progress: called after every step.
        callbacks: callbacks of the stock trainer, besides the one that watches the loss.
    """

    seed: int
    bf16: bool
    micro_batch: int | None
    progress: Progress
    callbacks: tuple[TrainerCallback, ...] = ()


def train_within_memory(
    model: SentenceTransformer,
    recut: Callable[[], SentenceTransformer],
    pairs: Dataset,
    options: RetrievalOptions,
    run: Run,
) -> tuple[SentenceTransformer, tuple[str, ...]]:
    """Train a model, in half as large micro-batches for as long as memory runs out.

    Each new attempt starts from a model cut anew: a half-trained one would be another recipe.

    Args:
        model: the cut model of the first attempt, on its device.
        recut: cuts the model again.
        pairs: columns `anchor`, `positive`, `negative_1`, ... in this order.
        options: loss, steps, batch and learning rate.
        run: seed, precision, and the micro-batch of the first attempt.

    Returns:
        The trained model, and notes on the memory it took.

    Raises:
        TrialFailure: the loss became NaN or infinite.
        RuntimeError: memory ran out with single texts, too; or a MemoryError.
    """
    notes: tuple[str, ...] = ()
    while True:
        # also here, and not only in the trainer: torch's own state must not leak between trials
        set_seed(run.seed)
        try:
            train(model, pairs, options, run)
        except (RuntimeError, MemoryError) as error:
            smaller = (run.micro_batch or options.batch_size) // 2
            if not device.is_out_of_memory(error) or smaller == 0:
                raise
        else:
            return model, notes

        # the caller still refers to the model, so it only leaves the device if it is moved
        model.to("cpu").zero_grad()
        del model
        device.free_memory()

        model = recut()
        run = replace(run, micro_batch=smaller)
        notes = (f"out of memory: trained in micro-batches of {smaller}",)


def train(model: SentenceTransformer, pairs: Dataset, options: RetrievalOptions, run: Run) -> None:
    """Train `model` in place for `options.steps` steps.

    Args:
        model: the cut model, on its device.
        pairs: columns `anchor`, `positive`, `negative_1`, ... in this order.
        options: loss, steps, batch and learning rate.
        run: seed, precision and micro-batch.

    Raises:
        TrialFailure: the loss became NaN or infinite.
    """
    with tempfile.TemporaryDirectory(prefix="layer-search-") as scratch:
        trainer = _Trainer(
            model=model,
            args=_arguments(model, pairs, options, run, scratch),
            train_dataset=pairs,
            loss=_loss(model, run.micro_batch),
            callbacks=[_Watch(run.progress), *run.callbacks],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()

    if not all(torch.isfinite(weight).all() for weight in model.parameters()):
        message = "the weights are not numbers after training: lower evaluator.learning_rate"
        raise TrialFailure(message)


def _arguments(
    model: SentenceTransformer, pairs: Dataset, options: RetrievalOptions, run: Run, scratch: str
) -> SentenceTransformerTrainingArguments:
    """Return the arguments of the stock trainer."""
    prompts = dict.fromkeys(pairs.column_names, model.prompts["document"] or "")
    prompts["anchor"] = model.prompts["query"] or ""

    # the lengths of queries and documents differ, and the model knows them by these names
    roles = {name: "query" if name == "anchor" else "document" for name in pairs.column_names}

    return SentenceTransformerTrainingArguments(
        output_dir=scratch,
        max_steps=options.steps,
        per_device_train_batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        warmup_steps=options.warmup,
        bf16=run.bf16,
        seed=run.seed,
        data_seed=run.seed,
        batch_sampler=BatchSamplers.NO_DUPLICATES,
        prompts=prompts if any(prompts.values()) else None,
        router_mapping=roles,
        use_cpu=model.device.type == "cpu",
        dataloader_pin_memory=model.device.type == "cuda",
        save_strategy="no",
        logging_steps=max(1, options.steps // _LOGGED_PARTS),
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
    )


def _loss(model: SentenceTransformer, micro_batch: int | None) -> torch.nn.Module:
    """Return the ranking loss over the model's own similarity.

    Both forms compute the same gradients; the cached one in less memory (GradCache, Gao et al.
    2021).
    """
    similarity = SimilarityFunction.to_similarity_fn(model.similarity_fn_name)
    scale = COSINE_SCALE if model.similarity_fn_name == "cosine" else 1.0

    if micro_batch is None:
        return MultipleNegativesRankingLoss(model, scale, similarity)
    return CachedMultipleNegativesRankingLoss(model, scale, similarity, mini_batch_size=micro_batch)


class _Trainer(SentenceTransformerTrainer):
    """The stock trainer without its model card, which looks things up on the hub."""

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Add nothing."""


class _Watch(TrainerCallback):
    """Reports each step, and ends a run whose loss is no longer a number."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: object,
    ) -> None:
        """Report the step."""
        self._progress("train", state.global_step, state.max_steps)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: object,
    ) -> None:
        """Fail the trial on a loss that is not finite."""
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            message = f"the loss is not a number at step {state.global_step} of {state.max_steps}"
            raise TrialFailure(message)
