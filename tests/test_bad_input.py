"""Bad input on the command line: one clear line, the right exit code, nothing changed."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import search.cli

CARD = Path(__file__).resolve().parent.parent / "examples" / "card.csv"
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
RETRIEVAL = 'name = "retrieval"\n'
TABLE = STUDY[STUDY.index('name = "table"') :]
LAUNCH = ("launch", "study.toml")


@dataclass(frozen=True)
class Case:
    """One mistake.

    Attributes:
        says: parts of the error line: what is wrong, and what to do about it.
        edit: a text of the good study file, and what stands there instead.
        command: the command line.
        files: other files, by name.
        begun: whether a store with this study exists.
        code: the exit code.
    """

    says: tuple[str, ...]
    edit: tuple[str, str] = ("", "")
    command: tuple[str, ...] = LAUNCH
    files: tuple[tuple[str, bytes], ...] = ()
    begun: bool = False
    code: int = 2


def csv(text: str) -> tuple[tuple[str, bytes], ...]:
    """The table of scores with this content."""
    return (("card.csv", text.encode()),)


CASES = {
    # the study file
    "no study file": Case(("cannot read study file none.toml",), command=("launch", "none.toml")),
    "folder as study file": Case(
        ("cannot read study file .: Is a directory",), command=("launch", ".")
    ),
    "not TOML": Case(("study.toml is not TOML", "line 2"), ('name = "good"', "name = good")),
    "not UTF-8": Case(("it is not UTF-8 text",), files=(("study.toml", b'name = "\xff"'),)),
    "empty file": Case(("evaluator.name", "retrieval, table"), (STUDY, "")),
    "no name": Case(("study.name is missing",), ('name = "good"\n', "")),
    "slash in the name": Case(("study.name", "a/b"), ('"good"', '"a/b"')),
    "unknown key": Case(
        ("unknown key study.trails", "allowed are name, depths, trials"), ("trials", "trails")
    ),
    "unknown section": Case(
        ("unknown key spaces", "allowed are study, space"), ("[space]", "[spaces]")
    ),
    "section that is no table": Case(
        ("sampler: write a table, [sampler]",),
        (STUDY, 'sampler = "swap"\n' + STUDY.replace('[sampler]\nname = "swap"\n', "")),
    ),
    "text for a number": Case(("study.trials", "many"), ("{ 4 = 2, 7 = 2 }", '"many"')),
    "number for a text": Case(
        ("space.cadence", "valid string", "3"), ('cadence = "free"', "cadence = 3")
    ),
    "no depth": Case(("study.depths", "at least 1"), ("[4, 7]", "[]")),
    "depth 0": Case(("study.depths", "greater than or equal to 1"), ("[4, 7]", "[0, 7]")),
    "same depth twice": Case(("study.depths: depth 4 appears twice",), ("[4, 7]", "[4, 7, 4]")),
    "budget of another depth": Case(("study.trials", "each of study.depths"), ("7 = 2", "9 = 2")),
    "budget 0": Case(("study.trials", "greater than or equal to 1", "0"), ("7 = 2", "7 = 0")),
    "negative seed": Case(
        ("study.seed", "greater than or equal to 0"), ("depths", "seed = -1\ndepths")
    ),
    "unknown family": Case(
        ("study.first", "'middle'", "0_1_2_18", "front, back, spread"), ('"0_1_2_18"', '"middle"')
    ),
    "first of another depth": Case(
        ("study.first: 0_1 has none of the study's depths",), ('"0_1_2_18"', '"0_1"')
    ),
    "first with a layer too many": Case(
        ("study.first: 0_1_2_22", "22 layers"), ("0_1_2_18", "0_1_2_22")
    ),
    # the space
    "too deep": Case(
        ("depth 30 is impossible: the base has 22 layers",),
        (STUDY[STUDY.index("depths") : STUDY.index("[space]")], "depths = [30]\ntrials = 1\n"),
    ),
    "unknown cadence": Case(
        ("unknown cadence 'loose'", "anchored, free, strict"), ('"free"', '"loose"')
    ),
    "no such subset": Case(
        ("no subset of depth 4", "'strict'", "loosen"),
        ('cadence = "free"', 'cadence = "strict"\nforbidden = [3, 6, 9, 12, 15, 18, 21]'),
    ),
    "cadence without rhythm": Case(
        ("cadence 'strict' needs an attention rhythm", "use 'free'"),
        (
            STUDY[STUDY.index("cadence") :],
            'cadence = "strict"\n[evaluator]\n' + TABLE.replace("period = 3", ""),
        ),
    ),
    "another period": Case(
        ("space.period = 4", "the rhythm of card is 3", "leave the key out"),
        ("keep_first = false", "period = 4"),
    ),
    "pinned and forbidden": Case(
        ("layer 5 is both kept and forbidden",),
        ("keep_first = false", "keep_first = false\npinned = [5]\nforbidden = [5]"),
    ),
    "first layer kept and forbidden": Case(
        ("layer 0 is both kept and forbidden", "keep_first"),
        ("keep_first = false", "forbidden = [0]"),
    ),
    "too many pinned": Case(
        ("depth 4 cannot hold the 5 pinned layers (1, 2, 3, 4, 5)",),
        ("keep_first = false", "keep_first = false\npinned = [1, 2, 3, 4, 5]"),
    ),
    "pinned layer that is not there": Case(
        ("layer 22 does not exist", "0 to 21"), ("keep_first = false", "pinned = [22]")
    ),
    # the sampler
    "unknown sampler": Case(
        ("unknown sampler 'gold'", "exhaustive, gp, swap, tpe, uniform"), ('"swap"', '"gold"')
    ),
    "unknown sampler option": Case(
        ("unknown key sampler.speed", "startup, explore"), ('"swap"', '"swap"\nspeed = 3')
    ),
    "sampler option of the wrong type": Case(
        ("sampler.startup", '"few"'), ('"swap"', '"swap"\nstartup = "few"')
    ),
    "impossible sampler option": Case(
        ("sampler.explore", "less than or equal to 1", "2.0"), ('"swap"', '"swap"\nexplore = 2.0')
    ),
    # the evaluator
    "no evaluator": Case(("evaluator.name", "retrieval, table"), ("[evaluator]\n" + TABLE, "")),
    "unknown evaluator": Case(
        ("unknown evaluator 'oracle'", "retrieval, table"), ('"table"', '"oracle"')
    ),
    "no table": Case(("no such file", "none.csv", "evaluator.path"), ("card.csv", "none.csv")),
    "table without a column": Case(
        ("card.csv has no column 'mean'", "subset,mean"), files=csv("subset,score\n0_1_2_18,1\n")
    ),
    "table with a bad number": Case(
        ("card.csv, line 3", "'x' is not a number"),
        files=csv("subset,mean\n0_1_2_18,1\n0_1_2_21,x\n"),
    ),
    "table with a bad subset": Case(
        ("card.csv, line 2", "'0-1' is not a subset"), files=csv("subset,mean\n0-1,1\n")
    ),
    "table with too large a layer": Case(
        ("card.csv, line 2", "layer 22 does not exist"), files=csv("subset,mean\n0_1_2_22,1\n")
    ),
    "table that repeats itself": Case(
        ("card.csv, line 3", "appears twice"), files=csv("subset,mean\n0_1,1\n0_1,2\n")
    ),
    "table that is no text": Case(
        ("card.csv", "UTF-8"), files=(("card.csv", b"subset,mean\n\xff,1\n"),)
    ),
    "retrieval without a base": Case(("needs a [base] section",), (TABLE, RETRIEVAL)),
    "retrieval without training data": Case(
        ("evaluator.train is missing", "steps = 0"), (TABLE, RETRIEVAL + '[base]\nmodel = "m"\n')
    ),
    "training data without a name": Case(
        ("evaluator.train.data is missing",),
        (TABLE, RETRIEVAL + 'train = { split = "train" }\n[base]\nmodel = "m"\n'),
    ),
    "unknown training key": Case(
        ("unknown key evaluator.train.colour", "data, config, split"),
        (TABLE, RETRIEVAL + 'train = { data = "d", colour = 1 }\n[base]\nmodel = "m"\n'),
    ),
    "unknown pooling": Case(
        ("base.pooling", "'mean', 'cls'", '"sum"'),
        (TABLE, TABLE + '[base]\nmodel = "m"\npooling = "sum"\n'),
    ),
    "base that is not there": Case(
        ("base.model: no such file or folder", "/no/such/model"),
        (TABLE, RETRIEVAL + 'steps = 0\n[base]\nmodel = "/no/such/model"\n'),
    ),
    "training data that is not there": Case(
        ("evaluator.train.data: no such file or folder", "none.jsonl"),
        (
            STUDY[STUDY.index("[4, 7]") :],
            "[3]\ntrials = 1\n[space]\ncadence = 'free'\n[evaluator]\n"
            + RETRIEVAL
            + 'train = { data = "./none.jsonl" }\n[base]\nmodel = "{minilm}"\n',
        ),
    ),
    # the command line
    "unknown command": Case(("No such command 'lunch'",), command=("lunch", "study.toml")),
    "unknown option": Case(("No such option: --trails",), command=(*LAUNCH, "--trails", "3")),
    "missing argument": Case(("Missing argument 'STUDY.toml'",), command=("launch",)),
    "missing option": Case(("Missing option '--subset'",), command=("evaluate", "study.toml")),
    "no trials": Case(
        ("'--trials'", "greater than or equal to 1"), command=(*LAUNCH, "--trials", "0")
    ),
    "text as depth": Case(("'--depth'", "valid integer"), command=(*LAUNCH, "--depth", "four")),
    "depth that the study has not": Case(
        ("'good' has no depth 9: it has 4, 7",), command=(*LAUNCH, "--depth", "9")
    ),
    "words as subset": Case(
        ("'first' is not a subset", "0_1_2_18"),
        command=("evaluate", "study.toml", "--subset", "first"),
    ),
    "descending subset": Case(
        ("'0_2_1' is not a subset", "ascending"),
        command=("evaluate", "study.toml", "--subset", "0_2_1"),
    ),
    "layer that is not there": Case(
        ("layer 22 does not exist", "0 to 21"),
        command=("evaluate", "study.toml", "--subset", "0_22"),
    ),
    "negative seed of one subset": Case(
        ("'--seed'", "greater than or equal to 0"),
        command=("evaluate", "study.toml", "--subset", "0_1_2_3", "--seed", "-1"),
    ),
    "space deeper than its base": Case(
        ("depth 9 is impossible", "8 layers"), command=("space", "--layers", "8", "--depth", "9")
    ),
    "space without layers": Case(
        ("at least 1 layer",), command=("space", "--layers", "0", "--depth", "1")
    ),
    "space with an unknown rule": Case(
        ("unknown cadence 'x'", "strict"),
        command=("space", "--layers", "8", "--depth", "3", "--cadence", "x"),
    ),
    # the store
    "store that is no URL": Case(
        ("not a database URL", "sqlite:///"), command=(*LAUNCH, "--store", "here.db")
    ),
    "store on another database": Case(
        ("'mysql' is not supported", "postgresql://"), command=(*LAUNCH, "--store", "mysql://h/d")
    ),
    "store in memory": Case(("must be a file",), command=(*LAUNCH, "--store", "sqlite://")),
    "store without a database": Case(
        ("names no database", "postgresql://"), command=(*LAUNCH, "--store", "postgresql://h")
    ),
    "store in a missing folder": Case(
        ("no such folder", "none"), command=(*LAUNCH, "--store", "sqlite:///none/store.db")
    ),
    "unreachable server": Case(
        ("cannot use the store postgresql://ann:***@127.0.0.1:1/d", "refused"),
        command=("studies", "--store", "postgresql://ann:secret@127.0.0.1:1/d"),
        code=1,
    ),
    "file that is no store": Case(
        ("store.db", "not a database"),
        command=("studies",),
        files=(("store.db", b"notes\n" * 99),),
        code=1,
    ),
    **{
        f"{command[0]} without a store": Case(
            ("no store at store.db", "layer-search launch"), command=command
        )
        for command in (
            ("studies",),
            ("leaderboard",),
            ("leaderboard", "good"),
            ("trials", "good"),
            ("work",),
            ("export", "good", "models", "--depth", "4"),
        )
    },
    **{
        f"{command[0]} of an unknown study": Case(
            ("no study 'bad'", "it holds good"), command=command, begun=True
        )
        for command in (
            ("leaderboard", "bad"),
            ("trials", "bad"),
            ("work", "bad"),
            ("export", "bad", "models", "--depth", "4"),
        )
    },
    "changed study file": Case(
        ("study.seed (stored: 0, in the file: 1)", "new name"),
        ("depths", "seed = 1\ndepths"),
        begun=True,
    ),
    "changed budget": Case(
        ("study.trials.4 (stored: 2, in the file: 3)", "launch --trials"),
        ("4 = 2", "4 = 3"),
        begun=True,
    ),
    "evaluating with a changed study file": Case(
        ("sampler.name (stored: 'swap', in the file: 'uniform')",),
        ('"swap"', '"uniform"'),
        ("evaluate", "study.toml", "--subset", "0_1_2_3"),
        begun=True,
    ),
    "changed data": Case(
        ("other content of table", "new name"),
        files=csv("subset,mean\n0_1_2_18,0.5\n"),
        begun=True,
    ),
    "export of scores alone": Case(
        ("uses the evaluator 'table', which has no model",),
        command=("export", "good", "models", "--depth", "4"),
        begun=True,
    ),
    "export of a depth without trials": Case(
        ("no complete trial of depth 5", "--subset"),
        command=("export", "good", "models", "--depth", "5"),
        begun=True,
    ),
    "export of a subset of another depth": Case(
        ("0_1_2 keeps 3 layers, not --depth 4",),
        command=("export", "good", "models", "--depth", "4", "--subset", "0_1_2"),
        begun=True,
    ),
    "export of a subset that is none": Case(
        ("'best' is not a subset",),
        command=("export", "good", "models", "--depth", "4", "--subset", "best"),
        begun=True,
    ),
    "top 0": Case(
        ("'--top'", "greater than or equal to 1"), command=("leaderboard", "--top", "0"), begun=True
    ),
    "worker without its data": Case(
        ("no such file", "card.csv"), command=("work", "--folder", "elsewhere"), begun=True
    ),
}


@pytest.fixture(scope="module")
def begun(
    tmp_path_factory: pytest.TempPathFactory,
    cli: Callable[..., Any],
) -> Path:
    """A store in which the good study is finished."""
    folder = tmp_path_factory.mktemp("begun")
    shutil.copy(CARD, folder / "card.csv")
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    run = cli("launch", folder / "study.toml", "--store", f"sqlite:///{folder}/store.db")
    assert run.returncode == 0, run.stderr
    return folder / "store.db"


def content(folder: Path) -> dict[str, bytes]:
    """Every file of `folder`, whole."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_one_clear_line(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    case = CASES[name]
    text = STUDY.replace(*case.edit) if case.edit[0] else STUDY
    assert (text != STUDY) == bool(case.edit[0])
    if "{minilm}" in text:
        text = text.replace("{minilm}", str(request.getfixturevalue("minilm")))
    shutil.copy(CARD, tmp_path / "card.csv")
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    for file, written in case.files:
        (tmp_path / file).write_bytes(written)
    if case.begun:
        shutil.copy(request.getfixturevalue("begun"), tmp_path / "store.db")
    before = content(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAYER_SEARCH_STORE", "sqlite:///store.db")
    monkeypatch.setattr(sys, "argv", ["layer-search", *case.command])
    with pytest.raises(SystemExit) as ended:
        search.cli.main()
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.endswith("\n")
    (line,) = shown.err.splitlines()
    assert line.startswith("error: ")
    assert "Traceback" not in line
    for part in case.says:
        assert part in line
    assert ended.value.code == case.code
    assert content(tmp_path) == before


def test_the_good_study_is_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(CARD, tmp_path / "card.csv")
    (tmp_path / "study.toml").write_text(STUDY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAYER_SEARCH_STORE", "sqlite:///store.db")
    monkeypatch.setattr(sys, "argv", ["layer-search", *LAUNCH, "--depth", "4"])
    with pytest.raises(SystemExit) as ended:
        search.cli.main()
    assert ended.value.code == 0
    assert "0_1_2_21" in capsys.readouterr().out
    assert len(CASES) >= 30
