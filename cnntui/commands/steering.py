"""What is asked of a run that trains; and one that has ended, going on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnntui.commands.common import fail, has_terminal, open_app, root_option, the_run
from cnntui.commands.training import NO_MAPS, follow_plainly

if TYPE_CHECKING:
    from cnntui.runs.reader import RunView


def glance(directory: Path) -> RunView:
    """How a run stands."""
    from cnntui.runs.reader import RunReader, UnreadableRunError

    try:
        return RunReader(directory).glance()
    except UnreadableRunError as error:
        fail(error)


def steer(directory: Path, command: str, **values: float | str) -> None:
    """Leave a command for a run that is still going, and print what its trainer says to it."""
    from cnntui.runs.control import answer_to, send

    view = glance(directory)
    if view.ended:
        fail(f"{view.spec.run} has ended ({view.label}): nobody is there to {command} it")
    try:
        ident = send(directory, command, **values)
    except OSError as error:
        fail(f"{directory}: {error.strerror}")
    reply = answer_to(directory, ident)
    if reply is None:
        why = "" if view.alive == "alive" else f": its process is {view.alive}"
        click.echo(f"{command}: asked of {view.spec.run}; no answer yet{why}")
    elif reply.accepted:
        click.echo(reply.message)
    else:
        fail(reply.message)


@click.command()
@click.argument("run")
@root_option
def pause(run: str, root: Path | None) -> None:
    """Pause RUN after its present step."""
    steer(the_run(run, root), "pause")


@click.command()
@click.argument("run")
@click.option("--plain", is_flag=True, help="Print lines, open no screen.")
@NO_MAPS
@click.option("--detach", is_flag=True, help="Of a run that has ended: let it go on, print its directory, and return.")
@root_option
def resume(run: str, plain: bool, no_maps: bool, detach: bool, root: Path | None) -> None:
    """Let RUN go on: a paused one, or one that has ended before its last step, from its newest checkpoint.

    One on another host that has been silent for a minute is taken over.
    """
    from cnntui.runs.launch import LaunchError
    from cnntui.runs.launch import resume as go_on

    directory = the_run(run, root)
    view = glance(directory)
    if not view.ended and view.alive != "stale":
        steer(directory, "resume")
        return
    try:
        go_on(directory)
    except LaunchError as error:
        fail(error)
    if detach:
        click.echo(directory)
    elif plain or not has_terminal():
        sys.exit(follow_plainly(directory, with_maps=not no_maps))
    else:
        open_app("train", run=directory)


@click.command()
@click.argument("run")
@root_option
def stop(run: str, root: Path | None) -> None:
    """Stop RUN after a checkpoint."""
    steer(the_run(run, root), "stop")


@click.command()
@click.argument("run")
@root_option
def checkpoint(run: str, root: Path | None) -> None:
    """Let RUN write a checkpoint after its present step."""
    steer(the_run(run, root), "checkpoint")


@click.command(name="set")
@click.argument("run")
@click.argument("setting", metavar="lr=VALUE|layer=NAME|picture=N")
@root_option
def set_(run: str, setting: str, root: Path | None) -> None:
    """Change the learning rate of RUN while it trains, or which layer and test picture it shows."""
    name, _, text = setting.partition("=")
    values = {name: setting_value(name, text, setting)}
    steer(the_run(run, root), "set", **values)


def setting_value(name: str, text: str, setting: str) -> float | str:
    """What stands behind the `=`."""
    if name == "lr":
        from cnntui.labs.watching import rate_problem

        return fail(f"{setting}: {problem}") if (problem := rate_problem(text)) else float(text)
    wrong = f"{setting!r} is not understood: write lr=0.0005, layer=conv1, or picture=7, a number of the test set"
    try:
        if name == "picture" and int(text) >= 0:
            return int(text)
    except ValueError:
        fail(wrong)
    return text if name == "layer" and text else fail(wrong)
