"""The command `answer`, also before there is one."""

from pathlib import Path

from tests.support.commands import read_error, read_json, run_command


def test_asking_before_there_is_an_answer(card_study: Path, tmp_path: Path) -> None:
    store = ("--store", f"sqlite:///{tmp_path}/store.db")
    assert run_command("launch", card_study, "--depth", "22", *store).returncode == 0
    (row,) = read_json(run_command("answer", "card", *store, "--json"))  # of the only depth
    assert (row["depth"], row["probability"], row["measured"]) == (22, None, row["mean"])
    assert row["remarks"] == ["one subset has a score: nothing to compare with"]
    shown = run_command("answer", "card", *store).stdout
    assert "depth 22: one subset has a score: nothing to compare with" in shown

    done = run_command("answer", "card", "--depth", "4", *store)
    assert done.returncode == 0
    assert "no answer yet" in done.stdout

    wrong = run_command("answer", "card", "--depth", "5", *store)
    assert wrong.returncode == 2
    assert "has no depth 5: it has 4, 7, 13, 22" in read_error(wrong)
