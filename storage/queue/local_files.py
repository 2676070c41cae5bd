"""The folder of this machine for everything that must outlive a worker, which only its user enters.

Results and trained weights wait there. Whoever could write to it could make up results, so all of
it is for its user alone, whatever the umask says.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import platformdirs

from storage.errors import InputError, first_line

_PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600


def state_folder() -> Path:
    """Return the folder, which need not exist.

    LAYER_SEARCH_STATE, or the user's own, such as ~/.local/state/layer-search.

    Raises:
        InputError: the variable begins with the home of nobody, `~nobody`.
    """
    chosen = os.environ.get("LAYER_SEARCH_STATE")
    if not chosen:
        return platformdirs.user_state_path("layer-search")
    try:
        return Path(chosen).expanduser()
    except RuntimeError as error:
        message = f"LAYER_SEARCH_STATE is {chosen!r}: {first_line(error)}"
        raise InputError(message) from error


def private_folder(*names: str) -> Path:
    """Return the folder, or one below it, made if it is missing and closed to other users.

    Args:
        *names: names of the folders below it, which callers have checked.

    Raises:
        OSError: it cannot be made.
    """
    folder = state_folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    _make_private(folder)
    for name in names:
        folder = folder / name
        _make_private(folder)
    return folder


def prepared_folder() -> Path:
    """Return the folder as `private_folder` does, or as it is where it cannot be made."""
    with suppress(OSError):
        return private_folder()
    return state_folder()


def create_private(path: Path) -> TextIO:
    """Open a file for text that only its user may read, empty even if it was there.

    Raises:
        OSError: it cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
    return os.fdopen(descriptor, "w", encoding="utf-8")


def _make_private(folder: Path) -> None:
    """Make a folder for its user alone; one that is there is closed to others, if it is ours.

    One that everybody may write to under a sticky bit, such as /tmp, is nobody's own. A file system
    that knows no rights, such as a share of Windows, keeps results all the same.
    """
    folder.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
    found = folder.stat()
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid == os.geteuid() and mode & 0o077 and not mode & stat.S_ISVTX:
        with suppress(OSError):
            folder.chmod(_PRIVATE_FOLDER)
