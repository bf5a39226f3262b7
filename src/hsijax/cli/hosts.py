"""One command on several hosts: a process on each, of which the first one writes."""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from hsijax.errors import HsijaxError


@contextmanager
def own_folder(
    out: Path | None, resume: Path | None
) -> Iterator[tuple[Path | None, Path | None, bool]]:
    """Give each process but the first one a run folder that it throws away.

    All compute the same. Yields what `out` and `resume` become, and whether this is the
    process that speaks to the user.
    """
    import jax

    if jax.process_index() == 0:
        with all_or_none():  # the others have their copy of the folder
            pass
        yield out, resume, True
        return
    logging.getLogger("hsijax").setLevel(logging.ERROR)
    with TemporaryDirectory(prefix="hsijax-") as name:
        folder = Path(name) / "run"
        with all_or_none():
            if resume is not None:
                shutil.copytree(resume, folder)
        yield (folder, None, False) if resume is None else (None, folder, False)


@contextmanager
def all_or_none() -> Iterator[None]:
    """Go on after this only if every process gets through it.

    Raises:
        HsijaxError: another one has not, and this one would wait for it.
    """
    from hsijax.training.mesh import all_succeed

    try:
        yield
    except BaseException:
        all_succeed(False)
        raise
    if not all_succeed(True):
        raise HsijaxError("another process of this command failed; it says why")
