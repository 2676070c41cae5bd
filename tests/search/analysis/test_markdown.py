"""Pages of Markdown: what strangers wrote stays text, by the parser that terminals use, too."""

import ast

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jinja2 import UndefinedError
from markdown_it import MarkdownIt
from markdown_it.token import Token

from search.analysis.markdown import Markdown, code, escape, quoted, render, table
from storage.values.text import printable

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
TEXTS = st.text(st.sampled_from("ab0_*`~[]()<>!&;#|\\$:/@.w-+ \"'\n\r\t\x1b\u202e{}%"), max_size=20)
"""Texts of the characters that mean something to Markdown, and a few that do not."""


def inline(text: str) -> list[Token]:
    """Return the parts of a paragraph."""
    _, paragraph, _ = PARSER.parse(text)
    return list(paragraph.children or ())


@given(TEXTS)
@example("_a_ __b__ 0_1_2_18 *c* `d` ~~e~~ [f](g) <http://h> &amp; ![i](j)")
@example("a\n# b\n\n- c")
def test_an_escaped_text_is_a_text(text: str) -> None:
    parts = inline(f"x {escape(text)} y")
    assert {part.type for part in parts} <= {"text", "text_special"}
    assert "".join(part.content for part in parts) == f"x {printable(text)} y"


@given(TEXTS.filter(str.strip))
def test_a_span_of_code_is_one(text: str) -> None:
    before, span, after = inline(f"x {code(text)} y")
    assert (before.content, span.type, after.content) == ("x ", "code_inline", " y")
    shown = printable(text)
    assert span.content in (shown, shown[1:-1])  # a space at both ends is left out


@given(st.lists(st.lists(TEXTS.filter(str.strip), min_size=2, max_size=2), min_size=1, max_size=3))
def test_a_cell_stays_in_its_cell(rows: list[list[str]]) -> None:
    tokens = PARSER.parse(table(rows[0], rows[1:]))
    cells = [
        "".join(part.content for part in token.children or ())
        for token in tokens
        if token.type == "inline"
    ]
    assert cells == [printable(cell).strip() for row in rows for cell in row]


@settings(max_examples=40)  # the parser of YAML is slow
@given(st.text())
@example('"); import os\n```\n')
def test_a_quoted_text_is_the_same_in_python_and_yaml(text: str) -> None:
    assert ast.literal_eval(quoted(text)) == text
    assert yaml.safe_load(f"key: {quoted(text)}") == {"key": text}
    assert quoted(text).isascii()
    assert quoted(text).isprintable()


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("0_1_2_18 at 0.4558 +/- 0.01, 75 %", "0_1_2_18 at 0.4558 +/- 0.01, 75 %"),
        ("mmBERT-small (v2)", "mmBERT-small (v2)"),
        ("https://a.b www.c a@b :d:", r"https\://a.b www\.c a\@b \:d:"),
        ("_a b_", r"\_a b\_"),
    ],
)
def test_plain_text_stays_readable(text: str, escaped: str) -> None:
    assert escape(text) == escaped


def test_a_page_escapes_every_value() -> None:
    template = (
        "# {{ a }}\n{% for b in bs %}\n- {{ b }} {{ b | code }} {{ b | quoted }}\n{% endfor %}\n"
    )
    values = {"a": "<b>", "bs": ["*x*", Markdown("*y*")]}
    assert render(template, values) == '# \\<b\\>\n- \\*x\\* `*x*` "*x*"\n- *y* `*y*` "*y*"\n'
    assert render("{{ a }} {{ b }}", {"a": 7, "b": 0.5}) == "7 0.5"
    with pytest.raises(UndefinedError, match="'a' is undefined"):
        render(template, {"bs": []})
