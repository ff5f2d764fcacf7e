"""What the commands share: how they fail and print, and how they take NET and RUN."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from rich.table import Table

    from cnntui.core.layers import Shape
    from cnntui.core.nets import NetFile


def fail(message: object, excerpt: str = "") -> NoReturn:
    """One line, under it the place in the text where there is one, and exit status 1."""
    raise click.ClickException(" ".join(str(message).split()) + (f"\n{excerpt}" if excerpt else ""))


def warn(refused: Iterable[str]) -> None:
    """Which checkpoints were passed over, a line each."""
    for line in refused:
        click.echo(f"passed over {line}", err=True)


def pipe_broke() -> int:
    """Let nothing more be written to a stdout that nobody reads; returns the exit status of that."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141


def has_terminal() -> bool:
    """Whether there is a person at both ends."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def print_json(value: object) -> None:
    """One JSON document on stdout."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=1).decode())


def open_app(mode: str, **given: Any) -> None:
    """Open the screens."""
    if not has_terminal():
        fail("the screens need a terminal; cnntui --help lists the commands that print")
    from cnntui.ui.app import CnntuiApp

    # Inherited as ignored, from nohup, it would not end a screen that has lost its terminal: that would spin.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    app = CnntuiApp(mode, **given)
    app.run()
    if app.going_run and still_going(app.going_run):
        from cnntui.runs.listing import name_of

        click.echo(f"the run goes on; cnntui attach {name_of(app.going_run)} shows it again")
    if app.failure:
        click.echo(app.failure, err=True)
    if app.return_code:
        sys.exit(app.return_code)


def still_going(run: Path) -> bool:
    """Whether a run that was left has not ended meanwhile."""
    from cnntui.runs.listing import row
    from cnntui.runs.reader import UnreadableRunError
    from cnntui.runs.spec import ENDED

    try:
        return row(run).state not in ENDED
    except UnreadableRunError:
        return False


def print_rich(table: Table) -> None:
    """A table, as wide as the terminal, or 120 columns where there is none."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 120, highlight=False).print(table)


# -- NET and RUN


def input_option(command: Callable[..., None]) -> Callable[..., None]:
    """`--input C,H,W`."""
    return click.option("--input", "shape", metavar="C,H,W", help="Channels, height, width of the input.")(command)


def read_shape(shape: str | None) -> Shape | None:
    """The value of `--input`."""
    from cnntui.core.nets import parse_input
    from cnntui.core.vocabulary import NotationError

    try:
        return parse_input(shape) if shape else None
    except NotationError as error:
        fail(error)


def the_net(net: str, shape: str | None) -> NetFile:
    """NET, with `--input`; an error in its notation shows the place."""
    from cnntui.core.axis import ImpossibleError
    from cnntui.core.vocabulary import NotationError
    from cnntui.runs.nets import load_any

    try:
        return load_any(net, read_shape(shape))
    except NotationError as error:
        fail(error, f"line {error.line}, column {error.column}:\n{error.excerpt}" if error.excerpt else "")
    except ImpossibleError as error:
        fail(error)


def _root(_context: click.Context, _option: click.Parameter, root: Path | None) -> Path | None:
    if root is not None and not root.is_dir():
        fail(f"{root} is no directory")
    return root.absolute() if root else None


root_option = click.option(
    "--root", type=click.Path(path_type=Path), callback=_root, help="Another directory of runs, of a cluster for one."
)


def the_run(name: str, root: Path | None = None) -> Path:
    """The directory of RUN; `root`: where the runs are, if elsewhere."""
    from cnntui.runs.listing import RunError, find_run

    try:
        return find_run(name, root)
    except RunError as error:
        fail(error)
