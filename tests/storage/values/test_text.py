"""Text of strangers: shown without effect, and taken for a name only if it is one."""

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.values.text import (
    check_base,
    check_folder,
    check_label,
    check_study_name,
    check_uid,
    printable,
    printable_lines,
)

# shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain_text 0.5", "plain_text 0.5"),
        ("日本\u3000語 naïve\xa0🙂", "日本\u3000語 naïve\xa0🙂"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\x9b31m\x85", "\\x9b31m\\x85"),
        ("a\tb\r\nc\x00\x7f", "a\\tb\\r\\nc\\x00\\x7f"),
        ("\u202eevil\u2066\u200b", "\\u202eevil\\u2066\\u200b"),
        ("\u2028\u2029\U000e0041\ud800", "\\u2028\\u2029\\U000e0041\\ud800"),
    ],
)
def test_what_has_no_shape_is_written_as_python_does(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


@given(st.text(st.characters()))
def test_nothing_that_acts_is_left(text: str) -> None:
    shown = printable(text)
    assert all(one.isprintable() or unicodedata.category(one) == "Zs" for one in shown)
    assert printable(shown) == shown
    assert printable_lines(text).count("\n") == text.count("\n")
    assert printable_lines(text).replace("\n", "\\n") == shown


# names


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (check_uid, "0123456789abcdef0123456789abcdef"),
        (check_study_name, "mmbert-small.v1_b"),
        (check_label, "NanoMSMARCO"),
        (check_label, "CQADupstack/android"),
        (check_label, "Belebele (deu_Latn), 50 %'s"),
        (check_label, "हिन्दी 検索"),
        (check_base, "mmBERT-small"),
        (check_base, "my model (v2)"),
        (check_folder, "/data/my model"),
        (check_folder, "/"),
    ],
)
def test_names_that_are_some(check: Callable[[str], str], text: str) -> None:
    assert check(text) == text


@pytest.mark.parametrize(
    ("check", "text", "reason"),
    [
        (check_uid, "", "32 hexadecimal"),
        (check_uid, "../../victim", "32 hexadecimal"),
        (check_uid, "0123456789abcdef0123456789abcdef\n", "32 hexadecimal"),
        (check_uid, "0123456789ABCDEF0123456789ABCDEF", "32 hexadecimal"),
        (check_study_name, "../a", "letters"),
        (check_study_name, "a b", "letters"),
        (check_study_name, "a\n", "letters"),
        (check_study_name, "ä", "letters"),
        (check_label, "", "of other signs only a space"),
        (check_label, " a", "of other signs"),
        (check_label, "a ", "of other signs"),
        (check_label, "-a", "of other signs"),
        (check_label, "a|b", "of other signs"),
        (check_label, "<b>", "of other signs"),
        (check_label, "a`b", "of other signs"),
        (check_label, "a\u202eb", "of other signs"),
        (check_label, "a\x1bb", "of other signs"),
        (check_label, "a" * 201, "at most 200"),
        (check_base, "a/../../b", "without '/'"),
        (check_base, "..", "of other signs"),
        (check_base, 'a"b', "of other signs"),
        (check_folder, "data", "absolute"),
        (check_folder, "../data", "absolute"),
        (check_folder, "/data\x1b[2J", "printable"),
        (check_folder, "/a" * 3000, "at most 4096"),
    ],
)
def test_names_that_are_none(check: Callable[[str], str], text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check(text)
