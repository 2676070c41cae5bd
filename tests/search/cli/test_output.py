"""Output: lines as they stand, JSON and CSV for programs, one line for an error."""

import csv
import io
import json
import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.panel import Panel
from rich.text import Text

from search.cli import output
from search.cli.output import (
    InertConsole,
    LogFormatter,
    fail,
    print_csv,
    print_json,
    print_traceback,
    remark,
    remark_styled,
    require_one_format,
    say,
)
from search.errors import InputError

Capture = pytest.CaptureFixture[str]
LONG = "word " * 100 + "[red]no markup[/red] 0.5"
HOSTILE = "a\x1b[2Jb\x9bc\u202ed\r\ne[/bold]:bomb:\x7f"
SHOWN = "a\\x1b[2Jb\\x9bc\\u202ed\\r\\ne[/bold]:bomb:\\x7f"


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


def test_whatever_is_printed_is_one_line_of_text(capsys: Capture) -> None:
    say(HOSTILE)
    assert capsys.readouterr().out == f"{SHOWN}\n"
    remark(HOSTILE)
    remark_styled((HOSTILE, "bold"), (HOSTILE, ""))
    assert capsys.readouterr().err == f"{SHOWN}\n{SHOWN}{SHOWN}\n"
    fail(HOSTILE, 1)
    assert capsys.readouterr().err == f"error: {SHOWN}\n".replace("\\r\\n", " ")


def test_data_for_programs_are_harmless_to_people(capsys: Capture) -> None:
    print_json([{HOSTILE: HOSTILE}])
    printed = capsys.readouterr().out
    assert json.loads(printed) == [{HOSTILE: HOSTILE}]
    assert printed.replace("\n", "").isprintable()

    print_csv([{"a": HOSTILE, "b": 0.5, "c": None, "d": {"e": HOSTILE}}])
    header, row = csv.reader(io.StringIO(capsys.readouterr().out))
    assert (header, row[:3]) == (["a", "b", "c", "d"], [SHOWN, "0.5", ""])
    assert row[3].isprintable()


def test_a_console_shows_text_of_anything_as_text() -> None:
    """Whatever is drawn with rich, by whichever way, on a terminal, too."""
    text = io.StringIO()
    console = InertConsole(text)
    console.file = text
    console.print(HOSTILE, Panel(HOSTILE), Text(HOSTILE))
    shown = text.getvalue()
    assert SHOWN.partition("\\r")[0] in shown
    assert "e[/bold]:bomb:" in shown
    assert shown.replace("\n", "").isprintable()


def test_only_the_colours_of_the_console_act(monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.StringIO()
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    console = InertConsole(text)
    console.file = text
    console.print(Text("\x1b[2J", style="bold"))
    assert text.getvalue() == "\x1b[1m\\x1b[2J\x1b[0m\n"


def test_a_command_at_work_is_named_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.StringIO()
    console = InertConsole(text)
    console.file = text
    monkeypatch.setattr(output, "errors", console)
    console.print(output.busy(HOSTILE).renderable)
    assert SHOWN in text.getvalue()


def test_logs_and_tracebacks_are_text(capsys: Capture) -> None:
    try:
        int(f"{HOSTILE}://ann:s3cr3t@host")
    except ValueError as error:
        print_traceback()
        where = (type(error), error, error.__traceback__)
        record = logging.LogRecord("a", 30, "b", 1, "%s: broke a://b:s3cr3t@c", (HOSTILE,), where)

    trace = capsys.readouterr().err
    log = LogFormatter().format(record)
    assert "s3cr3t" not in trace + log
    for text in (trace, log):
        assert text.replace("\n", "").isprintable()
        assert "\nValueError: invalid literal" in text
    assert log.split("\n")[0] == f"{SHOWN}: broke a://b:***@c"


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
