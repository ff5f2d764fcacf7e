"""The command line: `main`, and the group that all commands belong to."""

from __future__ import annotations

import os
import sys

import click

from cnntui import __version__
from cnntui.commands import (
    comparing,
    convolution,
    explaining,
    exploring,
    learning,
    networks,
    reuse,
    steering,
    sweeping,
    training,
)
from cnntui.commands.common import open_app, pipe_broke

COLORS = {"truecolor": "truecolor", "256": "256", "16": "standard"}


def main() -> None:
    """Run the command line; what nobody foresaw goes to a log, and one line says where."""
    try:
        code = cli(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.UsageError as error:
        told = f"; {error.ctx.command_path} --help tells more" if error.ctx else ""
        click.echo(f"Error: {error.format_message().rstrip('.')}{told}".replace("\n", " "), err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except Exception as error:  # the last resort: no traceback reaches a user
        from cnntui.runs.places import log_traceback

        click.echo(f"Error: {type(error).__name__}: {error}. {log_traceback()}".replace("\n", " "), err=True)
        sys.exit(1)


class Commands(click.Group):
    """A group that ends as other programs do where nobody reads its output any more; click by itself ends 1."""

    def invoke(self, context: click.Context) -> object:
        """Run the command."""
        try:
            return super().invoke(context)
        except BrokenPipeError:
            sys.exit(pipe_broke())


@click.group(cls=Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
@click.option(
    "--color", type=click.Choice([*COLORS, "none"]), help="Colours of the screens, where the terminal is not believed."
)
@click.pass_context
def cli(context: click.Context, color: str | None) -> None:
    """See convolutional neural networks work, in a terminal. Without a command: the app."""
    # A viewer is a guest beside a training: numpy's threads would wait for each other more than they compute.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if color == "none":
        os.environ["NO_COLOR"] = "1"
    elif color:
        os.environ["TEXTUAL_COLOR_SYSTEM"] = COLORS[color]
    if context.invoked_subcommand is None:
        open_app("convolve")


for command in (
    networks.inspect,
    convolution.convolve,
    training.train,
    training.runs,
    training.attach,
    steering.pause,
    steering.resume,
    steering.stop,
    steering.set_,
    steering.checkpoint,
    sweeping.sweep,
    comparing.compare,
    reuse.export,
    reuse.predict,
    explaining.explain,
    networks.build,
    exploring.explore,
    learning.learn,
    learning.lessons,
    learning.doctor,
):
    cli.add_command(command)
