"""The answers of a study in the store, one for each depth."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from search import screening, subsets
from search.answer import answer, judge
from search.history import History
from search.space import LayerSpace
from search.studyfile import StudyFile
from storage.studies import StudyRecord


@dataclass(frozen=True, slots=True)
class DepthAnswer:
    """The subset to keep at one depth.

    Attributes:
        depth: layers kept.
        subset: its key.
        mean: posterior mean of its true score.
        deviation: posterior standard deviation of that; None while a single subset has a score.
        probability: that no other tried subset is truly better.
        trials: complete trials of it.
        measured: mean of these.
    """

    depth: int
    subset: str
    mean: float
    deviation: float | None
    probability: float
    trials: int
    measured: float


def of_study(engine: Engine, study: StudyRecord, depths: Sequence[int]) -> list[DepthAnswer]:
    """The answer of each of `depths` that has one, by what the trials and the screens say."""
    file = StudyFile.recorded(study.file)
    listens = bool(file.sampler.get("transfer", False))
    found = []
    for depth in depths:
        space = LayerSpace(study.layers, depth, study.period, "free", keep_first=False)
        surrogate = judge(space, screening.hints(engine, study.id, depth), transfer=listens)
        history = History(engine, study.id, depth)
        trials = [*(history.of_other_depths() if listens else ()), *history.read()]
        if (best := answer(surrogate, trials)) is not None:
            values = (best.mean, best.deviation, best.probability, best.trials, best.measured)
            found.append(DepthAnswer(depth, subsets.key(best.subset), *values))
    return found
