"""The evaluator `retrieval`: loads once, then cuts, fine-tunes and scores trial after trial."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import TypeVar

import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer

from evaluators._errors import InputError, TrialFailure, first_line
from evaluators._options import BaseOptions, ScreenOptions
from evaluators._types import (
    Context,
    Cost,
    Description,
    Evaluation,
    Progress,
    ScreenScore,
    Speed,
    SubsetTree,
    TaskEvaluation,
    TaskShare,
    silent,
)
from evaluators.retrieval import cost, device, export, finetune, scoring
from evaluators.retrieval.base import LoadedBase
from evaluators.retrieval.checkpoint import Checkpoints, Training
from evaluators.retrieval.data import Collection, LoadedData
from evaluators.retrieval.options import RetrievalOptions
from evaluators.retrieval.screening import SharedStack, Walk, sample_collections, supernet

_LIBRARIES = ("torch", "transformers", "sentence-transformers", "datasets")

Value = TypeVar("Value")
log = logging.getLogger("layer-search")


@dataclass(frozen=True, slots=True)
class RetrievalEvaluator:
    """Everything that is loaded once per process and shared by its trials.

    Attributes:
        options: the `[evaluator]` section of the study file.
        base: the base, ready to be cut.
        description: properties of the base that the search needs to know.
        pairs: training data; None when nothing is trained.
        collections: test data.
        checkpoints: trained weights kept on this machine until their trial's result is safe.
    """

    options: RetrievalOptions
    base: LoadedBase
    description: Description
    pairs: Dataset | None
    collections: tuple[Collection, ...]
    checkpoints: Checkpoints

    # --- load

    @classmethod
    def load(
        cls, options: RetrievalOptions, base: BaseOptions, context: Context
    ) -> "RetrievalEvaluator":
        """Load base, training pairs and collections.

        Args:
            options: the `[evaluator]` section of the study file.
            base: the `[base]` section.
            context: folders and device; whether to load data.

        Raises:
            InputError: one of them cannot be loaded or used.
        """
        device.silence_libraries()
        loaded = LoadedBase.load(
            base, context.folder, device.claim(context.device), own_rhythm=context.own_rhythm
        )
        read = LoadedData()
        if not context.base_only:
            read = LoadedData.load(options, context.folder)

        description = _describe(loaded, read)
        scored = {k: v for k, v in description.fingerprints.items() if k != "heldout"}
        recipe = {
            "options": options.model_dump(mode="json", exclude={"heldout"}),
            "base": base.model_dump(mode="json"),
            "settings": description.settings,
            "own_rhythm": context.own_rhythm,
            "fingerprints": scored,
            "versions": description.versions,
            "device": device.label(loaded.device),
        }
        checkpoints = Checkpoints.open(context.scratch, recipe)

        return cls(options, loaded, description, read.pairs, read.collections, checkpoints)

    # --- one trial

    def evaluate(
        self, subset: tuple[int, ...], seed: int, progress: Progress = silent
    ) -> Evaluation:
        """Cut, fine-tune and score `subset`; see `evaluators.Evaluator`.

        Args:
            subset: source layers to keep, ascending.
            seed: decides everything that is left to chance.
            progress: called as the trial goes on.

        Raises:
            TrialFailure: NaN, out of memory even with the smallest batches, or an empty task.
        """
        try:
            (model, lost), cut_seconds = _timed(lambda: self._cut(subset, progress))
            model, training = self._finetune(subset, model, seed, progress)
            tasks, evaluate_seconds = _timed(lambda: self._score(model, progress))
        except InputError as error:
            raise TrialFailure(str(error)) from error
        except (RuntimeError, MemoryError) as error:
            if not device.is_out_of_memory(error):
                raise
            message = f"out of memory: {first_line(error)}"
            raise TrialFailure(message) from error
        finally:
            device.free_memory()

        seconds = {"cut": cut_seconds, "train": training.seconds, "evaluate": evaluate_seconds}

        return Evaluation(
            mean=fmean(
                [tasks[one.task].score for one in self.collections],
                weights=[one.share for one in self.collections],
            ),
            tasks=tasks,
            seconds=seconds,
            device=device.label(self.base.device),
            versions=self.description.versions,
            notes=(*lost, *training.notes),
        )

    def _cut(
        self, subset: tuple[int, ...], progress: Progress
    ) -> tuple[SentenceTransformer, tuple[str, ...]]:
        """Return the cut, untrained model, and notes on weights it could not keep."""
        progress("cut", 0, 1)
        cut = self.base.cut(subset)
        progress("cut", 1, 1)
        return cut

    def _finetune(
        self, subset: tuple[int, ...], model: SentenceTransformer, seed: int, progress: Progress
    ) -> tuple[SentenceTransformer, Training]:
        """Return the trained model, and how it was trained.

        Training that an interruption left without its score is not done again.
        """
        if self.pairs is None:
            return model, Training(seconds=0.0, notes=())

        # also here, and not only in the trainer: scoring must not depend on who trained
        torch.use_deterministic_algorithms(mode=True, warn_only=True)
        if kept := self.checkpoints.load(subset, seed, model):
            progress("train", self.options.steps, self.options.steps)
            notes = (*kept.notes, "trained before an interruption")
            return model, Training(seconds=kept.seconds, notes=notes)

        start = time.perf_counter()
        model, notes = finetune.train_within_memory(
            model,
            lambda: self.base.cut(subset)[0],
            self.pairs,
            self.options,
            finetune.Run(seed, self.base.bf16, self.options.first_micro_batch, progress),
        )
        training = Training(seconds=time.perf_counter() - start, notes=notes)

        self.checkpoints.save(subset, seed, model, training)
        return model, training

    def _score(self, model: SentenceTransformer, progress: Progress) -> dict[str, TaskEvaluation]:
        """Return the score of each task."""
        model.eval()
        progress("evaluate", 0, len(self.collections))

        scores: dict[str, TaskEvaluation] = {}
        for collection in self.collections:
            scores[collection.task] = scoring.score_within_memory(
                model,
                collection,
                batch_size=self.options.test_sets[collection.test_set].batch_size,
                bf16=self.base.bf16,
            )
            progress("evaluate", len(scores), len(self.collections))
        return scores

    def forget(self, subset: tuple[int, ...], seed: int) -> None:
        """Remove this trial's checkpoint; see `evaluators.Resumable`.

        Args:
            subset: source layers of the trial, ascending.
            seed: seed of the trial.
        """
        self.checkpoints.forget(subset, seed)

    # --- before and after all trials

    def screen(
        self, tree: SubsetTree, options: ScreenOptions, progress: Progress = silent
    ) -> Iterator[ScreenScore]:
        """Score every subset that `tree` wants with shared weights; see `evaluators.Screener`.

        Args:
            tree: the subsets.
            options: weights, sample and training.
            progress: called after each training step of a supernet.

        Raises:
            InputError: a supernet is asked for, and there is no training data.
            TrialFailure: NaN, or an empty task.
        """
        model = self.base.whole()
        stack = SharedStack.take_over(model, self.base.encoder)

        if options.weights == "supernet":
            if self.pairs is None:
                message = (
                    'screen.weights = "supernet" needs evaluator.train and evaluator.steps > 0'
                )
                raise InputError(message)
            if by_layer := self.base.encoder.weights_by_layer():
                message = (
                    'screen.weights = "supernet" cannot train a base that keeps a part for each '
                    f'layer outside its layers ({by_layer[0]}): use "untrained"'
                )
                raise InputError(message)
            recipe = supernet.Recipe(self.pairs, self.options, self.base.bf16, self.checkpoints)
            supernet.train(model, stack, tree, options, recipe, progress)

        walk = Walk(
            model.eval(),
            stack,
            sample_collections(self.collections, options),
            batch_size=options.batch_size,
            bf16=self.base.bf16,
        )
        yield from walk.run(tree)
        log.debug("layers run over the sample: %d", walk.forwards)

    @property
    def hidden_size(self) -> int:
        """Width of the base's hidden states."""
        return self.base.encoder.hidden_size

    def export(self, subset: tuple[int, ...], folder: Path, card: str) -> Path:
        """Write the cut, untrained model; see `evaluators.Exporter`.

        Args:
            subset: source layers to keep, ascending.
            folder: where to write; must not exist.
            card: text of the model card.

        Returns:
            The folder.

        Raises:
            EvaluatorError: the folder exists, or the reloaded model differs from the cut one.
        """
        model, _ = self.base.cut(subset)
        return export.write(model, folder, card, self.base.encoder.cut_rhythm(subset))

    @property
    def device_name(self) -> str:
        """Name of the device that speeds are measured on: the model of the GPU or processor."""
        return cost.device_name(self.base.device)

    def count_cost(self, subset: tuple[int, ...]) -> Cost:
        """Count parameters, bytes and operations of a cut; see `evaluators.Measurable`.

        Args:
            subset: source layers to keep, ascending.
        """
        model, _ = self.base.cut(subset)
        settings = self.base.settings
        lengths = (settings.query_length, settings.document_length)
        return cost.count(model, self.base.encoder.stack, *lengths)

    def measure_speed(self, subset: tuple[int, ...], progress: Progress = silent) -> Speed:
        """Measure the encode throughput of a cut; see `evaluators.Measurable`.

        Args:
            subset: source layers to keep, ascending.
            progress: called after every round, with the stage `measure`.
        """
        stopwatch = cost.Stopwatch(
            documents=cost.draw_documents(self.collections),
            batch_size=max(test.batch_size for test in self.options.test),
            bf16=self.base.bf16,
        )
        return stopwatch.compare(self.base.cut(subset)[0], self.base.whole(), progress)


def _describe(base: LoadedBase, read: LoadedData) -> Description:
    """Return the properties of a base and its data that the search needs to know."""
    rhythm = base.encoder.rhythm
    return Description(
        base=Path(base.options.model).name,
        layers=base.encoder.layers,
        period=rhythm.period if rhythm else None,
        phase=rhythm.phase if rhythm else "first",
        fingerprints={"base": base.fingerprint(), **read.fingerprints},
        versions={name: version(name) for name in _LIBRARIES},
        settings=base.settings.model_dump(mode="json"),
        tasks={one.task: TaskShare(one.test_set, one.share) for one in read.collections},
    )


def _timed(step: Callable[[], Value]) -> tuple[Value, float]:
    """Return the result of `step`, and its wall time in seconds."""
    start = time.perf_counter()
    return step(), time.perf_counter() - start
