"""A TOML file: read as it is, or refused in one sentence, whatever it holds."""

import os
import threading
from pathlib import Path

import pytest

from search.errors import InputError
from search.toml_file import DEEPEST, LARGEST_FILE, read_toml


def write(folder: Path, content: bytes) -> Path:
    """Write a file, and return its path."""
    path = folder / "study.toml"
    path.write_bytes(content)
    return path


def nested(levels: int) -> bytes:
    """Return a file with so many lists inside each other."""
    return b"a = " + b"[" * levels + b"]" * levels


def test_content_is_returned(tmp_path: Path) -> None:
    path = write(tmp_path, 'a = 1\r\n[b]\nc = ["ü"]\n'.encode())
    assert read_toml(path) == {"a": 1, "b": {"c": ["ü"]}}


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    assert read_toml(write(tmp_path, "a = 1".encode("utf-8-sig"))) == {"a": 1}


def test_a_pipe_is_read(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(b"a = 1",))
    writer.start()
    assert read_toml(path) == {"a": 1}
    writer.join()


def test_the_largest_file_is_read(tmp_path: Path) -> None:
    content = b"#" * (LARGEST_FILE - 6) + b"\na = 1"
    assert read_toml(write(tmp_path, content)) == {"a": 1}
    with pytest.raises(InputError, match=f"larger than {LARGEST_FILE} bytes"):
        read_toml(write(tmp_path, b"#" + content))


def test_an_endless_file_is_refused() -> None:
    with pytest.raises(InputError, match=f"larger than {LARGEST_FILE} bytes"):
        read_toml(Path("/dev/zero"))


def test_the_deepest_file_is_read(tmp_path: Path) -> None:
    assert read_toml(write(tmp_path, nested(DEEPEST - 1)))
    with pytest.raises(InputError, match=f"more than {DEEPEST} tables or lists"):
        read_toml(write(tmp_path, nested(DEEPEST)))


def test_a_text_with_dots_is_no_key(tmp_path: Path) -> None:
    text = "one. two. three. 4. 5. 6.7.8.9.10 ... " * 9
    assert read_toml(write(tmp_path, f'a = "{text}"'.encode())) == {"a": text}
