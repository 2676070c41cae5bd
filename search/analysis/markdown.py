"""Text that strangers wrote, in a page of Markdown: whatever it holds, it stays text.

A template is filled in by `render`, where every value is escaped unless it is `Markdown` already.
So nothing has to be remembered where a template names a value, and only what is here makes
`Markdown`: `code` a span of code, `quoted` a string of Python and of YAML, `table` a table.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from jinja2 import Environment, StrictUndefined

from storage.values.text import printable

_SPECIAL = re.compile(
    r"[\\`*\[\]<>&|~$#{}!@^]|:(?=\S)"  # opens or closes something somewhere in a line
    r"|(?<![^\W_])_|_(?![^\W_])"  # an underscore, but for one inside a word: `0_1_2_18`
    r"|(?<=www)\.",  # the beginning of a link
    re.IGNORECASE,
)
"""Characters that Markdown (CommonMark, with the tables, links and formulas of hubs) reads as more
than themselves inside a line; a backslash before each takes that away. No value begins a line."""


class Markdown(str):
    """Text that is Markdown as it stands."""

    __slots__ = ()


def escape(text: str) -> Markdown:
    """Return one line of Markdown that shows `text`."""
    return Markdown(_SPECIAL.sub(r"\\\g<0>", printable(text)))


def code(text: str) -> Markdown:
    """Return a span of code with `text`, which is not empty, for use outside of tables."""
    shown = printable(text)
    longest = max(map(len, re.findall(r"`+", shown)), default=0)
    fence = "`" * (longest + 1)
    space = " " if longest else ""  # or a mark at either end would be part of the fence
    return Markdown(f"{fence}{space}{shown}{space}{fence}")


def quoted(text: str) -> Markdown:
    """Return `text` as a string in double quotes, in ASCII, whose escapes Python and YAML share."""
    inside = text.encode("unicode_escape").decode("ascii").replace('"', '\\"')
    return Markdown(f'"{inside}"')


def table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> Markdown:
    """Return a table, the cells escaped unless they are `Markdown`."""
    rule = "|" + " --- |" * len(header)
    return Markdown("\n".join([_row(header), rule, *map(_row, lines)]))


def _row(cells: Iterable[str]) -> str:
    """Return one line of a table."""
    shown = (cell if isinstance(cell, Markdown) else escape(cell) for cell in cells)
    return "| " + " | ".join(shown) + " |"


def render(template: str, values: Mapping[str, object]) -> str:
    """Return a page of Markdown.

    Args:
        template: the text of the page, in the language of Jinja.
        values: its values by name: texts, integers, and mappings and lists of such.

    Raises:
        jinja2.UndefinedError: the template names a value that is not there.
    """
    environment = Environment(
        autoescape=False,  # noqa: S701 - that is for HTML: `finalize` escapes for Markdown
        finalize=_finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"code": code, "quoted": quoted}
    environment.globals["table"] = table
    return environment.from_string(template).render(values)


def _finalize(value: object) -> object:
    """Return what a template writes for a value."""
    if isinstance(value, Markdown | int):
        return value
    return escape(str(value))
