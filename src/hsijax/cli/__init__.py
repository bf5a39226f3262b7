"""The command line: one command a file; each parses, calls one function, prints."""

import gc
import sys

import typer
from typer.core import TyperGroup

from hsijax import __version__
from hsijax.cli import (
    bench,
    compare,
    console,
    doctor,
    download,
    endmembers,
    evaluate,
    info,
    map,
    patches,
    reproduce,
    split,
    sweep,
    unmix,
)
from hsijax.cli import train as train_command
from hsijax.errors import HsijaxError, describe


class ErrorBoundary(TyperGroup):
    """Prints what went wrong in a line or two; `--debug` keeps the traceback."""

    def invoke(self, ctx):
        """Run the command; exit 2 after a usage error, 1 after any other."""
        try:
            return super().invoke(ctx)
        except HsijaxError as error:
            if ctx.params.get("debug"):
                raise
            console.say_error(str(error))
            raise typer.Exit(error.exit_code) from error
        except BrokenPipeError:
            # The reader of our output has gone (`| head`): nobody is left to tell.
            sys.stderr.close()
            raise typer.Exit(1) from None
        except (KeyboardInterrupt, typer.Exit, typer.Abort):
            raise
        except Exception as error:
            # The command line's own usage errors know how to print themselves.
            if ctx.params.get("debug") or hasattr(error, "exit_code"):
                raise
            console.say_error(f"{describe(error)}; `hsijax --debug ...` shows where")
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=ErrorBoundary,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"hsijax {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def hsijax(
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of errors."),
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print it."
    ),
) -> None:
    """From a hyperspectral cube to a class map, or to maps of abundances.

    SCENE is a catalogue name (see `hsijax download --list`) or a file of your own.
    """
    del debug, version
    console.set_up_logging()


app.command("download")(download.download)
app.command("info")(info.info)
app.command("split")(split.split)
app.command("patches")(patches.patches)
app.command("train")(train_command.train)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("map")(map.map_run)
app.command("endmembers")(endmembers.endmembers)
app.command("unmix")(unmix.unmix)
app.command("sweep")(sweep.sweep)
app.command("reproduce")(reproduce.reproduce)
app.command("bench")(bench.bench)
app.command("doctor")(doctor.doctor)


def main() -> None:
    """Run the command line; `--debug` may stand anywhere in it."""
    # Importing jax and tracing a network make a million objects that stay: looking for
    # garbage among them all the while takes a tenth of the time up to the first step.
    gc.set_threshold(100_000)
    arguments = sys.argv[1:]
    if "--debug" in arguments:
        arguments = ["--debug", *(a for a in arguments if a != "--debug")]
    app(arguments, prog_name="hsijax")
