"""What holds for every command."""

import os
import subprocess
import sys
import time

import pytest
import typer.main
from typer.testing import CliRunner

from hsijax import __version__
from hsijax.cli import app

ROOT = typer.main.get_command(app)
COMMANDS = sorted(ROOT.commands)  # pyright: ignore[reportAttributeAccessIssue]
HEAVY = ("numpy", "jax", "flax", "scipy", "sklearn", "matplotlib", "h5py", "pooch")


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def test_help_imports_no_array_library_and_is_quick():
    code = f"""
import sys
sys.argv = ["hsijax", "--help"]
from hsijax.cli import main
try:
    main()
except SystemExit:
    pass
heavy = [name for name in {HEAVY} if name in sys.modules]
raise SystemExit(f"imported {{heavy}}" if heavy else 0)
"""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        seconds.append(time.perf_counter() - start)
        assert done.returncode == 0, done.stderr
    assert min(seconds) < 0.5


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_has_help_and_examples(command):
    shown = run(command, "--help")
    assert shown.exit_code == 0
    assert "Examples:" in shown.output
    assert f"$ hsijax {command}" in shown.output
    parameters = ROOT.commands[command].params  # pyright: ignore[reportAttributeAccessIssue]
    assert [p.name for p in parameters if not getattr(p, "help", None)] == []


def test_examples_keep_their_lines():
    lines = run("train", "--help").output.splitlines()
    assert sum(line.strip().startswith("$ hsijax") for line in lines) >= 4


def test_version():
    assert run("--version").output.strip() == f"hsijax {__version__}"


def test_no_arguments_show_the_help():
    assert "train" in run().output


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["trian"], 2, "train"),
        (["train"], 2, "--dataset"),
        (["train", "--dataset", "salinsa"], 2, "did you mean 'salinas'?"),
        (["train", "--dataset", "x.mat"], 2, "there is no file x.mat"),
        (["train", "--dataset", "salinas-a", "--frac", "1.5"], 2, "--frac"),
        (["train", "--dataset", "salinas-a", "--patch", "4"], 2, "odd"),
        (["train", "--preset", "papre", "--dataset", "salinas-a"], 2, "'paper'"),
        (["train", "--resume", "nowhere"], 2, "no run folder"),
        (["train", "--resume", "nowhere", "--lr", "1"], 2, "--resume"),
        (["evaluate", "nowhere"], 2, "no run folder"),
        (["map", "nowhere"], 2, "no run folder"),
        (["evaluate", "nowhere", "--csv", "--json"], 2, "one of"),
    ],
)
def test_mistake_gets_a_line_or_two_and_its_exit_code(arguments, code, words):
    done = run(*arguments)
    assert done.exit_code == code
    assert words in done.stderr
    assert "Traceback" not in done.output + done.stderr
    assert done.stdout == ""


def test_debug_anywhere_keeps_the_traceback():
    done = subprocess.run(
        [sys.executable, "-m", "hsijax", "evaluate", "nowhere", "--debug"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_shell_completion_completes_commands():
    asked = {"_HSIJAX_COMPLETE": "complete_bash", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", "from hsijax.cli import main; main()"],
        env=os.environ | asked | {"COMP_WORDS": "hsijax tr"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["train"]
