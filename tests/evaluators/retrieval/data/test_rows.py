"""Rows of data files: the same from every format, and an error with its place."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import evaluators
from evaluators.retrieval.data.rows import read_rows
from tests.support.data_files import TEXTS, Rows, write_rows

NAMES = ["r.jsonl", "r.json", "r.csv", "r.tsv", "r.parquet"]
NAMES += [f"{name}.gz" for name in NAMES[:-1]]
ROWS = [{"_id": f"d{number}", "text": text} for number, text in enumerate(TEXTS)]


def rows_of(path: Path) -> Rows:
    """Return the rows of a file without their places."""
    return [row for _, row in read_rows(path)]


@pytest.mark.parametrize("name", NAMES)
def test_every_format_holds_the_same_rows(name: str, tmp_path: Path) -> None:
    write_rows(tmp_path / name, ROWS)
    assert rows_of(tmp_path / name) == ROWS


# blanks at the ends of lines are part of the text, a zero byte is no text of CSV
CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1)


@given(st.lists(st.fixed_dictionaries({"_id": CELLS, "text": CELLS}), min_size=1, max_size=4))
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, rows: Rows) -> None:
    folder = tmp_path_factory.mktemp("rows")
    for name in ("r.jsonl.gz", "r.json", "r.csv", "r.tsv.gz", "r.parquet"):
        write_rows(folder / name, rows)
        assert rows_of(folder / name) == rows


def test_a_json_file_may_hold_a_row_in_each_line(tmp_path: Path) -> None:
    write_rows(tmp_path / "r.jsonl", ROWS)
    (tmp_path / "r.jsonl").rename(tmp_path / "r.json")
    assert rows_of(tmp_path / "r.json") == ROWS


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("_id,text\n1,a\n", encoding="utf-8-sig")
    assert rows_of(tmp_path / "r.csv") == [{"_id": "1", "text": "a"}]


def test_long_cells_are_read(tmp_path: Path) -> None:
    rows = [{"_id": "1", "text": "long " * 40_000}]
    write_rows(tmp_path / "r.csv", rows)
    assert rows_of(tmp_path / "r.csv") == rows


def test_a_row_has_its_place(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text('{"_id": 1}\n\n{"_id": 2}\n', encoding="utf-8")
    places = [place for place, _ in read_rows(tmp_path / "r.jsonl")]
    assert places == [f"{tmp_path}/r.jsonl, line {number}" for number in (1, 3)]


@given(name=st.sampled_from(NAMES), content=st.binary(max_size=200))
def test_any_bytes_are_rows_or_a_mistake(
    tmp_path_factory: pytest.TempPathFactory, name: str, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("rows") / name
    path.write_bytes(content)
    with contextlib.suppress(evaluators.InputError):
        rows_of(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.jsonl", b'{"_id": 1}\n{"_id": \n', r"r\.jsonl, line 2: not JSON: "),
        ("r.jsonl", b"[1, 2]\n", r"r\.jsonl, line 1: a row is an object .*, not '\[1, 2\]'"),
        ("r.json", b"[{}, 3]", r"r\.json, row 2: a row is an object .*, not '3'"),
        ("r.csv", b"a,b\n1,2\n3\n", r"r\.csv, line 3: it has not as many values as the header"),
        ("r.csv", b"a,b\n1,2,3\n", r"r\.csv, line 2: it has not as many values as the header"),
        ("r.csv", b'a,b\n1,"2\n', r"cannot read .*r\.csv: unexpected end of data"),
        ("r.jsonl", b"\xff\xfe", r"cannot read .*r\.jsonl: 'utf-8' codec"),
        ("r.jsonl.gz", b"plain", r"cannot read .*r\.jsonl\.gz: Not a gzipped file"),
        ("r.parquet", b"plain", r"cannot read .*r\.parquet: "),
        ("r.jsonl", b"[" * 100_000, r"cannot read .*r\.jsonl: "),
        ("r.jsonl", b'{"_id": ' + b"9" * 5000 + b"}", r"cannot read .*r\.jsonl: .*4300 digits"),
    ],
)
def test_a_broken_file_is_refused_in_one_line(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(evaluators.InputError, match=message) as caught:
        rows_of(tmp_path / name)
    assert "\n" not in str(caught.value)
