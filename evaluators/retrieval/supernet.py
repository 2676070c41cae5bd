"""The supernet: one short fine-tune of all layers in which every step draws a random subset.

After it the layers are used to neighbours going missing, so that the score of a subset with these
weights is nearer to what its own fine-tune would give (single-path one-shot; Guo et al. 2020).
"""

import random
import time
from dataclasses import dataclass
from typing import Any

from datasets import Dataset
from sentence_transformers import SentenceTransformer
from transformers import (
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)

from evaluators._options import ScreenOptions
from evaluators._types import PrefixTree, Progress
from evaluators.retrieval import Options
from evaluators.retrieval.checkpoint import Checkpoints
from evaluators.retrieval.finetune import CACHED, finetune
from evaluators.retrieval.stack import SharedStack


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a supernet shares with the trials.

    Attributes:
        pairs: what they learn from.
        options: how; the screen's own steps and learning rate come before these.
        bf16: run matrix products in bfloat16.
    """

    pairs: Dataset
    options: Options
    bf16: bool


def train(
    model: SentenceTransformer,
    stack: SharedStack,
    tree: PrefixTree,
    options: ScreenOptions,
    recipe: Recipe,
    checkpoints: Checkpoints,
    progress: Progress,
) -> None:
    """Train `model`, with all layers of the base, in place; or load what an earlier call trained.

    Raises:
        TrialFailure: the loss became NaN or infinite.
    """
    kept = Checkpoints(checkpoints.folder, f"{checkpoints.recipe} supernet {tree!r} {options!r}")
    if kept.load((), options.seed, model):
        return
    rate = options.learning_rate or recipe.options.learning_rate
    set_seed(options.seed)
    started = time.perf_counter()
    finetune(
        model,
        recipe.pairs,
        recipe.options.model_copy(update={"steps": options.steps, "learning_rate": rate}),
        seed=options.seed,
        bf16=recipe.bf16,
        micro_batch=recipe.options.micro_batch if recipe.options.loss == CACHED else None,
        progress=progress,
        callbacks=[DrawSubset(stack, tree, options.seed)],
    )
    kept.save((), options.seed, model, time.perf_counter() - started, ())


class DrawSubset(TrainerCallback):
    """Has each step train another subset.

    Args:
        stack: the layers of the model that is trained.
        tree: the subsets to draw from.
        seed: the same seed draws the same subsets.
    """

    def __init__(self, stack: SharedStack, tree: PrefixTree, seed: int) -> None:
        self._stack, self._tree = stack, tree
        self._rng = random.Random(f"supernet:{seed}")  # noqa: S311 - reproducible, not secret

    def on_step_begin(
        self,
        args: TrainingArguments,  # noqa: ARG002 - the trainer's signature
        state: TrainerState,  # noqa: ARG002
        control: TrainerControl,  # noqa: ARG002
        **_: Any,  # noqa: ANN401
    ) -> None:
        """Draw the subset of this step."""
        self._stack.step = self._stack.of(self._tree.draw(self._rng))
