"""Mistakes on the command line: one clear line, exit code 2, nothing changed."""

from pathlib import Path

import pytest

from tests.support.mistakes import LAUNCH, Mistake, assert_refused

MISTAKES = {
    "unknown command": Mistake(("No such command 'lunch'",), command=("lunch", "study.toml")),
    "unknown option": Mistake(("No such option: --trails",), command=(*LAUNCH, "--trails", "3")),
    "missing argument": Mistake(("Missing argument 'STUDY.toml'",), command=("launch",)),
    "no subset": Mistake(
        ("name at least one subset, such as 0_1_2_18", "front"), command=("evaluate", "study.toml")
    ),
    "depth without a family": Mistake(
        ("--depth is the depth of families",),
        command=("evaluate", "study.toml", "0_1_2_3", "--depth", "4"),
    ),
    "screen of a depth that the study has not": Mistake(
        ("'good' has no depth 9: it has 4, 7",), command=("screen", "study.toml", "--depth", "9")
    ),
    "margin above 1": Mistake(
        ("'--margin'", "less than or equal to 1"), command=("best", "--margin", "2")
    ),
    "no trials": Mistake(
        ("'--trials'", "greater than or equal to 1"), command=(*LAUNCH, "--trials", "0")
    ),
    "text as depth": Mistake(("'--depth'", "valid integer"), command=(*LAUNCH, "--depth", "four")),
    "depth that the study has not": Mistake(
        ("'good' has no depth 9: it has 4, 7",), command=(*LAUNCH, "--depth", "9")
    ),
    "words as subset": Mistake(
        ("'first' is not a subset", "0_1_2_18"),
        command=("evaluate", "study.toml", "--subset", "first"),
    ),
    "descending subset": Mistake(
        ("'0_2_1' is not a subset", "ascending"),
        command=("evaluate", "study.toml", "--subset", "0_2_1"),
    ),
    "layer that is not there": Mistake(
        ("layer 22 does not exist", "0 to 21"),
        command=("evaluate", "study.toml", "--subset", "0_22"),
    ),
    "negative seed of one subset": Mistake(
        ("'--seed'", "greater than or equal to 0"),
        command=("evaluate", "study.toml", "--subset", "0_1_2_3", "--seed", "-1"),
    ),
    "space deeper than its base": Mistake(
        ("depth 9 is impossible", "8 layers"), command=("space", "--layers", "8", "--depth", "9")
    ),
    "space without layers": Mistake(
        ("'--layers'", "greater than or equal to 1"),
        command=("space", "--layers", "0", "--depth", "1"),
    ),
    "space with an unknown rule": Mistake(
        ("unknown cadence 'x'", "strict"),
        command=("space", "--layers", "8", "--depth", "3", "--cadence", "x"),
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_one_clear_line(name: str, tmp_path: Path) -> None:
    assert_refused(MISTAKES[name], tmp_path)
