"""What is asked of a run that trains."""

from __future__ import annotations

import click

from cnntui.commands.common import fail, the_run


def steer(run: str, command: str, **values: float) -> None:
    """Leave a command for a run that is still going."""
    from cnntui.runs.control import send
    from cnntui.runs.reader import RunReader, UnreadableRunError

    directory = the_run(run)
    try:
        view = RunReader(directory).glance()
        if view.ended:
            fail(f"{view.spec.run} has ended ({view.label}): nobody is there to {command} it")
        send(directory, command, **values)
    except UnreadableRunError as error:
        fail(error)
    except OSError as error:
        fail(f"{directory}: {error.strerror}")
    click.echo(f"{command}: asked of {view.spec.run}")


@click.command()
@click.argument("run")
def pause(run: str) -> None:
    """Pause RUN after its present step."""
    steer(run, "pause")


@click.command()
@click.argument("run")
def resume(run: str) -> None:
    """Let a paused RUN go on."""
    steer(run, "resume")


@click.command()
@click.argument("run")
def stop(run: str) -> None:
    """Stop RUN after a checkpoint."""
    steer(run, "stop")


@click.command(name="set")
@click.argument("run")
@click.argument("setting", metavar="lr=VALUE")
def set_(run: str, setting: str) -> None:
    """Change the learning rate of RUN while it trains."""
    name, _, value = setting.partition("=")
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if name != "lr" or not 0 < number < float("inf"):
        fail(f"{setting!r} is not understood: write lr=0.0005, a number above 0")
    steer(run, "set", lr=number)
