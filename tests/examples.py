"""The commands that pages and help texts show, and how a test runs one of them."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from typer.testing import CliRunner, Result

from hsijax.cli import app


def read_examples(page: Path) -> list[str]:
    """Return the commands of a page, of all its blocks of `sh`."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(), re.S)
    lines = "\n".join(blocks).splitlines()
    return [line for line in lines if line.startswith("hsijax ")]


def run_example(example: str, more: Sequence[str] = ()) -> Result:
    """Run a command as it stands, with more options behind it; no fault may pass."""
    arguments = shlex.split(example, comments=True)[1:]
    done = CliRunner().invoke(app, [*arguments, *more])
    assert "Traceback" not in f"{done.stdout}{done.stderr}", example
    return done
