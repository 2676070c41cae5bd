"""The settings of the base that a study began with, and those that older studies began with.

Until release 0.4 every base was measured with the pooling of the study file, without its own Dense
modules and normalisation, by cosine. A study file may leave all that to the base now, so the stored
files of older studies say what they left unsaid: they go on as they began. A study that knew no
rhythm of its base cut it as if there were none.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_STUDIES = sa.table(
    "search_studies",
    sa.column("id", sa.Integer()),
    sa.column("file", sa.JSON()),
    sa.column("period", sa.Integer()),
)
_ADDED = {"dense": False, "normalize": False, "similarity": "cosine"}
_PROMPTS = ("query_prompt", "document_prompt")


def upgrade() -> None:
    """Add the column, and complete the files of the studies that cut a model."""
    op.add_column("search_studies", sa.Column("settings", sa.JSON(), nullable=True))

    for number, file, period in _files_with_base():
        evaluator = dict(file["evaluator"])
        prompts = {name: evaluator.pop(name, "") for name in _PROMPTS}
        base = {**file["base"], **_ADDED, **prompts, "rhythm": period is not None}
        _write(number, {**file, "evaluator": evaluator, "base": base})


def downgrade() -> None:
    """Remove both again; the caller has dropped the views."""
    for number, file, _ in _files_with_base():
        base = dict(file["base"])
        base.pop("rhythm", None)
        prompts = {name: base.pop(name, None) or "" for name in _PROMPTS}
        kept = {key: value for key, value in base.items() if key not in _ADDED}
        _write(number, {**file, "evaluator": {**file["evaluator"], **prompts}, "base": kept})

    op.drop_column("search_studies", "settings")


def _files_with_base() -> list[tuple[int, dict[str, Any], int | None]]:
    """Return number, file and period of each study that cuts a model."""
    columns = (_STUDIES.c.id, _STUDIES.c.file, _STUDIES.c.period)
    return [
        (number, file, period)
        for number, file, period in op.get_bind().execute(sa.select(*columns)).all()
        if file.get("base") and file["evaluator"].get("name") == "retrieval"
    ]


def _write(number: int, file: dict[str, Any]) -> None:
    """Replace the file of one study."""
    op.execute(_STUDIES.update().where(_STUDIES.c.id == number).values(file=file))
