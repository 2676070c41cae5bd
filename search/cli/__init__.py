"""The command line: `layer-search`.

Commands import what they need when they run, so that `leaderboard` and `--help` answer at once.
"""

import logging
import sys
import traceback
from importlib.metadata import version
from typing import Annotated

import typer
from typer.exceptions import TyperException

import evaluators.errors
import search.errors
import storage.errors
from search.cli import compare, export, look, manage, quickstart, run, screen
from search.cli.output import fail

_BAD_INPUT = (search.errors.InputError, evaluators.errors.InputError, storage.errors.InputError)
_FAILURES = (
    search.errors.SearchError,
    evaluators.errors.EvaluatorError,
    storage.errors.StorageError,
)

INTERRUPTED = 130  # as a shell reports a process that Ctrl-C ended

app = typer.Typer(
    name="layer-search",
    help="Find which layers of a pretrained encoder to keep.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _print_version(asked: bool) -> None:  # noqa: FBT001 - Typer calls it so
    if asked:
        print(f"layer-search {version('layer-search')}")  # noqa: T201 - plain for programs
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
    level = logging.DEBUG if debug else logging.WARNING
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("layer-search").setLevel(level)


for module in (quickstart, run, screen, look, compare, export, manage):
    for command in module.COMMANDS:
        app.command(epilog=module.EXAMPLES[command.__name__])(command)


def main() -> None:
    """Run the command line; exit with 0, 2 for bad input, 1 for a failure, 130 when interrupted."""
    arguments = sys.argv[1:] or ["--help"]
    if debug := "--debug" in arguments:  # also where people put it: at the end
        arguments = ["--debug", *(word for word in arguments if word != "--debug")]
    try:
        code = app(args=arguments, prog_name="layer-search", standalone_mode=False)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except TyperException as error:
        misplaced = arguments[-1:] != ["--help"] and arguments[int(debug)].startswith("-")
        hint = " (a command comes first, its options after it)" if misplaced else ""
        code = fail(error.format_message() + hint, getattr(error, "exit_code", 2))
    except Exception as error:  # noqa: BLE001 - the last line of defence
        if debug:
            traceback.print_exc()
        code = _explain(error)
    if code == INTERRUPTED:
        fail("interrupted", INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _explain(error: Exception) -> int:
    """One line for `error` on stderr; the exit code it deserves."""
    if isinstance(error, _BAD_INPUT):
        return fail(str(error), 2)
    if isinstance(error, _FAILURES):
        return fail(str(error), 1)
    reason = str(error).strip().split("\n", 1)[0]
    return fail(f"{type(error).__name__}: {reason} (--debug shows where)", 1)
