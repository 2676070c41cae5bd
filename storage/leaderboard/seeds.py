"""The variance of scores between seeds, as this and other studies of the store show it."""

from sqlalchemy import Engine, func, select, text

from storage.database import patient, read
from storage.schema import Standing, Study
from storage.studies import StudyRecord

_ENOUGH = 3
"""Degrees of freedom from which a variance is taken as known: with fewer it is often tiny by
chance, and what is further off is pooled with it. A heuristic.
"""


@patient
def read_seed_variance(engine: Engine, study: StudyRecord, depth: int) -> float | None:
    """Return the variance of a subset's score between seeds, from the nearest trials that show it.

    Repeated subsets are pooled from near to far until there are enough of them: of the depth, of
    the study, of studies with the same recipe, of studies with the same base, of the whole store.

    Args:
        engine: the store.
        study: the study.
        depth: the depth.

    Returns:
        The variance; None while no subset of the store has several seeds.
    """
    query = (
        select(
            Standing.study_id,
            Standing.depth,
            Study.recipe_hash,
            Study.base,
            func.sum(Standing.squares).label("squares"),
            func.sum(Standing.seeds - 1).label("freedom"),
        )
        .join(Study, Study.id == Standing.study_id)
        .where(text("seeds > 1"))  # written like the partial index
        .group_by(Standing.study_id, Standing.depth, Study.recipe_hash, Study.base)
    )
    with read(engine) as connection:
        rows = connection.execute(query).all()

    near = (
        [row for row in rows if (row.study_id, row.depth) == (study.id, depth)],
        [row for row in rows if row.study_id == study.id],
        [row for row in rows if row.recipe_hash == study.recipe_hash],
        [row for row in rows if row.base == study.base],
        rows,
    )
    for some in near:
        freedom = sum(row.freedom for row in some)
        if freedom >= _ENOUGH or (some is rows and freedom):
            return float(sum(row.squares for row in some) / freedom)
    return None
