"""The real command, in processes of its own, on a replay of the model card."""

import csv
import io
import json
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

import search.cli
from search.cli.progress import WorkerProgress
from search.space import LayerSpace
from search.subsets import key, parse
from storage import claims, leaderboard, results, setup, studies
from storage.claims import Claim
from storage.results import Result
from storage.status import status

Cli = Callable[..., "subprocess.CompletedProcess[str]"]
COMMANDS = sorted(str(command.callback.__name__) for command in search.cli.app.registered_commands)
CARD = Path(__file__).resolve().parent.parent / "examples" / "card.csv"
FIRST = ["0_1_2_18", "0_1_2_21", "0_19_20_21", "18_19_20_21", "0_1_2_3", key(tuple(range(22)))]


def write_study(folder: Path, name: str, trials: dict[int, int], first: Sequence[str]) -> Path:
    """A study file that replays a copy of the card, and nothing but `first` if that is enough."""
    shutil.copy(CARD, folder / "card.csv")
    path = folder / f"{name}.toml"
    budgets = ", ".join(f"{depth} = {budget}" for depth, budget in trials.items())
    path.write_text(
        f"""
study = {{ name = "{name}", depths = {list(trials)}, trials = {{ {budgets} }}, first = {first} }}
space = {{ cadence = "free", keep_first = false }}
evaluator = {{ name = "table", path = "card.csv", layers = 22, period = 3 }}
""",
        encoding="utf-8",
    )
    return path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A study file of 4 trials at depths 4 and 22."""
    return write_study(tmp_path, "small", {4: 3, 22: 1}, FIRST)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Where the store of a test will be."""
    return tmp_path / "store.db"


def answer(run: "subprocess.CompletedProcess[str]") -> Any:  # noqa: ANN401
    """What a command that succeeded printed as JSON."""
    assert (run.returncode, run.stderr) == (0, "")
    return json.loads(run.stdout)


def rows(store: Path, study: str = "small") -> list[dict[str, Any]]:
    """The trials of a study, oldest first."""
    engine = setup.open_store(f"sqlite:///{store}")
    found = [dict(row) for row in leaderboard.trials(engine, study)]
    engine.dispose()
    return found


def states(store: Path, study: str = "small") -> Counter[str]:
    """How many trials are in each state."""
    return Counter(row["state"] for row in rows(store, study))


def progress(store: Path) -> list[tuple[int, int, int, int]]:
    """Depth, complete trials, budget and trials outside it of each depth."""
    engine = setup.open_store(f"sqlite:///{store}")
    found = [(row.depth, row.complete, row.budget, row.beyond) for row in status(engine)]
    engine.dispose()
    return found


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory, cli: Cli) -> str:
    """URL of a store in which the whole card was replayed by `layer-search launch`."""
    folder = tmp_path_factory.mktemp("launched")
    with CARD.open(encoding="utf-8", newline="") as file:
        keys = [row["subset"] for row in csv.DictReader(file)]
    study = write_study(folder, "card", {4: 5, 7: 11, 13: 10}, keys[1:])
    store = f"sqlite:///{folder}/store.db"
    run = cli("launch", study, "--store", store)
    assert run.returncode == 0, run.stderr
    assert "0_1_2_21" in run.stdout
    assert "Traceback" not in run.stderr
    return store


def test_studies_say_how_far_each_depth_is(launched: str, cli: Cli) -> None:
    rows = answer(cli("studies", "--store", launched, "--json"))
    assert [(row["study"], row["depth"]) for row in rows] == [("card", d) for d in (4, 7, 13)]
    counts = [(row["complete"], row["budget"], row["best"]) for row in rows]
    assert counts == [(5, 5, 0.4558), (11, 11, 0.4722), (10, 10, 0.4964)]
    assert {(row["running"], row["waiting"], row["failed"]) for row in rows} == {(0, 0, 0)}


def test_leaderboard_as_json_and_csv(launched: str, cli: Cli) -> None:
    rows = answer(cli("leaderboard", "card", "--store", launched, "--json"))
    assert Counter(row["depth"] for row in rows) == {4: 5, 7: 11, 13: 10}
    seven = [row for row in rows if row["depth"] == 7]
    assert [row["rank"] for row in seven] == list(range(1, 12))
    assert (seven[0]["subset"], seven[0]["mean"]) == ("0_1_2_3_6_8_18", 0.4722)
    run = cli("leaderboard", "--depth", 7, "--csv", LAYER_SEARCH_STORE=launched)
    table = list(csv.DictReader(io.StringIO(run.stdout)))
    assert [list(row) for row in table] == [list(row) for row in seven]
    for line, row in zip(table, seven, strict=True):
        assert (line["subset"], float(line["mean"]), int(line["rank"])) == (
            row["subset"],
            row["mean"],
            row["rank"],
        )


def test_leaderboard_of_the_best_by_task(launched: str, cli: Cli) -> None:
    options = ("--depth", 4, "--by-task", "--top", 2, "--json")
    rows = answer(cli("leaderboard", "card", *options, "--store", launched))
    assert {(row["rank"], row["subset"]) for row in rows} == {(1, "0_1_2_21"), (2, "0_1_2_18")}
    assert len(rows) == 2 * 13
    scores = {row["task"]: row["score"] for row in rows if row["rank"] == 1}
    assert (scores["NanoArguAna"], scores["NanoTouche2020"]) == (0.3801, 0.4517)


def test_tables_for_people_hold_whole_subsets(launched: str, cli: Cli) -> None:
    for options in (["--depth", 13, "--top", 1], ["--by-task"]):
        run = cli("leaderboard", "card", *options, "--store", launched)
        assert (run.returncode, run.stderr) == (0, "")
        assert "0_1_2_3_4_5_6_7_8_9_10_11_18" in run.stdout


def test_trials_as_json_and_csv(launched: str, cli: Cli) -> None:
    rows = answer(cli("trials", "card", "--store", launched, "--json"))
    assert len(rows) == 26
    assert {(row["state"], row["origin"], row["token"]) for row in rows} == {
        ("complete", "first", 1)
    }
    run = cli("trials", "card", "--depth", 4, "--csv", "--store", launched)
    table = list(csv.DictReader(io.StringIO(run.stdout)))
    assert [row["subset"] for row in table] == [row["subset"] for row in rows if row["depth"] == 4]


def test_reading_leaves_the_store_alone(launched: str, cli: Cli) -> None:
    path = Path(launched.removeprefix("sqlite:///"))
    before = path.read_bytes()
    for arguments in (["leaderboard"], ["trials", "card"]):
        assert cli(*arguments, "--store", launched).returncode == 0
    assert path.read_bytes() == before


def test_one_depth_first_and_the_rest_by_a_worker_that_knows_only_the_store(
    small: Path, store: Path, cli: Cli
) -> None:
    url = f"sqlite:///{store}"
    assert cli("launch", small, "--depth", 4, "--trials", 2, "--store", url).returncode == 0
    assert states(store) == {"complete": 2}
    assert cli("work", LAYER_SEARCH_STORE=url).returncode == 0
    found = [(row["depth"], row["subset"]) for row in rows(store)]
    assert found == [(4, FIRST[0]), (4, FIRST[1]), (22, FIRST[5])]
    assert cli("launch", small, "--depth", 4, "--trials", 4, "--store", url).returncode == 0
    assert progress(store) == [(4, 4, 4, 0), (22, 1, 1, 0)]


def test_worker_finds_the_data_in_another_folder(
    small: Path, store: Path, tmp_path: Path, cli: Cli
) -> None:
    url, elsewhere = f"sqlite:///{store}", tmp_path / "elsewhere"
    assert cli("launch", small, "--depth", 22, "--store", url).returncode == 0
    elsewhere.mkdir()
    (tmp_path / "card.csv").rename(elsewhere / "card.csv")
    run = cli("work", "small", "--store", url)
    assert (run.returncode, run.stderr.count("\n")) == (2, 1)
    assert "card.csv" in run.stderr
    assert cli("work", "small", "--folder", elsewhere, "--store", url).returncode == 0
    assert states(store) == {"complete": 4}


def test_store_lies_in_the_working_folder_unless_told_otherwise(
    small: Path, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LAYER_SEARCH_STORE", raising=False)
    run = cli("launch", small.name, "--depth", 22, cwd=tmp_path)
    assert run.returncode == 0
    assert states(tmp_path / "layer-search.db") == {"complete": 1}
    assert len(answer(cli("leaderboard", "--json", cwd=tmp_path))) == 1


def test_init_makes_an_empty_store(store: Path, cli: Cli) -> None:
    for _ in range(2):
        run = cli("init", "--store", f"sqlite:///{store}")
        assert (run.returncode, run.stdout) == (0, f"sqlite:///{store} is ready\n")
    assert progress(store) == []


def test_evaluate_is_recorded_outside_the_budget_and_once(
    small: Path, store: Path, cli: Cli
) -> None:
    url = f"sqlite:///{store}"
    run = cli("evaluate", small, "--subset", "0_1_2_3", "--store", url)
    assert run.returncode == 0
    assert "0_1_2_3" in run.stdout
    assert "0.3329" in run.stdout
    again = cli("evaluate", small, "--subset", "0_1_2_3", "--store", url)
    assert again.returncode == 0
    assert "0_1_2_3 was evaluated before" in again.stdout
    other = cli("evaluate", small, "--subset", "0_1_2_3", "--seed", 5, "--store", url)
    assert other.returncode == 0
    assert cli("launch", small, "--store", url).returncode == 0
    found = [(row["subset"], row["seed"], row["origin"], row["state"]) for row in rows(store)]
    assert found == [
        ("0_1_2_3", 0, "manual", "complete"),
        ("0_1_2_3", 5, "manual", "complete"),
        ("0_1_2_18", 0, "first", "complete"),
        ("0_1_2_21", 0, "first", "complete"),
        ("0_19_20_21", 0, "first", "complete"),
        (FIRST[5], 0, "first", "complete"),
    ]


def test_evaluate_of_a_depth_that_the_study_does_not_search(
    small: Path, store: Path, cli: Cli
) -> None:
    url, key_7 = f"sqlite:///{store}", "0_1_2_3_6_8_18"
    assert cli("evaluate", small, "--subset", key_7, "--store", url).returncode == 0
    assert cli("launch", small, "--store", url).returncode == 0
    assert progress(store) == [(4, 3, 3, 0), (7, 0, 0, 1), (22, 1, 1, 0)]


def test_evaluate_without_a_score_fails_and_can_be_tried_again(
    small: Path, store: Path, cli: Cli
) -> None:
    url = f"sqlite:///{store}"
    run = cli("evaluate", small, "--subset", "0_1_2_9", "--store", url)
    line = "error: 0_1_2_9 has no score: the table has no row for 0_1_2_9"
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1] == line
    assert "Traceback" not in run.stderr
    assert cli("evaluate", small, "--subset", "0_1_2_9", "--store", url).returncode == 1
    (row,) = rows(store)
    assert (row["state"], row["token"], row["origin"]) == ("failed", 2, "manual")


def test_space_as_json(cli: Cli) -> None:
    options = ("--layers", 22, "--depth", 7, "--cadence", "strict", "--samples", 20, "--seed", 3)
    found = answer(cli("space", *options, "--json"))
    space = LayerSpace(layers=22, depth=7)
    assert found["count"] == 2478
    assert len(found["samples"]) == 20
    assert all(parse(sample) in space for sample in found["samples"])
    assert sorted(found["families"]) == ["back", "front", "spread"]
    assert found["families"]["front"][0] == "0_1_2_3_4_5_21"
    assert answer(cli("space", *options, "--json")) == found


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["layer-search", command, "--help"])
    with pytest.raises(SystemExit) as ended:
        search.cli.main()
    shown = capsys.readouterr()
    assert (ended.value.code, shown.err) == (0, "")
    examples = [line.strip() for line in shown.out.splitlines() if "Example:" in line]
    assert len(examples) == 1
    assert examples[0].startswith(f"Example: layer-search {command}")


def test_help_names_every_command(cli: Cli) -> None:
    assert len(COMMANDS) >= 10
    for arguments in ([], ["--help"]):
        run = cli(*arguments)
        assert (run.returncode, run.stderr) == (0, "")
        assert all(f" {command} " in run.stdout for command in COMMANDS)


@pytest.fixture
def long_study(tmp_path: Path) -> Path:
    """A study of more trials than any test waits for."""
    rng = random.Random(0)
    every = [key(subset) for subset in combinations(range(16), 4)]
    lines = [f"{subset},{rng.random()}" for subset in every]
    (tmp_path / "long.csv").write_text("\n".join(["subset,mean", *lines]), encoding="utf-8")
    path = tmp_path / "long.toml"
    path.write_text(
        """
study = { name = "long", depths = [4], trials = 1800 }
space = { cadence = "free", keep_first = false }
sampler = { name = "uniform" }
evaluator = { name = "table", path = "long.csv", layers = 16 }
""",
        encoding="utf-8",
    )
    return path


@pytest.fixture
def running(long_study: Path, store: Path) -> Iterator["subprocess.Popen[str]"]:
    """A launch that has finished at least three trials."""
    command = Path(sys.executable).with_name("layer-search")
    with subprocess.Popen(
        [command, "launch", long_study, "--store", f"sqlite:///{store}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        lines = [process.stderr.readline() for _ in range(4)]
        assert lines[0].startswith("long/L4: ")
        assert "" not in lines[1:], lines  # one for each trial
        yield process
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_launch_leaves_no_trial_running(
    running: "subprocess.Popen[str]",
    number: signal.Signals,
    store: Path,
    long_study: Path,
    cli: Cli,
) -> None:
    running.send_signal(number)
    output, errors = running.communicate(timeout=60)
    assert (running.returncode, output) == (130, "")
    assert "the claimed trial of long was given back" in errors
    assert "Traceback" not in errors
    left = states(store, "long")
    assert left["running"] == left["failed"] == 0
    assert left["complete"] >= 3
    assert left["waiting"] <= 1
    budget = left.total() + 1
    run = cli("launch", long_study, "--trials", budget, "--store", f"sqlite:///{store}")
    assert run.returncode == 0
    assert states(store, "long") == {"complete": budget}


def test_killed_launch_goes_on_where_it_stopped(
    running: "subprocess.Popen[str]", store: Path, long_study: Path, cli: Cli
) -> None:
    running.kill()
    running.wait()
    left = states(store, "long")
    assert left["running"] <= 1
    budget = left.total() + 1
    run = cli("launch", long_study, "--trials", budget, "--store", f"sqlite:///{store}")
    assert run.returncode == 0
    assert states(store, "long") == {"complete": budget}


def test_brackets_in_an_error_are_shown_as_they_are(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reason = "no kernel for [bfloat16] in block [/attn]"
    engine = setup.open_store(f"sqlite:///{store}", create=True)
    study = studies.begin(
        engine, name="s", file={}, folder="/", recipe_hash="h", base="toy", layers=22, period=3,
        fingerprints={},
        versions={},
        budgets={4: 1},
    )  # fmt: skip
    held = claims.claim(engine, study.id, 4, subset="0_1_2_3", seed=0, origin="swap", owner="w")
    results.finish(engine, held, Result(None, error=reason))
    engine.dispose()
    monkeypatch.setattr(
        sys, "argv", ["layer-search", "trials", "s", "--store", f"sqlite:///{store}"]
    )
    with pytest.raises(SystemExit) as ended:
        search.cli.main()
    shown = capsys.readouterr()
    assert (ended.value.code, shown.err) == (0, "")
    assert reason in shown.out


def test_brackets_in_what_a_worker_reports_are_shown_as_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    held = Claim(1, 1, 4, "0_1_2_3", seed=0, token=1, crashes=0, optuna_number=None)
    reason, note = "no kernel for [bfloat16] in block [/attn]", "[dim] lost its [/norm]"
    with WorkerProgress({}, {4: 2}) as report:
        report.started(held)
        report.finished(held, Result(None, error=reason))
        report.finished(held, Result(0.5, notes=(note,)))
    shown = capsys.readouterr().err
    assert reason in shown
    assert note in shown
