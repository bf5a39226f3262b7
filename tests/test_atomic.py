import errno
import subprocess
import sys

import pytest

from hsijax.errors import HsijaxError
from hsijax.io.atomic import write_atomically, write_text


def test_file_appears_whole(tmp_path):
    write_text(tmp_path / "deep" / "a.txt", "ä")
    assert (tmp_path / "deep" / "a.txt").read_text(encoding="utf-8") == "ä"


def test_failure_keeps_the_old_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def write_half():
        with write_atomically(path) as temporary:
            temporary.write_text("new, ha")
            raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_is_said_in_a_line(tmp_path):
    with (
        pytest.raises(HsijaxError, match="disk is full"),
        write_atomically(tmp_path / "a.txt"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not list(tmp_path.iterdir())


def test_file_that_the_system_refuses_to_let_grow_leaves_nothing(tmp_path):
    """A real limit of the operating system, not a simulated error."""
    code = f"""
import resource
from pathlib import Path
from hsijax.errors import HsijaxError
from hsijax.io.atomic import write_text
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_text(Path({str(tmp_path)!r}) / "a.txt", "x" * 5000)
except HsijaxError as error:
    raise SystemExit(str(error))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert "disk is full" in done.stderr
    assert not list(tmp_path.iterdir())
