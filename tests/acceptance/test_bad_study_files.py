"""Mistakes in a study file and its data: one clear line, exit code 2, nothing changed."""

from pathlib import Path

import pytest

from tests.support.commands import run_command
from tests.support.mistakes import (
    LAUNCH,
    STORE,
    STUDY,
    TABLE,
    Mistake,
    assert_refused,
    scores,
    write_good,
)

RETRIEVAL = 'name = "retrieval"\n'

FILES = {
    "no study file": Mistake(
        ("cannot read study file none.toml",), command=("launch", "none.toml")
    ),
    "folder as study file": Mistake(
        ("cannot read study file .: Is a directory",), command=("launch", ".")
    ),
    "not TOML": Mistake(("study.toml is not TOML", "line 2"), ('name = "good"', "name = good")),
    "not UTF-8": Mistake(("it is not UTF-8 text",), files=(("study.toml", b'name = "\xff"'),)),
    "empty file": Mistake(("evaluator.name", "retrieval, table"), (STUDY, "")),
    "no name": Mistake(("study.name is missing",), ('name = "good"\n', "")),
    "slash in the name": Mistake(("study.name", "a/b"), ('"good"', '"a/b"')),
    "unknown key": Mistake(
        ("unknown key study.trails", "allowed are name, depths, trials"), ("trials", "trails")
    ),
    "unknown section": Mistake(
        ("unknown key spaces", "allowed are study, space"), ("[space]", "[spaces]")
    ),
    "section that is no table": Mistake(
        ("sampler: write a table, [sampler]",),
        (STUDY, 'sampler = "swap"\n' + STUDY.replace('[sampler]\nname = "swap"\n', "")),
    ),
    "text for a number": Mistake(("study.trials", "many"), ("{ 4 = 2, 7 = 2 }", '"many"')),
    "number for a text": Mistake(
        ("space.cadence", "valid string", "3"), ('cadence = "free"', "cadence = 3")
    ),
    "no depth": Mistake(("study.depths", "at least 1"), ("[4, 7]", "[]")),
    "depth 0": Mistake(("study.depths", "greater than or equal to 1"), ("[4, 7]", "[0, 7]")),
    "same depth twice": Mistake(("study.depths: depth 4 appears twice",), ("[4, 7]", "[4, 7, 4]")),
    "budget of another depth": Mistake(
        ("study.trials", "each of study.depths"), ("7 = 2", "9 = 2")
    ),
    "budget 0": Mistake(("study.trials", "greater than or equal to 1", "0"), ("7 = 2", "7 = 0")),
    "negative seed": Mistake(
        ("study.seed", "greater than or equal to 0"), ("depths", "seed = -1\ndepths")
    ),
    "unknown family": Mistake(
        ("study.first", "'middle'", "0_1_2_18", "front, back, spread"), ('"0_1_2_18"', '"middle"')
    ),
    "first of another depth": Mistake(
        ("study.first: 0_1 has none of the study's depths",), ('"0_1_2_18"', '"0_1"')
    ),
    "first with a layer too many": Mistake(
        ("study.first: 0_1_2_22", "22 layers"), ("0_1_2_18", "0_1_2_22")
    ),
}
"""The file and its section `[study]`."""

SPACES = {
    "too deep": Mistake(
        ("depth 30 is impossible: the base has 22 layers",),
        (STUDY[STUDY.index("depths") : STUDY.index("[space]")], "depths = [30]\ntrials = 1\n"),
    ),
    "unknown cadence": Mistake(
        ("space.cadence", "anchored, free, periodic, strict", "loose"), ('"free"', '"loose"')
    ),
    "no such subset": Mistake(
        ("no subset of depth 4", "'strict'", "loosen"),
        ('cadence = "free"', 'cadence = "strict"\nforbidden = [3, 6, 9, 12, 15, 18, 21]'),
    ),
    "cadence without rhythm": Mistake(
        ("cadence 'strict' needs an attention rhythm", "use 'free'"),
        (
            STUDY[STUDY.index("cadence") :],
            'cadence = "strict"\n[evaluator]\n' + TABLE.replace("period = 3", ""),
        ),
    ),
    "another period": Mistake(
        ("space.period = 4", "the rhythm of card is 3", "leave the key out"),
        ("keep_first = false", "period = 4"),
    ),
    "another phase": Mistake(
        ("space.phase = 'last'", "the global layers of card come first", "leave the key out"),
        ("keep_first = false", 'phase = "last"'),
    ),
    "unknown phase": Mistake(
        ("space.phase", "'first' or 'last'", "middle"), ("keep_first = false", 'phase = "middle"')
    ),
    "pinned and forbidden": Mistake(
        ("layer 5 is both kept and forbidden",),
        ("keep_first = false", "keep_first = false\npinned = [5]\nforbidden = [5]"),
    ),
    "first layer kept and forbidden": Mistake(
        ("layer 0 is both kept and forbidden", "keep_first"),
        ("keep_first = false", "forbidden = [0]"),
    ),
    "too many pinned": Mistake(
        ("depth 4 cannot hold the 5 pinned layers (1, 2, 3, 4, 5)",),
        ("keep_first = false", "keep_first = false\npinned = [1, 2, 3, 4, 5]"),
    ),
    "pinned layer that is not there": Mistake(
        ("layer 22 does not exist", "0 to 21"), ("keep_first = false", "pinned = [22]")
    ),
}

SAMPLERS = {
    "unknown sampler": Mistake(
        ("unknown sampler 'gold'", "exhaustive, gp, swap, tpe, uniform"), ('"swap"', '"gold"')
    ),
    "unknown sampler option": Mistake(
        ("unknown key sampler.speed", "startup, explore"), ('"swap"', '"swap"\nspeed = 3')
    ),
    "sampler option of the wrong type": Mistake(
        ("sampler.startup", '"few"'), ('"swap"', '"swap"\nstartup = "few"')
    ),
    "impossible sampler option": Mistake(
        ("sampler.explore", "less than or equal to 1", "2.0"), ('"swap"', '"swap"\nexplore = 2.0')
    ),
}

EVALUATORS = {
    "no evaluator": Mistake(("evaluator.name", "retrieval, table"), ("[evaluator]\n" + TABLE, "")),
    "unknown evaluator": Mistake(
        ("unknown evaluator 'oracle'", "retrieval, table"), ('"table"', '"oracle"')
    ),
    "no table": Mistake(("no such file", "none.csv", "evaluator.path"), ("card.csv", "none.csv")),
    "table without a column": Mistake(
        ("card.csv has no column 'mean'", "subset,mean"), files=scores("subset,score\n0_1_2_18,1\n")
    ),
    "table with a bad number": Mistake(
        ("card.csv, line 3", "'x' is not a number"),
        files=scores("subset,mean\n0_1_2_18,1\n0_1_2_21,x\n"),
    ),
    "table with a bad subset": Mistake(
        ("card.csv, line 2", "'0-1' is not a subset"), files=scores("subset,mean\n0-1,1\n")
    ),
    "table with too large a layer": Mistake(
        ("card.csv, line 2", "layer 22 does not exist"), files=scores("subset,mean\n0_1_2_22,1\n")
    ),
    "table that repeats itself": Mistake(
        ("card.csv, line 3", "appears twice"), files=scores("subset,mean\n0_1,1\n0_1,2\n")
    ),
    "table that is no text": Mistake(
        ("card.csv", "UTF-8"), files=(("card.csv", b"subset,mean\n\xff,1\n"),)
    ),
    "retrieval without a base": Mistake(("needs a [base] section",), (TABLE, RETRIEVAL)),
    "retrieval without training data": Mistake(
        ("evaluator.train is missing", "steps = 0"), (TABLE, RETRIEVAL + '[base]\nmodel = "m"\n')
    ),
    "training data without a name": Mistake(
        ("evaluator.train.data is missing",),
        (TABLE, RETRIEVAL + 'train = { split = "train" }\n[base]\nmodel = "m"\n'),
    ),
    "unknown training key": Mistake(
        ("unknown key evaluator.train.colour", "data, config, split"),
        (TABLE, RETRIEVAL + 'train = { data = "d", colour = 1 }\n[base]\nmodel = "m"\n'),
    ),
    "unknown pooling": Mistake(
        ("base.pooling", "'mean', 'cls'", '"sum"'),
        (TABLE, TABLE + '[base]\nmodel = "m"\npooling = "sum"\n'),
    ),
    "base that is not there": Mistake(
        ("base.model: no such file or folder", "/no/such/model"),
        (TABLE, RETRIEVAL + 'steps = 0\n[base]\nmodel = "/no/such/model"\n'),
    ),
}

MISTAKES = FILES | SPACES | SAMPLERS | EVALUATORS


def test_good_study_is_good(tmp_path: Path) -> None:
    write_good(tmp_path)
    done = run_command(*LAUNCH, "--depth", 4, cwd=tmp_path, LAYER_SEARCH_STORE=STORE)
    assert done.returncode == 0
    assert "0_1_2_21" in done.stdout
    assert len(MISTAKES) >= 30


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_one_clear_line(name: str, tmp_path: Path) -> None:
    assert_refused(MISTAKES[name], tmp_path)


@pytest.mark.slow
def test_training_data_that_is_not_there(tmp_path: Path, minilm: Path) -> None:
    rest = f"""[3]
trials = 1

[space]
cadence = "free"

[base]
model = "{minilm}"

[evaluator]
name = "retrieval"
train = {{ data = "./none.jsonl" }}
"""
    edit = (STUDY[STUDY.index("[4, 7]") :], rest)
    says = ("evaluator.train.data: no such file or folder", "none.jsonl")
    assert_refused(Mistake(says, edit), tmp_path)
