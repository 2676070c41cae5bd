"""The supernet: one short fine-tune of all layers in which every step draws a random subset.

After it the layers are used to neighbours going missing, so that the score of a subset with these
weights is nearer to the score its own fine-tune would give (single-path one-shot; Guo et al. 2020).
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
from evaluators._types import Progress, SubsetTree
from evaluators.retrieval import finetune
from evaluators.retrieval.checkpoint import Checkpoints, Training
from evaluators.retrieval.options import RetrievalOptions
from evaluators.retrieval.screening.stack import SharedStack


@dataclass(frozen=True, slots=True)
class Recipe:
    """The part of its recipe that a supernet shares with the trials.

    Attributes:
        pairs: training data.
        options: loss, batch and prompts; the screen has steps and learning rate of its own.
        bf16: run matrix products in bfloat16.
        checkpoints: the trials' own; the supernet's are kept beside them.
    """

    pairs: Dataset
    options: RetrievalOptions
    bf16: bool
    checkpoints: Checkpoints


def train(
    model: SentenceTransformer,
    stack: SharedStack,
    tree: SubsetTree,
    options: ScreenOptions,
    recipe: Recipe,
    progress: Progress,
) -> None:
    """Train `model` in place, or load the weights that an earlier call trained.

    Args:
        model: retriever with all layers of the base.
        stack: its layers.
        tree: the subsets to draw from.
        options: steps, learning rate and seed.
        recipe: everything else that decides the trained weights.
        progress: called after every step.

    Raises:
        TrialFailure: the loss became NaN or infinite.
    """
    checkpoints = Checkpoints(
        recipe.checkpoints.folder, f"{recipe.checkpoints.recipe} supernet {tree!r} {options!r}"
    )
    if checkpoints.load((), options.seed, model):
        return

    changes = {
        "steps": options.steps,
        "learning_rate": options.learning_rate or recipe.options.learning_rate,
    }
    run = finetune.Run(
        options.seed,
        recipe.bf16,
        recipe.options.first_micro_batch,
        progress,
        callbacks=(DrawSubset(stack, tree, options.seed),),
    )

    set_seed(options.seed)
    start = time.perf_counter()
    finetune.train(model, recipe.pairs, recipe.options.model_copy(update=changes), run)

    training = Training(seconds=time.perf_counter() - start, notes=())
    checkpoints.save((), options.seed, model, training)


class DrawSubset(TrainerCallback):
    """Draws the subset that the next step trains.

    Args:
        stack: the layers of the model that is trained.
        tree: the subsets to draw from.
        seed: the same seed draws the same subsets.
    """

    def __init__(self, stack: SharedStack, tree: SubsetTree, seed: int) -> None:
        self._stack, self._tree = stack, tree
        self._rng = random.Random(f"supernet:{seed}")

    def on_step_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: Any,
    ) -> None:
        """Draw the subset of this step."""
        self._stack.step = self._stack.step_through(self._tree.draw(self._rng))
