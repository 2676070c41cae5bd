"""The application: finds the command, runs it, and turns errors into one line.

The module of a command is imported when the command is run, so that `--help` and light commands
answer at once although a module of commands may import heavy libraries at its top.
"""

import ast
import errno
import importlib
import logging
import sys
from collections.abc import Sequence
from importlib.metadata import version
from importlib.resources import files
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

import search.errors
import storage.errors
from search.cli.output import fail, log_to_stderr, print_traceback, say
from search.signals import signals

_COMMANDS = {
    "quickstart": "demo",
    "launch": "run",
    "work": "run",
    "evaluate": "manual",
    "screen": "screening",
    "answer": "analyse",
    "studies": "show",
    "leaderboard": "show",
    "best": "show",
    "depths": "depths",
    "trials": "show",
    "space": "spaces",
    "compare": "analyse",
    "export": "models",
    "init": "manage",
    "replicate": "manage",
    "release": "manage",
    "outbox": "removal",
    "delete": "removal",
}
"""The module of each command in `search.cli.commands`, in the order of `--help`."""

_WRONG_PATHS = frozenset(
    {
        errno.EACCES,
        errno.EEXIST,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EPERM,
        errno.EROFS,
    }
)
"""Errors of the system that another path, or other rights to it, would mend."""

INTERRUPTED = 130
"""Exit code of an interrupted command, as a shell reports a process that Ctrl-C ended."""


class LazyGroup(TyperGroup):
    """A group of commands whose modules are imported only to run them."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands.update({name: TyperCommand(name) for name in _COMMANDS})

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command, without its parameters until it is run."""
        command = super().get_command(ctx, cmd_name)
        if command is not None and command.help is None:
            command.help = _summarise(cmd_name)
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the module of the command that is run."""
        if args[0] in _COMMANDS:
            self.commands[args[0]] = _load(args[0])
        return super().resolve_command(ctx, args)


def _summarise(name: str) -> str:
    """Return the first line of a command's docstring, without importing its module."""
    source = files("search.cli.commands").joinpath(f"{_COMMANDS[name]}.py")
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return (ast.get_docstring(node) or "").partition("\n")[0]
    raise LookupError(name)


def _load(name: str) -> Any:
    """Import the module of a command, and return the command."""
    module = importlib.import_module(f"search.cli.commands.{_COMMANDS[name]}")
    alone = typer.Typer(add_completion=False, rich_markup_mode="rich")
    alone.command(name, epilog=module.EXAMPLES[name])(getattr(module, name))
    return typer.main.get_command(alone)


app = typer.Typer(
    name="layer-search",
    cls=LazyGroup,
    help="Find which layers of a pretrained encoder to keep.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _print_version(asked: bool) -> None:  # noqa: FBT001 - Typer passes it by position
    """Print the version and end, if it is asked for."""
    if asked:
        say(f"layer-search {version('layer-search')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks and debug messages.")
    ] = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Find which layers of a pretrained encoder to keep."""
    log_to_stderr(logging.DEBUG if debug else logging.WARNING)


def main() -> None:
    """Run the command line; exit with 0, 2 for bad input, 1 for a failure, 130 when interrupted."""
    signals.listen()
    debug = "--debug" in sys.argv[1:]
    words = [word for word in sys.argv[1:] if word != "--debug"] or ["--help"]

    try:
        _require_text(words)
        # first, also where people put it: at the end
        arguments = ["--debug", *words] if debug else words
        code = app(args=arguments, prog_name="layer-search", standalone_mode=False)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except TyperException as error:
        misplaced = words[-1] != "--help" and words[0].startswith("-")
        hint = " (a command comes first, its options after it)" if misplaced else ""
        code = fail(error.format_message() + hint, getattr(error, "exit_code", 2))
    except Exception as error:  # noqa: BLE001 - the last line of defence
        if debug:
            print_traceback()
        code = _explain(error)

    if code == INTERRUPTED:
        fail("interrupted", INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _explain(error: Exception) -> int:
    """Print one line for `error` on stderr, and return the exit code it deserves."""
    import evaluators  # noqa: PLC0415 - a quarter of the time that `--help` would take

    bad_input = (search.errors.InputError, evaluators.InputError, storage.errors.InputError)
    if isinstance(error, bad_input):
        return fail(str(error), 2)

    failures = (search.errors.SearchError, evaluators.EvaluatorError, storage.errors.StorageError)
    if isinstance(error, failures):
        return fail(str(error), 1)
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return fail(f"cannot use {error.filename}: {error.strerror}", _exit_code(error))

    return fail(f"{search.errors.describe_error(error)} (--debug shows where)", 1)


def _exit_code(error: OSError) -> int:
    """Return the exit code of an error of the system: 2 where the path is wrong."""
    return 2 if error.errno in _WRONG_PATHS else 1


def _require_text(words: Sequence[str]) -> None:
    """Refuse words that are no text, which neither the store nor the terminal could take.

    Raises:
        search.errors.InputError: the bytes of one are not UTF-8.
    """
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError as error:
            message = f"{word!a} is not UTF-8 text: give it another name"
            raise search.errors.InputError(message) from error
