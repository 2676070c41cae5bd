"""One trial, top to bottom: cut, fine-tune, score."""

import copy
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import torch
import transformers
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling

from evaluators._options import BaseOptions, ScreenOptions
from evaluators._types import (
    Context,
    Description,
    Outcome,
    PrefixTree,
    Progress,
    ScreenScore,
    TaskScore,
    silent,
)
from evaluators.errors import InputError, TrialFailure
from evaluators.retrieval import Options, data, device, export, quiet, screen, supernet
from evaluators.retrieval.base import load as load_base
from evaluators.retrieval.checkpoint import Checkpoints
from evaluators.retrieval.data import Collection
from evaluators.retrieval.finetune import CACHED, finetune
from evaluators.retrieval.scoring import Prompts, score
from evaluators.retrieval.stack import SharedStack
from evaluators.retrieval.surgery import Encoder

_LIBRARIES = ("torch", "transformers", "sentence-transformers", "datasets")
Result = TypeVar("Result")
log = logging.getLogger("layer-search")


@dataclass(frozen=True, slots=True)
class RetrievalEvaluator:
    """Everything that is loaded once per process and shared by its trials."""

    options: Options
    base: BaseOptions
    description: Description
    encoder: Encoder
    shell: Transformer
    """The base's tokenizer and settings; its model is replaced by the cut one, trial by trial."""
    pairs: Dataset | None
    collections: tuple[Collection, ...]
    device: str
    checkpoints: Checkpoints

    @classmethod
    def create(cls, options: Options, base: BaseOptions, context: Context) -> "RetrievalEvaluator":
        """Load base, training pairs and collections.

        Raises:
            InputError: one of them cannot be loaded or used.
        """
        quiet.silence()
        chosen = device.claim(context.device)
        shell = load_base(base, context.folder)
        encoder = Encoder.of(shell.model)
        fingerprints = {"base": encoder.fingerprint()}
        pairs, collections = None, []
        if options.steps and options.train and not context.base_only:
            pairs = data.training_pairs(options, options.train, context.folder)
            fingerprints["train"] = data.fingerprint_pairs(pairs)
        if not context.base_only:
            collections = data.collections(options.test, context.folder)
            fingerprints["test"] = data.fingerprint_collections(collections)
        versions = {name: version(name) for name in _LIBRARIES}
        recipe = {
            "options": options.model_dump(mode="json"),
            "base": base.model_dump(mode="json"),
            "fingerprints": fingerprints,
            "versions": versions,
            "device": device.label(chosen),
        }
        return cls(
            options=options,
            base=base,
            description=Description(
                Path(base.model).name, encoder.layers, encoder.period, fingerprints, versions
            ),
            encoder=encoder,
            shell=shell,
            pairs=pairs,
            collections=tuple(collections),
            device=chosen,
            checkpoints=Checkpoints.within(context.scratch, recipe),
        )

    @property
    def hidden_size(self) -> int:
        """Width of the base's hidden states."""
        return int(self.encoder.config.hidden_size)

    def evaluate(self, subset: tuple[int, ...], seed: int, progress: Progress = silent) -> Outcome:
        """Cut, fine-tune and score `subset`.

        Raises:
            TrialFailure: NaN, out of memory even with the smallest batches, or an empty task.
        """
        notes: list[str] = []
        try:
            (model, dropped), cut_seconds = _timed(lambda: self._cut(subset, progress))
            notes += dropped
            model, train_seconds, learned = self._learn(subset, model, seed, progress)
            notes += learned
            tasks, evaluate_seconds = _timed(lambda: self._score(model, progress))
        except InputError as error:
            raise TrialFailure(str(error)) from error
        except (RuntimeError, MemoryError) as error:
            if not device.is_out_of_memory(error):
                raise
            message = f"out of memory: {str(error).splitlines()[0]}"
            raise TrialFailure(message) from error
        finally:
            device.free_memory()
        return Outcome(
            mean=sum(task.score for task in tasks.values()) / len(tasks),
            tasks=tasks,
            seconds={"cut": cut_seconds, "train": train_seconds, "evaluate": evaluate_seconds},
            device=device.label(self.device),
            versions=self.description.versions,
            notes=tuple(notes),
        )

    def build(self, subset: tuple[int, ...]) -> tuple[SentenceTransformer, tuple[str, ...]]:
        """The cut, untrained retriever on this process's device, and notes on what it lost."""
        model, notes = self.encoder.cut(subset)
        shell = copy.copy(self.shell)  # shares the tokenizer; the model is its own
        shell._modules = dict(shell._modules)  # noqa: SLF001 - a shallow copy shares this mapping
        shell.model = model
        pooling = Pooling(self.hidden_size, self.base.pooling)
        retriever = SentenceTransformer(
            modules=[shell, pooling], device=self.device, similarity_fn_name="cosine"
        )
        return retriever, notes

    def forget(self, subset: tuple[int, ...], seed: int) -> None:
        """Remove this trial's checkpoint; see `evaluators.Resumable`."""
        self.checkpoints.forget(subset, seed)

    def screen(
        self,
        tree: PrefixTree,
        options: ScreenOptions,
        progress: Progress = silent,
    ) -> Iterator[ScreenScore]:
        """Score what `tree` wants with shared weights; see `evaluators.Screener`."""
        model, _ = self.build(tuple(range(self.encoder.layers)))
        stack = SharedStack.within(model, self.encoder.stack)
        if options.weights == "supernet":
            if self.pairs is None:
                message = (
                    'screen.weights = "supernet" needs evaluator.train and evaluator.steps > 0'
                )
                raise InputError(message)
            recipe = supernet.Recipe(self.pairs, self.options, self.base.precision == "bf16")
            supernet.train(model, stack, tree, options, recipe, self.checkpoints, progress)
        walk = screen.Walk(
            model.eval(),
            stack,
            screen.sample(self.collections, options),
            Prompts(self.options.query_prompt, self.options.document_prompt),
            batch_size=options.batch_size,
            bf16=self.base.precision == "bf16",
        )
        yield from walk.run(tree)
        log.debug("layers run over the sample: %d", walk.forwards)

    def export(self, subset: tuple[int, ...], folder: Path, card: str) -> Path:
        """Write the cut, untrained model; see `evaluators.Exporter`."""
        model, _ = self.build(subset)
        model.prompts = {
            "query": self.options.query_prompt,
            "document": self.options.document_prompt,
        }
        return export.write(model, folder, card, self.encoder.period)

    def _cut(
        self, subset: tuple[int, ...], progress: Progress
    ) -> tuple[SentenceTransformer, tuple[str, ...]]:
        progress("cut", 0, 1)
        cut = self.build(subset)
        progress("cut", 1, 1)
        return cut

    def _learn(
        self, subset: tuple[int, ...], model: SentenceTransformer, seed: int, progress: Progress
    ) -> tuple[SentenceTransformer, float, tuple[str, ...]]:
        """The trained model, the seconds its training took, and notes on that.

        Training that an interruption left without its score is not done again.
        """
        if self.pairs is not None:
            # also here, and not only in the trainer: scoring must not depend on who trained
            torch.use_deterministic_algorithms(mode=True, warn_only=True)
        if kept := self.checkpoints.load(subset, seed, model):
            progress("train", self.options.steps, self.options.steps)
            return model, kept.seconds, (*kept.notes, "trained before an interruption")
        (model, notes), seconds = _timed(lambda: self._train(subset, model, seed, progress))
        self.checkpoints.save(subset, seed, model, seconds, tuple(notes))
        return model, seconds, tuple(notes)

    def _train(
        self, subset: tuple[int, ...], model: SentenceTransformer, seed: int, progress: Progress
    ) -> tuple[SentenceTransformer, list[str]]:
        """The fine-tuned model. Out of memory starts over with half the micro-batch."""
        if self.pairs is None:
            return model, []
        micro_batch = self.options.micro_batch if self.options.loss == CACHED else None
        notes: list[str] = []
        while True:
            # also here, and not only in the trainer: torch's own state must not leak between trials
            transformers.set_seed(seed)
            try:
                finetune(
                    model,
                    self.pairs,
                    self.options,
                    seed=seed,
                    bf16=self.base.precision == "bf16",
                    micro_batch=micro_batch,
                    progress=progress,
                )
            except (RuntimeError, MemoryError) as error:
                smaller = (micro_batch or self.options.batch_size) // 2
                if not device.is_out_of_memory(error) or smaller == 0:
                    raise
                micro_batch = smaller
                notes = [f"out of memory: trained in micro-batches of {micro_batch}"]
            else:
                return model, notes
            model.to("cpu").zero_grad()  # our caller still holds it: off the device with it
            del model
            device.free_memory()
            model, _ = self.build(subset)  # from the start: a half-trained model is another recipe

    def _score(self, model: SentenceTransformer, progress: Progress) -> dict[str, TaskScore]:
        """Scores of all tasks."""
        scores: dict[str, TaskScore] = {}
        model.eval()
        progress("evaluate", 0, len(self.collections))
        for collection in self.collections:
            scores[collection.task] = self._score_task(model, collection)
            progress("evaluate", len(scores), len(self.collections))
        return scores

    def _score_task(self, model: SentenceTransformer, collection: Collection) -> TaskScore:
        """Score of one task. Out of memory starts over with half the batch."""
        prompts = Prompts(self.options.query_prompt, self.options.document_prompt)
        bf16 = self.base.precision == "bf16"
        batch_size = self.options.test.batch_size
        while True:
            try:
                with (
                    torch.inference_mode(),
                    torch.autocast(self.device, torch.bfloat16, enabled=bf16),
                ):
                    return score(model, collection, prompts, batch_size)
            except (RuntimeError, MemoryError) as error:
                if not device.is_out_of_memory(error) or batch_size == 1:
                    raise
                batch_size //= 2
            device.free_memory()


def _timed(step: Callable[[], Result]) -> tuple[Result, float]:
    """What `step` returns, and its wall time in seconds."""
    start = time.perf_counter()
    return step(), time.perf_counter() - start
