"""Run folders: made, replaced, and opened again."""

from contextlib import ExitStack
from pathlib import Path

from hsijax.errors import HsijaxError, UsageError
from hsijax.io.atomic import explain_failure, remove
from hsijax.runs.lock import LOCK, claim
from hsijax.runs.run import SCHEMA, Run

COMMANDS = {"classification": "train", "unmixing": "unmix"}  # that make a run folder


def create_run(
    out: Path | None, name: str, *, overwrite: bool, command: str = "train"
) -> Run:
    """Make a new run folder: `out`, or the next free `runs/<name>-<number>`.

    This process holds it from now on. `command` is the one that goes on with it.

    Raises:
        UsageError: `out` exists and is not to be replaced.
        HsijaxError: another process is writing it, or it cannot be made.
    """
    if out is None:
        run = Run(next_free_folder(Path("runs"), name))
        run.hold()
        return run
    with explain_failure(out):
        replaced = _check_free(out, overwrite, command)
        out.mkdir(parents=True, exist_ok=True)
        run = Run(out)
        run.hold()
        if replaced:
            _clear(out)
    return run


def next_free_folder(root: Path, name: str) -> Path:
    """Make the folder `<root>/<name>-<number>` with the first number that is free.

    Raises:
        HsijaxError: it cannot be made.
    """
    with explain_failure(root):
        root.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            folder = root / f"{name}-{number}"
            try:
                folder.mkdir()  # fails where another process was faster
            except FileExistsError:
                number += 1
            else:
                return folder


def open_run(folder: Path, task: str | None = "classification") -> Run:
    """Open a run folder that exists.

    Args:
        folder: where it is.
        task: "classification" or "unmixing", if only that will do.

    Raises:
        UsageError: there is none at that path, or one of the other task.
        HsijaxError: a later version of hsijax wrote it.
    """
    if not (folder / "run.json").is_file():
        makers = (COMMANDS[task],) if task else COMMANDS.values()
        raise UsageError(
            f"{folder} is no run folder: it has no run.json (hsijax "
            f"{' or '.join(makers)} makes one)"
        )
    run = Run(folder)
    manifest = run.read_manifest()
    schema = manifest.get("schema")
    if schema != SCHEMA:
        raise HsijaxError(
            f"{folder} was written in format {schema}, this hsijax reads {SCHEMA}: "
            "use the version named in its run.json"
        )
    found = manifest.get("task", "classification")
    if task not in (None, found):
        raise UsageError(
            f"{folder} is a run of `hsijax {COMMANDS[found]}`, and this command takes "
            f"those of `hsijax {COMMANDS[str(task)]}`"
        )
    return run


def _check_free(out: Path, overwrite: bool, command: str) -> bool:
    """Whether there is a run that is to be replaced."""
    if not out.exists():
        return False
    if out.is_dir() and all(found.name == LOCK for found in out.iterdir()):
        return False
    if not (out / "run.json").exists():
        raise UsageError(
            f"{out} exists already and is no run folder: choose another --out"
        )
    if not overwrite:
        raise UsageError(
            f"{out} exists already: choose another --out, go on with "
            f"`hsijax {command} --resume {out}`, or give --overwrite"
        )
    return True


def _clear(folder: Path) -> None:
    """Delete what is in a run folder, unless another process draws a map of it."""
    with ExitStack() as stack:
        for lock in folder.glob(f"maps/.*/{LOCK}"):
            stack.enter_context(claim(lock.parent))
        for found in folder.iterdir():
            if found.name != LOCK:
                remove(found)
