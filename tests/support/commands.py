"""The command line: run in this process, which costs a call, or in a process of its own."""

import io
import json
import logging
import os
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from search.cli import main

COMMAND = Path(sys.executable).with_name("layer-search")
"""The installed command."""

Done = subprocess.CompletedProcess[str]
"""A command line that has ended: its exit code and its output."""

Running = subprocess.Popen[str]
"""A command line in a process of its own, whose output goes to pipes."""


def run_command(*words: object, cwd: Path | None = None, **environment: str) -> Done:
    """Run a command line in this process, and return its exit code and its output.

    Args:
        *words: the words after `layer-search`.
        cwd: the working folder.
        **environment: variables that are set meanwhile.
    """
    arguments = ["layer-search", *map(str, words)]
    logger, handler = logging.getLogger("layer-search"), signal.getsignal(signal.SIGTERM)
    level = logger.level

    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(io.StringIO()) as out,
        redirect_stderr(io.StringIO()) as err,
    ):
        patch.setattr(sys, "argv", arguments)
        for name, value in environment.items():
            patch.setenv(name, value)
        if cwd is not None:
            patch.chdir(cwd)

        try:
            with pytest.raises(SystemExit) as ended:
                main()
        finally:
            logger.setLevel(level)
            signal.signal(signal.SIGTERM, handler)

    code = ended.value.code
    assert isinstance(code, int)
    return Done(arguments, code, out.getvalue(), err.getvalue())


def start_command(*words: object, cwd: Path | None = None, **environment: str) -> Running:
    """Start a command line in a process of its own.

    Args:
        *words: the words after `layer-search`.
        cwd: the working folder.
        **environment: variables besides the ones of this process.
    """
    return Running(
        [COMMAND, *map(str, words)],
        cwd=cwd,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_json(done: Done) -> Any:
    """Return the JSON that a command printed, which must have succeeded in silence."""
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def read_error(done: Done) -> str:
    """Return the one line that a command printed, which must be an error."""
    assert done.stdout == ""
    assert done.stderr.endswith("\n")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert "Traceback" not in line
    return line
