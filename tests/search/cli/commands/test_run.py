"""Commands that run trials: launch, work, evaluate."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

import search.cli.store
from evaluators import Description
from search.cli.fleet import Fleet
from search.cli.output import NO_GLOBAL_POSITION
from search.space import parse_subset
from search.study.file import StudyFile
from search.study.plan import DepthPlan, plan_depths
from search.worker import session
from storage.setup import connect_store
from storage.studies import find_study, set_budgets
from tests.support.commands import Done, read_error, read_json, run_command
from tests.support.replays import (
    CARD,
    FIRST,
    progress_of,
    states_of,
    store_at,
    trials_of,
    write_replay,
)
from tests.support.stores import Dump, new_trial, queue_of

pytestmark = pytest.mark.slow


def test_launch_replays_the_card(
    launch_of_card: tuple[str, Done],
) -> None:
    store, done = launch_of_card
    assert done.returncode == 0, done.stderr
    assert "0_1_2_21" in done.stdout
    assert "Traceback" not in done.stderr

    assert progress_of(store) == [(4, 5, 5, 0), (7, 11, 11, 0), (13, 10, 10, 0)]
    said = done.stderr.splitlines()
    assert said[0] == "card/L4: subsets in the space: 7315"
    assert len(said) == 3 + 26  # a line for each depth, and one for each trial
    assert [line.rstrip() for line in done.stdout.splitlines() if "mean NDCG@10" in line] == [
        "card, depth 4: mean NDCG@10",
        "card, depth 7: mean NDCG@10, 10 of 11 subsets",
        "card, depth 13: mean NDCG@10",
    ]
    assert "Answer of card" in done.stdout


def test_baselines_outside_of_the_space_are_announced(tmp_path: Path, store: str) -> None:
    study = write_replay(tmp_path, "s", {4: 3}, FIRST[:5])
    text = study.read_text(encoding="utf-8")
    study.write_text(text.replace('"free"', '"free", forbidden = [18]'), encoding="utf-8")

    done = run_command("launch", study, "--store", store)
    assert done.returncode == 0
    assert done.stderr.splitlines()[0] == (
        "s/L4: subsets in the space: 5985, 2 of study.first outside it, tried as baselines"
    )


def test_families_without_a_subset_are_announced(tmp_path: Path, store: str) -> None:
    study = write_replay(tmp_path, "s", {4: 1, 7: 1}, ["front"])
    text = study.read_text(encoding="utf-8")
    study.write_text(text.replace('"free"', '"free", pinned = [5, 18]'), encoding="utf-8")

    done = run_command("launch", study, "--store", store)
    assert done.stderr.splitlines()[:3] == [
        "s/L4: subsets in the space: 190",
        (
            "s/L4: no subset of the family front: "
            "it begins with 0_1_2, which leaves no room for pinned 5, 18"
        ),
        "s/L7: subsets in the space: 15504",
    ]


def test_cuts_without_a_global_layer_are_announced(tmp_path: Path, store: str) -> None:
    study = write_replay(tmp_path, "s", {4: 1, 7: 1}, FIRST[:1])
    text = study.read_text(encoding="utf-8")
    study.write_text(text.replace("period = 3", 'period = 6\nphase = "last"'), encoding="utf-8")

    done = run_command("launch", study, "--store", store)
    assert done.stderr.splitlines()[:3] == [
        "s/L4: subsets in the space: 7315",
        f"s/L4: {NO_GLOBAL_POSITION}",
        "s/L7: subsets in the space: 170544",
    ]


def test_launch_plans_once_and_opens_the_store_once(
    small: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, planned = [], []

    def connect(url: str) -> Engine:
        opened.append(url)
        return connect_store(url)

    def plan(file: StudyFile, base: Description) -> dict[int, DepthPlan]:
        planned.append(file.study.name)
        return plan_depths(file, base)

    monkeypatch.setattr(search.cli.store, "connect_store", connect)
    monkeypatch.setattr(session, "plan_depths", plan)
    assert run_command("launch", small, "--store", store).returncode == 0
    assert opened == [store]
    assert planned == ["small"]


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("cadence = ", "cadense = "),
        ('cadence = "free"', 'cadence = "loose"'),
        ("0_1_2_18", "0_1_2_22"),
        ("22 = 1", "22 = many"),
        ("layers = 22", "layers = 21"),
        ("card.csv", "cart.csv"),
    ],
)
@pytest.mark.parametrize("command", [["launch"], ["evaluate", "--subset", "0_1_2_3"], ["screen"]])
def test_mistyped_study_file_leaves_no_store_behind(
    small: Path, store: str, command: list[str], right: str, wrong: str
) -> None:
    text = small.read_text(encoding="utf-8")
    assert right in text
    small.write_text(text.replace(right, wrong), encoding="utf-8")
    before = sorted(small.parent.iterdir())

    done = run_command(*command, small, "--store", store)
    assert done.returncode == 2
    read_error(done)
    assert sorted(small.parent.iterdir()) == before


def test_one_depth_first_and_the_rest_by_a_worker_that_knows_only_the_store(
    small: Path, store: str
) -> None:
    words = ("launch", small, "--depth", 4, "--store", store)
    assert run_command(*words, "--trials", 2).returncode == 0
    assert states_of(store, "small") == {"complete": 2}

    assert run_command("work", LAYER_SEARCH_STORE=store).returncode == 0
    found = [(row["depth"], row["subset"]) for row in trials_of(store, "small")]
    assert found == [(4, FIRST[0]), (4, FIRST[1]), (22, FIRST[5])]

    assert run_command(*words, "--trials", 4).returncode == 0
    assert progress_of(store) == [(4, 4, 4, 0), (22, 1, 1, 0)]


def test_worker_finds_the_data_in_another_folder(small: Path, store: str, tmp_path: Path) -> None:
    assert run_command("launch", small, "--depth", 22, "--store", store).returncode == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "card.csv").rename(elsewhere / "card.csv")

    lost = run_command("work", "small", "--store", store)
    assert lost.returncode == 2
    assert "card.csv" in read_error(lost)

    words = ("work", "small", "--folder", elsewhere, "--store", store)
    assert run_command(*words).returncode == 0
    assert states_of(store, "small") == {"complete": 4}


def test_other_data_on_another_machine_is_refused_until_accepted(
    engine: Engine, store_url: str, tmp_path: Path, dump: Dump
) -> None:
    study = write_replay(tmp_path, "drift", {4: 5}, FIRST[:5])
    launched = run_command("launch", study, "--trials", 2, "--store", store_url)
    assert launched.returncode == 0, launched.stderr
    record = find_study(engine, "drift")
    set_budgets(engine, record, {4: 5})
    stopped = queue_of(engine, record, "stopped")
    stopped.give_back(stopped.claim(new_trial(parse_subset(FIRST[2]))))

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    text = CARD.read_text(encoding="utf-8")
    changed = text.replace(",0.5151,", ",0.5152,")
    assert changed != text
    (elsewhere / "card.csv").write_text(changed, encoding="utf-8")

    before = dump(engine)
    join = ("work", "drift", "--folder", elsewhere, "--store", store_url)
    refused = run_command(*join)
    assert refused.returncode == 2
    line = read_error(refused)
    assert line.startswith("error: study 'drift' ")
    assert "table" in line
    assert "--accept-drift" in line
    assert dump(engine) == before

    accepted = run_command(*join, "--accept-drift")
    assert accepted.returncode == 0, accepted.stderr
    listed = read_json(run_command("trials", "drift", "--json", "--store", store_url))
    drifts = [row["drift"] for row in listed]
    assert drifts[:2] == [None, None]
    assert len(drifts) == 5
    assert all("table" in drift for drift in drifts[2:])


def test_worker_takes_every_study_of_the_store(tmp_path: Path, store: str) -> None:
    for name in ("a", "b"):
        study = write_replay(tmp_path, name, {4: 2}, FIRST[:5])
        words = ("launch", study, "--trials", 1, "--store", store)
        assert run_command(*words).returncode == 0
    with store_at(store) as engine:
        for name in ("a", "b"):
            set_budgets(engine, find_study(engine, name), {4: 2})

    assert run_command("work", "--store", store).returncode == 0
    assert progress_of(store) == [(4, 2, 2, 0), (4, 2, 2, 0)]


def test_several_workers_join_and_their_report_is_printed_once(
    small: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []

    def run(self: Fleet, study: str, depths: list[int] | None) -> None:
        started.append((self.workers, self.folder, study, depths))

    assert run_command("launch", small, "--store", store).returncode == 0
    monkeypatch.setattr(Fleet, "run", run)
    done = run_command("work", "small", "--workers", 2, "--depth", 4, "--store", store)
    assert done.returncode == 0
    assert started == [(2, small.parent, "small", [4])]
    assert done.stdout.count("mean NDCG@10") == 1


def test_worker_in_an_empty_store_says_so(store: str) -> None:
    with store_at(store, create=True):
        pass
    done = run_command("work", "--store", store)
    assert (done.returncode, done.stdout) == (0, "the store holds no study yet\n")


def test_worker_is_given_a_name_and_no_file(small: Path, store: str) -> None:
    done = run_command("work", small, "--store", store)
    assert done.returncode == 2
    line = f"error: `work` takes a study's name, not a file: use `layer-search launch {small}`"
    assert read_error(done) == line


def test_store_lies_in_the_working_folder_unless_told_otherwise(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LAYER_SEARCH_STORE", raising=False)
    done = run_command("launch", small.name, "--depth", 22, cwd=tmp_path)
    assert done.returncode == 0
    assert states_of(f"sqlite:///{tmp_path}/layer-search.db", "small") == {"complete": 1}
    assert len(read_json(run_command("leaderboard", "--json", cwd=tmp_path))) == 1


def test_failed_trials_and_a_tried_space_are_told_at_the_end(tmp_path: Path, store: str) -> None:
    study = write_replay(tmp_path, "s", {21: 30}, [])  # the card has no subset of this depth
    done = run_command("launch", study, "--store", store)
    assert done.returncode == 0

    said = done.stderr.splitlines()
    assert sum("failed: the table has no row for " in line for line in said) == 22
    assert said[-2:] == [
        "s/L21: failed trials: 22; see `layer-search trials s --depth 21`",
        "s/L21: the whole space was tried, trials: 22",
    ]
    assert done.stdout == "no answer yet: no trial is complete\n"


# a changed file


def test_launch_takes_over_what_decides_no_score_and_says_so(small: Path, store: str) -> None:
    assert run_command("launch", small, "--store", store).returncode == 0
    text = small.read_text(encoding="utf-8")
    assert "depths = [4, 22]" in text
    small.write_text(
        text.replace("depths = [4, 22]", "depths = [4, 7]")
        .replace("22 = 1", "7 = 1")
        .replace(FIRST[5], "0_1_2_3_6_8_18"),
        encoding="utf-8",
    )

    done = run_command("launch", small, "--store", store)
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if "taken over" in line]
    assert said[0] == (
        "study.depths: [4, 22] -> [4, 7], taken over; "
        "depth 22: the trials stay, and no more are begun"
    )
    assert len(said) == 3  # trials and first, too
    assert progress_of(store) == [(4, 3, 3, 0), (7, 1, 1, 0), (22, 1, 1, 0)]

    again = run_command("launch", small, "--store", store)
    assert "taken over" not in again.stderr


def test_launch_with_another_recipe_is_refused_before_data_is_read(small: Path, store: str) -> None:
    assert run_command("launch", small, "--store", store).returncode == 0
    text = small.read_text(encoding="utf-8")
    small.write_text(text.replace("layers = 22", "layers = 21"), encoding="utf-8")
    (small.parent / "card.csv").unlink()
    done = run_command("launch", small, "--store", store)
    assert done.returncode == 2
    assert "evaluator.layers (stored: 22, in the file: 21). Scores would not" in read_error(done)
