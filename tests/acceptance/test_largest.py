"""A study at all its bounds at once works on every database: a bound is what a store can hold."""

import random
import string
from pathlib import Path

import pytest
from sqlalchemy import Engine

from storage.queue import Result, TaskResult
from storage.values.bounds import LARGEST_INTEGER, LONGEST_KEY, LONGEST_NAME, MOST_LAYERS
from storage.values.subset_key import format_subset
from tests.support.commands import run_command
from tests.support.stores import begin, finish_trial, new_trial, query, trial_rows

WHOLE = tuple(range(MOST_LAYERS))
NAME = "n" * LONGEST_NAME


def letters(number: int) -> str:
    """Return so many random letters: PostgreSQL compresses the entries of an index."""
    return "".join(random.Random(number).choices(string.ascii_letters, k=number))


def write_study(folder: Path, **study: object) -> Path:
    """Write a study of three subsets, of two layers out of three, with these keys of `[study]`."""
    (folder / "scores.csv").write_text("subset,mean\n0_1,0.5\n0_2,0.6\n0_1_2,0.9\n", "utf-8")
    keys = "\n".join(f"{key} = {value}" for key, value in study.items())
    path = folder / "study.toml"
    path.write_text(
        f"""[study]
name = "{NAME}"
depths = [2]
{keys}
[space]
cadence = "free"
[sampler]
name = "uniform"
[evaluator]
name = "table"
path = "scores.csv"
layers = 3
noise = 1e6
""",
        "utf-8",
    )
    return path


@pytest.mark.slow
def test_numbers_may_be_the_largest(store_url: str, engine: Engine, tmp_path: Path) -> None:
    path = write_study(
        tmp_path,
        trials=LARGEST_INTEGER,
        attempts=LARGEST_INTEGER,
        seed=LARGEST_INTEGER,
        replicates=3,
        margin=1.0,
    )
    done = run_command("launch", path, LAYER_SEARCH_STORE=store_url)
    assert (done.returncode, "error" in done.stderr) == (0, False)

    # the seed after the largest is 0, for subsets and for the reference alike
    tried = {(row["subset"], row["seed"]) for row in trial_rows(engine, NAME)}
    seeds = (LARGEST_INTEGER, 0, 1)
    assert tried == {(key, seed) for key in ("0_1", "0_2", "0_1_2") for seed in seeds}
    assert query(engine, "SELECT budget FROM search_depths WHERE depth = 2") == [(LARGEST_INTEGER,)]


@pytest.mark.slow
def test_seeds_may_be_the_largest_by_hand(store_url: str, engine: Engine, tmp_path: Path) -> None:
    path = write_study(tmp_path, trials=2, seed=LARGEST_INTEGER - 1, reference="false")
    assert run_command("launch", path, LAYER_SEARCH_STORE=store_url).returncode == 0
    by_hand = ("evaluate", path, "0_1", "--seed", LARGEST_INTEGER)
    assert run_command(*by_hand, LAYER_SEARCH_STORE=store_url).returncode == 0

    more = ("replicate", NAME, "--seeds", 4, "--top", LARGEST_INTEGER)
    done = run_command(*more, LAYER_SEARCH_STORE=store_url)
    assert (done.returncode, done.stderr) == (0, "")
    seeds = {row["seed"] for row in trial_rows(engine, NAME)}
    assert seeds == {LARGEST_INTEGER - 1, LARGEST_INTEGER, 0, 1}


@pytest.mark.slow
def test_a_subset_may_keep_the_most_layers(store_url: str, engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text(f"subset,mean\n0,0.5\n{format_subset(WHOLE)},0.9\n")
    path = tmp_path / "study.toml"
    path.write_text(
        '[study]\nname = "s"\ndepths = [1]\ntrials = 1\n[space]\ncadence = "free"\n'
        f'[evaluator]\nname = "table"\npath = "scores.csv"\nlayers = {MOST_LAYERS}\n'
    )
    done = run_command("launch", path, LAYER_SEARCH_STORE=store_url)
    assert (done.returncode, "error" in done.stderr) == (0, False)
    assert {row["subset"]: row["mean"] for row in trial_rows(engine)} == {
        "0": 0.5,
        format_subset(WHOLE): 0.9,
    }


def test_names_may_be_the_longest(engine: Engine) -> None:
    """Also where a test set of the longest name is put before that of its task."""
    study = begin(engine, {MOST_LAYERS: 1}, NAME, layers=MOST_LAYERS)
    task = f"{letters(LONGEST_NAME)}/{letters(LONGEST_KEY)}"
    result = Result(0.5, {task: TaskResult(0.5, {letters(LONGEST_KEY - 1): 0.5})})
    finish_trial(engine, study, new_trial(WHOLE, LARGEST_INTEGER), result)

    assert query(engine, "SELECT task, query FROM search_queries") == [
        (task, letters(LONGEST_KEY - 1))
    ]
    assert query(engine, "SELECT count(*) FROM search_query_scores") == [(1,)]
