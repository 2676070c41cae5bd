"""Numbers, texts and files beyond all bounds: one clear line within a second, nothing changed."""

import time
from pathlib import Path

import pytest

from tests.support.mistakes import STUDY, TABLE, Mistake, assert_refused, scores

SECONDS = 3.0
"""Processor time for one refusal: it takes a tenth, and a second on a slow machine; the rest is for
the measurement of coverage."""
LONG = "a" * 5000
HUGE = "1" + "0" * 40
INTEGER = "less than or equal to 2147483647"


def study(old: str, new: str, *says: str) -> Mistake:
    """Return a mistake in the study file: `new` in the place of `old`."""
    return Mistake(says, (old, new))


def file(content: str, *says: str) -> Mistake:
    """Return a study file with this content, as a mistake."""
    return Mistake(says, files=(("study.toml", content.encode()),))


def words(line: str, *says: str) -> Mistake:
    """Return a command line, as a mistake."""
    return Mistake(says, command=tuple(line.split()))


RETRIEVAL = 'name = "retrieval"\nsteps = 0\n[base]\nmodel = "m"\n'

NUMBERS = {
    "trials": study("{ 4 = 2, 7 = 2 }", HUGE, "study.trials", INTEGER),
    "trials of one depth": study("7 = 2", f"7 = {HUGE}", "study.trials.7", INTEGER),
    "trials of thousands of digits": study("7 = 2", "7 = " + "9" * 4301, "not TOML", "4300"),
    "depths": study("[4, 7]", "[4, 1000000000]", "study.depths.1", "equal to 512"),
    "seed": study("depths", "seed = 2147483648\ndepths", "study.seed", INTEGER),
    "attempts": study("depths", f"attempts = {HUGE}\ndepths", "study.attempts", INTEGER),
    "replicates": study("depths", "replicates = 1001\ndepths", "study.replicates", "1 to 1000"),
    "margin": study("depths", "margin = 1e300\ndepths", "study.margin", "equal to 1"),
    "margin that is none": study("depths", "margin = nan\ndepths", "study.margin", "finite"),
    "pinned": study("keep_first = false", "pinned = [1000000000]", "space.pinned.0", "512"),
    "period": study("keep_first = false", f"period = {HUGE}", "space.period", "equal to 512"),
    "startup": study('"swap"', f'"swap"\nstartup = {HUGE}', "sampler.startup", INTEGER),
    "startup of tpe": study('"swap"', f'"tpe"\nstartup = {HUGE}', "sampler.startup", INTEGER),
    "startup of gp": study('"swap"', f'"gp"\nstartup = {HUGE}', "sampler.startup", INTEGER),
    "layers": study("layers = 22", "layers = 1000000000", "evaluator.layers", "equal to 512"),
    "period of the table": study("period = 3", f"period = {HUGE}", "evaluator.period", "512"),
    "noise": study("layers = 22", "layers = 22\nnoise = 1e308", "evaluator.noise", "1000000"),
    "seconds": study("layers = 22", "layers = 22\nseconds = 1e300", "evaluator.seconds", "86400"),
    "seconds without end": study("layers = 22", "layers = 22\nseconds = inf", "seconds", "finite"),
    "queries": study("layers = 22", f"layers = 22\nqueries = {HUGE}", "queries", "100000"),
    "steps": study(TABLE, RETRIEVAL.replace("0", HUGE), "evaluator.steps", INTEGER),
    "learning rate": study(
        TABLE, "learning_rate = 1e300\n" + RETRIEVAL, "evaluator.learning_rate", "equal to 100"
    ),
    "length": study(TABLE, RETRIEVAL + f"query_length = {HUGE}", "base.query_length", "1000000"),
    "weight": study(
        TABLE,
        RETRIEVAL.replace("[base]", "test.weight = 1e308\n[base]"),
        "test.weight",
        "1000000000",
    ),
    "seed of the screen": study(TABLE, TABLE + "[screen]\nseed = 2147483648", "screen.seed"),
    "documents of the screen": study(
        TABLE, TABLE + f"[screen]\ndocuments = {HUGE}", "screen.documents", INTEGER
    ),
}

TEXTS = {
    "name": study('"good"', f'"{LONG}"', "study.name", "at most 100"),
    "path": study("card.csv", LONG, "evaluator.path", "at most 4096 characters"),
    "path with too long a name": study("card.csv", "a" * 300, "evaluator.path", "too long"),
    "path of nobody's home": study("card.csv", "~nosuchperson/card.csv", "evaluator.path", "home"),
    "path of a folder": study("card.csv", ".", "no such file", "evaluator.path"),
    "path with a zero byte": study("card.csv", "card\\u0000", "evaluator.path", "control"),
    "prompt": study(TABLE, RETRIEVAL + f'query_prompt = "{LONG}"', "base.query_prompt", "4096"),
    "prompt with a zero byte": study(
        TABLE, RETRIEVAL + 'query_prompt = "\\u0000"', "base.query_prompt", "control"
    ),
    "unknown key": study("depths", f"{LONG} = 1\ndepths", "unknown key study.aaaa", "allowed"),
    "unknown sampler": study('"swap"', f'"{LONG}"', "unknown sampler 'aaaa", "gp, swap"),
    "subset": study('"0_1_2_18"', f'"{LONG}"', "study.first: 'aaaa", "front, back"),
}

LISTS = {
    "subsets to try first": study(
        '["0_1_2_18", "0_1_2_21", "0_1_2_3_6_8_18"]',
        '["' + '", "'.join(["back"] * 30_000) + '"]',
        "study.first: should have at most 10000 entries",
    ),
    "depths of a long list": study(
        "[4, 7]", "[" + "4, " * 80_000 + "]", "study.depths: should have at most 512 entries"
    ),
    "budgets": study(
        "{ 4 = 2, 7 = 2 }",
        "{ " + ", ".join(f"{number} = 1" for number in range(1, 15_000)) + " }",
        "study.trials",
    ),
    "layers pinned": study(
        "keep_first = false", "pinned = [" + "1, " * 80_000 + "]", "space.pinned: should have at"
    ),
    "tasks": study(
        TABLE,
        RETRIEVAL.replace("[base]", "test.tasks = [" + '"a", ' * 50_000 + "]\n[base]"),
        "evaluator.test.tasks: should have at most 1000 entries",
    ),
}

FILES = {
    "10 MB": file(STUDY + "# " + "x" * 10_000_000, "larger than 262144 bytes"),
    "nested tables": file("[" + ".".join("a" * 20_000) + "]", "more than 16 tables or lists"),
    "nested lists": file("a = " + "[" * 20_000, "more than 16 tables or lists"),
    "nested inline tables": file("a = " + "{ a = " * 20_000, "more than 16 tables or lists"),
    "deep but not too deep for the parser": file(
        "a = " + "[" * 50 + "]" * 50, "more than 16 tables or lists"
    ),
    "dotted key": file(".".join("a" * 20_000) + " = 1", "more than 16 tables or lists"),
    "many keys": file("\n".join(f"k{n}=1" for n in range(27_000)), "evaluator.name"),
    "many escapes": file('a = "' + "\\n" * 130_000 + '"', "evaluator.name"),
    "numbers for letters": file("\x00" * 1000, "not TOML"),
    "letters of another encoding": Mistake(
        ("it is not UTF-8 text",), files=(("study.toml", STUDY.encode("utf-16")),)
    ),
    "table with a subset of many digits": Mistake(
        ("card.csv, line 2", "is not a subset"), files=scores(f"subset,mean\n{'9' * 5000},1\n")
    ),
    "table with too large a score": Mistake(
        ("card.csv, line 2", "the largest is 1000000"), files=scores("subset,mean\n0_1,1e308\n")
    ),
    "table with an endless cell": Mistake(
        ("card.csv", "field larger"), files=scores("subset,mean\n" + "0" * 200_000 + ",1\n")
    ),
    "table with too many tasks": Mistake(
        ("card.csv", "at most 1000"),
        files=scores("subset,mean," + ",".join(f"t{n}" for n in range(9000)) + "\n"),
    ),
    "table with too long a task": Mistake(
        ("card.csv", "'aaaa", "longer than 1000 bytes"), files=scores(f"subset,mean,{LONG}\n")
    ),
    "table with a task without a name": Mistake(
        ("card.csv", "it is empty"), files=scores("subset,mean,\n")
    ),
    "table with a task of control characters": Mistake(
        ("card.csv", "control character"), files=scores("subset,mean,a\x1bb\n")
    ),
}

COMMANDS = {
    "trials": words(f"launch study.toml --trials {HUGE}", "'--trials'", INTEGER),
    "depth": words(f"launch study.toml --depth {HUGE}", "'--depth'", "equal to 512"),
    "workers": words(f"launch study.toml --workers {HUGE}", "'--workers'", "equal to 1024"),
    "seed": words("evaluate study.toml 0_1_2_18 --seed 2147483648", "'--seed'", INTEGER),
    "depth of a family": words(f"evaluate study.toml back --depth {HUGE}", "'--depth'", "512"),
    "subset": words(f"evaluate study.toml {'_'.join(map(str, range(9999)))}", "does not exist"),
    "top": words(f"leaderboard --top {HUGE}", "'--top'", INTEGER),
    "margin": words("best --margin nan", "'--margin'"),
    "seeds": words("replicate good --seeds 1001", "'--seeds'", "equal to 1000"),
    "top of replicate": words(f"replicate good --top {HUGE}", "'--top'", INTEGER),
    "layers": words(f"space --layers {HUGE} --depth 2", "'--layers'", "equal to 512"),
    "samples": words("space --layers 9 --depth 2 --samples 1000000", "'--samples'", "100000"),
    "seed of samples": words(f"space --layers 9 --depth 2 --seed {HUGE}", "'--seed'", INTEGER),
    "period": words(f"space --layers 9 --depth 2 --period {HUGE}", "'--period'", "equal to 512"),
    "pinned": words(f"space --layers 9 --depth 2 --pin {HUGE}", "'--pin'", "equal to 511"),
    "digits": words(f"launch study.toml --trials {'9' * 5000}", "'--trials'"),
    "study file": words(f"launch {LONG}.toml", "cannot read study file aaaa", "too long"),
    "file of a screen": words(f"screen {LONG}.toml", "cannot read study file aaaa", "too long"),
    "store": words(f"studies --store sqlite:///{LONG}.db", "cannot keep a store in", "too long"),
    "store at nobody's home": words("studies --store sqlite:///~nosuchperson/s.db", "home"),
    "store that is a folder": words(
        "studies --store sqlite:///.", "is a folder", "layer-search.db"
    ),
    "store on an unknown database": words("studies --store oracle://h/d", "'oracle' is not"),
    "port": words("studies --store postgresql://h:99999999999999999999/d", "65535"),
    "folder of the quickstart": words(f"quickstart {LONG}", "cannot use aaaa", "too long"),
    "study": words(f"trials {LONG}", "no store at store.db"),
}


def refuse(mistake: Mistake, folder: Path) -> None:
    """Make a mistake: it must be refused as quickly as people expect."""
    begun = time.process_time()
    assert_refused(mistake, folder)
    assert time.process_time() - begun < SECONDS


@pytest.mark.parametrize("name", NUMBERS)
def test_number_beyond_its_bounds(name: str, tmp_path: Path) -> None:
    refuse(NUMBERS[name], tmp_path)


@pytest.mark.parametrize("name", TEXTS)
def test_text_beyond_its_bounds(name: str, tmp_path: Path) -> None:
    refuse(TEXTS[name], tmp_path)


@pytest.mark.parametrize("name", LISTS)
def test_list_beyond_its_bounds(name: str, tmp_path: Path) -> None:
    refuse(LISTS[name], tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_file_beyond_its_bounds(name: str, tmp_path: Path) -> None:
    refuse(FILES[name], tmp_path)


@pytest.mark.parametrize("name", COMMANDS)
def test_words_beyond_their_bounds(name: str, tmp_path: Path) -> None:
    refuse(COMMANDS[name], tmp_path)
