"""Collections that the library `datasets` reads: of the hub, and of folders with a README."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from datasets import get_dataset_split_names, load_dataset

from evaluators._errors import InputError, first_line
from evaluators.retrieval.data.sources import hub_hint


@dataclass(frozen=True, slots=True)
class LibrarySet:
    """A data set with the configurations corpus, queries and qrels, and a split for each task.

    Attributes:
        source: hub id or path.
        data: its name in the study file, for errors.
        revision: commit or tag on the hub.
        cache: folder for the library's cache; None for the usual one.
        tasks: names of the tasks.
    """

    source: str
    data: str
    revision: str | None
    cache: str | None
    tasks: Sequence[str]
    has_titles: bool = False

    @classmethod
    def find(cls, source: str, data: str, revision: str | None, cache: str | None) -> "LibrarySet":
        """Return the data set with the names of its tasks.

        Raises:
            InputError: it cannot be read, or has no such configurations.
        """
        try:
            tasks = get_dataset_split_names(source, "queries", revision=revision, cache_dir=cache)
        except Exception as error:  # the library raises whatever its parts raise
            message = (
                f"{data} is not in NanoBEIR layout (configs corpus, queries, qrels; "
                f"one split per task){hub_hint(source)}: {first_line(error)}"
            )
            raise InputError(message) from error
        return cls(source, data, revision, cache, tasks)

    def read(self, part: str, task: str, *needed: str, **defaults: Any) -> Iterator[Sequence[Any]]:
        """Yield values of every row of one part; see `FolderSet.read`.

        Raises:
            InputError: the part cannot be read, or lacks a column.
        """
        try:
            split = load_dataset(
                self.source, part, split=task, revision=self.revision, cache_dir=self.cache
            )
            for name in defaults.keys() - set(split.column_names):
                split = split.add_column(name, [defaults[name]] * len(split))

            rows = list(zip(*(split[name] for name in (*needed, *defaults)), strict=True))
        except Exception as error:  # the library raises whatever its parts raise
            message = f"cannot load {part} of task {task} from {self.data}: {first_line(error)}"
            raise InputError(message) from error
        yield from rows
