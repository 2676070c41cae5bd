"""Paths of local files and folders that a study file names."""

from pathlib import Path

from evaluators._errors import InputError, first_line


def local_path(source: str, folder: Path, key: str) -> Path:
    """Return the path that `source` means on this machine, whether there is such a file or not.

    Args:
        source: the path in the study file; it may begin with `~`.
        folder: folder that relative paths start from.
        key: key of the study file, for errors.

    Raises:
        InputError: it cannot be looked up: a name is too long, a folder is closed, or `~` names
            nobody.
    """
    try:
        path = Path(folder, Path(source).expanduser())
        path.exists()  # asks the system, which refuses some paths
    except (OSError, RuntimeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or first_line(error)
        message = f"{key}: cannot look for {source}: {reason}"
        raise InputError(message) from error
    return path
