"""Text that strangers may have written: how it is shown, and which names are accepted.

A store is shared, and whoever may write to it may write anything. So no text of it reaches a
terminal or a page but through `printable`, and no name of it is used before it was checked here.
"""

import re
import unicodedata
from functools import cache
from pathlib import PurePath

from storage.values.bounds import LONGEST_NAME

STUDY_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{LONGEST_NAME - 1}}}")
"""Names of studies, in full."""
_UID = re.compile(r"[0-9a-f]{32}")

_PUNCTUATION = frozenset(" ._-+,=@()/:#%~'")
"""What names of tasks and bases have besides letters, digits and marks of any script: enough for
`CQADupstack/android` and `Belebele (deu_Latn)`, and nothing that HTML, a shell or a quotation
reads as more than a character."""
_LONGEST_LABEL = 200  # characters: twice as many as a set's name, as a task may follow a set
_LONGEST_FOLDER = 4096  # characters: the longest path that Linux takes


def printable(text: str) -> str:
    r"""Return `text` as one line that does nothing to a terminal.

    Control characters, line breaks, marks that change the direction of writing and all else without
    a shape of its own are written as in Python: `\x1b`, `\n`, `\u202e`.
    """
    return text if text.isprintable() else "".join(map(_show, text))


def printable_lines(text: str) -> str:
    """Return `text` as `printable` does, but for its line breaks, which it keeps."""
    return "\n".join(map(printable, text.split("\n")))


@cache
def _show(character: str) -> str:
    """Return a character, or the way Python writes it if it has no shape."""
    is_space = unicodedata.category(character) == "Zs"  # other widths of a blank, as in Japanese
    if character.isprintable() or is_space:
        return character
    return character.encode("unicode_escape").decode("ascii")


def check_uid(text: str) -> str:
    """Return the uid of a study, which names a folder.

    Raises:
        ValueError: it is none.
    """
    if not _UID.fullmatch(text):
        message = "should be 32 hexadecimal digits"
        raise ValueError(message)
    return text


def check_study_name(text: str) -> str:
    """Return the name of a study, which stands in paths, queries and command lines unquoted.

    Raises:
        ValueError: it is none.
    """
    if not STUDY_NAME.fullmatch(text):
        message = (
            f"should be letters, digits, '.', '_' and '-' without spaces, at most {LONGEST_NAME}"
        )
        raise ValueError(message)
    return text


def check_label(text: str) -> str:
    """Return the name of a task or a test set.

    Raises:
        ValueError: it is none.
    """
    begins = text[:1].isalnum() or text[:1] == "_"
    if not begins or text.endswith(" ") or not all(map(_is_in_labels, text)):
        message = f"should be letters and digits, and of other signs only {_signs()}"
        raise ValueError(message)
    if len(text) > _LONGEST_LABEL:
        message = f"should have at most {_LONGEST_LABEL} characters"
        raise ValueError(message)
    return text


def check_base(text: str) -> str:
    """Return the short name of a base, which begins the name of an exported folder.

    Raises:
        ValueError: it is none.
    """
    if "/" in text:
        message = "should be the name of a folder, without '/'"
        raise ValueError(message)
    return check_label(text)


def check_folder(text: str) -> str:
    """Return the path of a folder.

    Raises:
        ValueError: it is not absolute, or not one line of at most 4,096 characters.
    """
    if printable(text) != text or len(text) > _LONGEST_FOLDER or not PurePath(text).is_absolute():
        message = f"should be an absolute path of at most {_LONGEST_FOLDER} printable characters"
        raise ValueError(message)
    return text


def _is_in_labels(character: str) -> bool:
    """Whether a name of a task or a base may have a character."""
    is_of_a_word = unicodedata.category(character)[0] in "LMN"
    return is_of_a_word or character in _PUNCTUATION


def _signs() -> str:
    """Return the signs that a name may have, for messages."""
    return "a space or " + " ".join(sorted(_PUNCTUATION - {" "}))
