"""The application: commands that are found, errors that become one line, exit codes."""

import importlib
import inspect
import logging
import pkgutil
import sys
from collections.abc import Callable
from importlib.metadata import version

import pytest

import evaluators
import search.errors
import storage.errors
from search.cli import commands
from search.cli.app import _COMMANDS, INTERRUPTED, _load, _summarise
from search.cli.commands import show
from tests.support.commands import read_error, run_command

COMMANDS = sorted(_COMMANDS)
MODULES = sorted(module.name for module in pkgutil.iter_modules(commands.__path__))


def functions_of(module: str) -> dict[str, Callable[..., None]]:
    """Return the public functions that a module of commands defines, by name."""
    loaded = importlib.import_module(f"{commands.__name__}.{module}")
    return {
        name: function
        for name, function in inspect.getmembers(loaded, inspect.isfunction)
        if function.__module__ == loaded.__name__ and not name.startswith("_")
    }


# commands


@pytest.mark.parametrize("module", MODULES)
def test_every_public_function_of_a_module_is_a_command(module: str) -> None:
    listed = {name for name, place in _COMMANDS.items() if place == module}
    assert set(functions_of(module)) == listed
    loaded = importlib.import_module(f"{commands.__name__}.{module}")
    assert set(loaded.EXAMPLES) == listed


def test_commands_lie_in_the_modules_there_are() -> None:
    assert len(COMMANDS) >= 10
    assert set(_COMMANDS.values()) == set(MODULES)


@pytest.mark.parametrize("command", COMMANDS)
def test_summary_is_the_first_line_of_the_docstring(command: str) -> None:
    docstring = inspect.getdoc(functions_of(_COMMANDS[command])[command])
    assert docstring is not None
    first = docstring.partition("\n")[0]
    assert _summarise(command) == first
    assert _load(command).help.startswith(first)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command: str) -> None:
    done = run_command(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    examples = [line.strip() for line in done.stdout.splitlines() if "Example:" in line]
    assert len(examples) == 1
    assert examples[0].startswith(f"Example: layer-search {command}")


@pytest.mark.parametrize("words", [[], ["--help"], ["--debug"]])
def test_help_names_every_command_in_order(words: list[str]) -> None:
    done = run_command(*words)
    assert (done.returncode, done.stderr) == (0, "")
    text = " ".join(done.stdout.split())
    places = [text.index(f"│ {command} {_summarise(command)[:30]}") for command in _COMMANDS]
    assert places == sorted(places)


def test_unknown_command_is_told_the_nearest() -> None:
    done = run_command("lunch")
    assert done.returncode == 2
    assert read_error(done) == "error: No such command 'lunch'. Did you mean 'launch'?"


def test_unknown_word_without_a_near_command() -> None:
    done = run_command("zzz")
    assert done.returncode == 2
    assert read_error(done) == "error: No such command 'zzz'."


def test_version() -> None:
    done = run_command("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"layer-search {version('layer-search')}\n"


# errors


def fail_with(error: BaseException) -> Callable[[], None]:
    """Return a command that raises `error`."""

    def studies() -> None:
        """Raise."""
        raise error

    return studies


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (search.errors.InputError, 2),
        (evaluators.InputError, 2),
        (storage.errors.InputError, 2),
        (storage.errors.StoreMissingError, 2),
        (search.errors.SearchError, 1),
        (evaluators.EvaluatorError, 1),
        (storage.errors.StorageError, 1),
        (storage.errors.StoreUnavailableError, 1),
    ],
    ids=lambda value: f"{value.__module__}.{value.__name__}" if inspect.isclass(value) else None,
)
def test_errors_for_people_are_one_line(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception], code: int
) -> None:
    said = "it is wrong:\n  mend it at postgresql://ann:s3cr3t@host/d"
    monkeypatch.setattr(show, "studies", fail_with(error(said)))
    done = run_command("studies")
    assert done.returncode == code
    assert read_error(done) == "error: it is wrong: mend it at postgresql://ann:***@host/d"


def test_unforeseen_error_says_how_to_see_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show, "studies", fail_with(RuntimeError("no memory\nat all")))
    done = run_command("studies")
    assert done.returncode == 1
    assert read_error(done) == "error: RuntimeError: no memory (--debug shows where)"


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (FileNotFoundError(2, "No such file or directory", "a/b"), 2, "No such file or directory"),
        (PermissionError(13, "Permission denied", "a/b"), 2, "Permission denied"),
        (OSError(36, "File name too long", "a/b"), 2, "File name too long"),
        (OSError(28, "No space left on device", "a/b"), 1, "No space left on device"),
    ],
)
def test_refusal_of_the_system_names_the_path(
    monkeypatch: pytest.MonkeyPatch, error: OSError, code: int, line: str
) -> None:
    monkeypatch.setattr(show, "studies", fail_with(error))
    done = run_command("studies")
    assert done.returncode == code
    assert read_error(done) == f"error: cannot use a/b: {line}"


def test_error_of_a_network_is_no_refusal_of_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show, "studies", fail_with(ConnectionResetError(104, "reset")))
    done = run_command("studies")
    assert done.returncode == 1
    assert read_error(done).endswith("reset (--debug shows where)")


def test_words_that_are_no_text_are_refused() -> None:
    done = run_command("trials", "a\udcff")
    assert done.returncode == 2
    assert read_error(done) == "error: 'a\\udcff' is not UTF-8 text: give it another name"


@pytest.mark.parametrize("words", [["--debug", "studies"], ["studies", "--debug"]])
def test_traceback_is_shown_when_asked_for(
    monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setattr(show, "studies", fail_with(search.errors.InputError("wrong")))
    done = run_command(*words)
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert done.stderr.endswith("\nerror: wrong\n")


@pytest.mark.parametrize(
    ("words", "level"), [(["studies"], logging.WARNING), (["studies", "--debug"], logging.DEBUG)]
)
def test_debug_messages_are_shown_when_asked_for(
    monkeypatch: pytest.MonkeyPatch, words: list[str], level: int
) -> None:
    levels = []

    def studies() -> None:
        """Note the level."""
        levels.append(logging.getLogger("layer-search").getEffectiveLevel())

    monkeypatch.setattr(show, "studies", studies)
    assert run_command(*words).returncode == 0
    assert levels == [level]


def test_interruption_has_an_exit_code_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show, "studies", fail_with(KeyboardInterrupt()))
    done = run_command("studies")
    assert done.returncode == INTERRUPTED == 130
    assert read_error(done) == "error: interrupted"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["--store", "x", "launch"],
            "No such option: --store (a command comes first, its options after it)",
        ),
        (
            ["--store", "x", "launch", "--debug"],
            "No such option: --store (a command comes first, its options after it)",
        ),
        (["launch", "--store"], "Option '--store' requires an argument."),
        (["launch"], "Missing argument 'STUDY.toml'."),
        (["studies", "--debug", "--csv"], "No such option: --csv"),
    ],
)
def test_wrong_words_are_one_line(words: list[str], line: str) -> None:
    done = run_command(*words)
    assert done.returncode == 2
    assert read_error(done) == f"error: {line}"


def test_command_line_listens_to_sigterm(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = []
    module = sys.modules["search.cli.app"]
    monkeypatch.setattr(module.signals, "listen", lambda: heard.append("listening"))
    assert run_command("--version").returncode == 0
    assert heard == ["listening"]
