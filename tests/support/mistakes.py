"""A good study file, and mistakes in it, in its data, on the command line and in the store."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.support.commands import read_error, run_command
from tests.support.replays import CARD

STORE = "sqlite:///store.db"
STUDY = """\
[study]
name = "good"
depths = [4, 7]
trials = { 4 = 2, 7 = 2 }
first = ["0_1_2_18", "0_1_2_21", "0_1_2_3_6_8_18"]

[space]
cadence = "free"
keep_first = false

[sampler]
name = "swap"

[evaluator]
name = "table"
path = "card.csv"
layers = 22
period = 3
"""
"""A study file without a mistake."""
TABLE = STUDY[STUDY.index('name = "table"') :]
"""Its keys of the evaluator."""
LAUNCH = ("launch", "study.toml")


@dataclass(frozen=True)
class Mistake:
    """One mistake.

    Attributes:
        says: parts of the error line: what is wrong, and how to mend it.
        edit: a text of the good study file, and what stands there instead.
        command: the command line.
        files: other files, by name.
        code: the exit code.
    """

    says: tuple[str, ...]
    edit: tuple[str, str] = ("", "")
    command: tuple[str, ...] = LAUNCH
    files: tuple[tuple[str, bytes], ...] = ()
    code: int = 2

    @property
    def study(self) -> str:
        """The study file with the mistake."""
        return STUDY.replace(*self.edit) if self.edit[0] else STUDY


def scores(text: str) -> tuple[tuple[str, bytes], ...]:
    """Return the table of scores with this content, as the files of a mistake."""
    return (("card.csv", text.encode()),)


def write_good(folder: Path, study: str = STUDY) -> Path:
    """Write a study file and its table, and return its path."""
    shutil.copy(CARD, folder / "card.csv")
    path = folder / "study.toml"
    path.write_text(study, encoding="utf-8")
    return path


def assert_refused(mistake: Mistake, folder: Path) -> None:
    """Make a mistake in `folder`: one line must tell it, and nothing may change.

    Args:
        mistake: the mistake.
        folder: a folder, with or without a store in which the good study is finished.
    """
    assert (mistake.study != STUDY) == bool(mistake.edit[0])
    write_good(folder, mistake.study)
    for name, content in mistake.files:
        (folder / name).write_bytes(content)
    before = _content(folder)

    done = run_command(*mistake.command, cwd=folder, LAYER_SEARCH_STORE=STORE)
    line = read_error(done)
    for part in mistake.says:
        assert part in line
    assert done.returncode == mistake.code
    assert _content(folder) == before


def _content(folder: Path) -> dict[str, bytes]:
    """Return every file of `folder`, whole."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}
