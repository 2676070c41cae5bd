"""Output: lines as they stand, JSON and CSV for programs, one line for an error."""

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from search.cli.output import fail, print_csv, print_json, remark, require_one_format, say
from search.errors import InputError

Capture = pytest.CaptureFixture[str]
LONG = "word " * 100 + "[red]no markup[/red] 0.5"


def test_lines_are_printed_as_they_stand(capsys: Capture) -> None:
    say(LONG)
    assert tuple(capsys.readouterr()) == (LONG + "\n", "")
    remark(LONG)
    assert tuple(capsys.readouterr()) == ("", LONG + "\n")


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("wrong", "wrong"),
        ("wrong:\n  mend   it\n", "wrong: mend it"),
        ("at postgresql://ann:s3cr3t@host/d", "at postgresql://ann:***@host/d"),
        ("at postgresql://ann:s3@cr:3t@host/d", "at postgresql://ann:***@host/d"),
        ("at sqlite:///a/b.db", "at sqlite:///a/b.db"),
        ("x " * 499 + "x", "x " * 499 + "x"),
    ],
)
def test_failure_is_one_line_without_a_password(capsys: Capture, message: str, line: str) -> None:
    assert fail(message, 7) == 7
    assert tuple(capsys.readouterr()) == ("", f"error: {line}\n")


def test_failure_names_a_long_path_by_its_ends(capsys: Capture) -> None:
    fail(f"cannot read {'a' * 5000}.toml: too long", 2)
    read = capsys.readouterr().err
    assert read == f"error: cannot read {'a' * 120}...{'a' * 34}.toml: too long\n"


def test_failure_of_a_thousand_names_keeps_its_ends(capsys: Capture) -> None:
    names = ", ".join(f"study-{number}" for number in range(1000))
    fail(f"no study 'x': it holds {names}: name one of them", 2)
    read = capsys.readouterr().err
    assert len(read) < 4100
    assert read.startswith("error: no study 'x': it holds study-0, study-1, ")
    assert read.endswith(", study-999: name one of them\n")


def test_json_is_never_wrapped_and_knows_times(capsys: Capture) -> None:
    when = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    rows = [{"error": LONG, "when": when, "where": Path("a"), "mean": None}]
    print_json(rows)
    expected = {"error": LONG, "when": "2026-01-02 03:04:05+00:00", "where": "a", "mean": None}
    assert json.loads(capsys.readouterr().out) == [expected]


def test_csv_has_a_header_and_plain_line_ends(capsys: Capture) -> None:
    rows: list[dict[str, str | None]] = [
        {"subset": "0_1", "error": 'a "b", c'},
        {"subset": "0_2", "error": None},
    ]
    print_csv(rows)
    printed = capsys.readouterr().out
    assert "\r" not in printed
    assert printed.startswith("subset,error\n")
    assert list(csv.DictReader(io.StringIO(printed))) == [
        {"subset": "0_1", "error": 'a "b", c'},
        {"subset": "0_2", "error": ""},
    ]


def test_csv_of_nothing_is_empty(capsys: Capture) -> None:
    print_csv([])
    assert capsys.readouterr().out == ""


def test_two_formats_at_once_are_refused() -> None:
    for as_json, as_csv in ((False, False), (True, False), (False, True)):
        require_one_format(as_json=as_json, as_csv=as_csv)
    with pytest.raises(InputError, match="choose one"):
        require_one_format(as_json=True, as_csv=True)
