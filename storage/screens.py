"""Screens: scores of subsets with shared weights, and how well they predict trials."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Engine, delete, insert, select

from storage.database import insert_missing, patient, read, utc_now, write
from storage.schema import Screen, ScreenFit, Study
from storage.values.subset_key import Subset


@dataclass(frozen=True, slots=True)
class ScreenedSubset:
    """Scores of one subset with one kind of shared weights.

    Attributes:
        subset: the kept layers.
        ndcg: mean NDCG@10 over tasks, on a sample of queries and documents.
        agreement: correlation of its similarities with those of the whole base, -1 to 1.
    """

    subset: Subset
    ndcg: float
    agreement: float

    @property
    def depth(self) -> int:
        """Number of kept layers."""
        return len(self.subset)


@dataclass(frozen=True, slots=True)
class FitRecord:
    """Quality of one measure of a screen as a prediction of trials; intervals are of 95 %.

    Attributes:
        depth: depth of the subsets.
        weights: weights they were screened with: `untrained` or `supernet`.
        measure: `ndcg` or `agreement`.
        subsets: subsets that were screened and have a trial.
        spearman: rank correlation of screen and trials, -1 to 1.
        spearman_low: lower end of its interval.
        spearman_high: upper end of its interval.
        recall: share of the best by trial that are among as many best by screen, 0 to 1.
        recall_low: lower end of its interval.
        recall_high: upper end of its interval.
    """

    depth: int
    weights: str
    measure: str
    subsets: int
    spearman: float
    spearman_low: float
    spearman_high: float
    recall: float
    recall_low: float
    recall_high: float


@patient
def record_screened(
    engine: Engine, study_id: int, weights: str, screened: Iterable[ScreenedSubset]
) -> None:
    """Add scores; a subset that has one with `weights` keeps it.

    Args:
        engine: the store.
        study_id: the study.
        weights: `untrained` or `supernet`.
        screened: the scores.
    """
    rows = [
        {"study_id": study_id, "weights": weights, "depth": one.depth, **asdict(one)}
        for one in screened
    ]
    if rows:
        with write(engine) as connection:
            insert_missing(connection, Screen, rows)


@patient
def read_screened(
    engine: Engine, study_id: int, depth: int | None = None
) -> dict[str, list[ScreenedSubset]]:
    """Return all scores by kind of weights, of one depth or of all."""
    query = select(Screen.weights, Screen.subset, Screen.ndcg, Screen.agreement)
    query = query.where(Screen.study_id == study_id).order_by(Screen.weights, Screen.subset)
    if depth is not None:
        query = query.where(Screen.depth == depth)

    found: dict[str, list[ScreenedSubset]] = {}
    with read(engine) as connection:
        for weights, subset, ndcg, agreement in connection.execute(query):
            found.setdefault(weights, []).append(ScreenedSubset(subset, ndcg, agreement))
    return found


@patient
def replace_fits(
    engine: Engine, study_id: int, depths: Sequence[int], fits: Sequence[FitRecord]
) -> None:
    """Store `fits` in place of all earlier ones of `depths`."""
    rows = [{"study_id": study_id, "measured_at": utc_now(), **asdict(fit)} for fit in fits]

    with write(engine) as connection:
        # one worker at a time: several may end together
        connection.execute(select(Study.id).where(Study.id == study_id).with_for_update())
        old = (ScreenFit.study_id == study_id, ScreenFit.depth.in_(depths))
        connection.execute(delete(ScreenFit).where(*old))
        for row in rows:
            connection.execute(insert(ScreenFit).values(row))
