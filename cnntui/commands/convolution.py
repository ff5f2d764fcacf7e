"""One convolution."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from cnntui.commands.common import fail, has_terminal, open_app, print_json

if TYPE_CHECKING:
    from cnntui.core.windows import Array
    from cnntui.labs.convolve import ConvolveState

WIDTH = 100  # of printed arithmetic


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--input", "grid", metavar="FILE|JSON|NAME", help="(H,W) or (C,H,W): numbers, a picture, or its name.")
@click.option("--kernel", metavar="NAME|JSON|K", help="A name from kernels/, weights, or for pooling a size.")
@click.option(
    "--op", default="conv", show_default=True, help="conv, true-conv, transposed, max, avg, adaptive-max, adaptive-avg."
)
@click.option("--stride", metavar="N|HxW", help="1 by default; for pooling, the kernel's size.")
@click.option(
    "--padding",
    default="0",
    show_default=True,
    metavar="N|HxW|l,r,t,b|WORD",
    help="Cells, or left,right,top,bottom, or valid, same, full.",
)
@click.option("--dilation", default="1", show_default=True, metavar="N|HxW")
@click.option("--groups", default=1, show_default=True)
@click.option("--bias", metavar="B|JSON", help="One number, or a list with one a filter.")
@click.option("--activation", metavar="NAME", help="relu, tanh, ... after it; magnitude joins all filters.")
@click.option("--ceil", is_flag=True, help="A pool's last window may hang over.")
@click.option("--nopad", is_flag=True, help="An average that does not count padding.")
@click.option("--output-padding", default="0", metavar="N|HxW", help="Of a transposed convolution.")
@click.option("--at", metavar="I,J", help="Show what this output cell (of the first filter; or O,I,J) is made of.")
@click.option(
    "--do", "moves", multiple=True, metavar="WORDS", help="A move, as under : on the screen; may be given often."
)
@click.option(
    "--show",
    type=click.Choice(["output", "input", "kernel", "im2col", "matrix"]),
    default="output",
    help="The grid that is printed.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("--csv", "as_csv", is_flag=True, help="The grid as CSV, channel under channel.")
@click.option("--code", type=click.Choice(["pytorch", "numpy"]), help="A program that computes the same.")
@click.option("--save", type=click.Path(path_type=Path, dir_okay=False), help="Write FILE, which opens again.")
@click.pass_context
def convolve(
    context: click.Context,
    /,
    file: Path | None,
    grid: str | None,
    kernel: str | None,
    at: str | None,
    moves: tuple[str, ...],
    as_json: bool,
    as_csv: bool,
    show: str,
    code: str | None,
    save: Path | None,
    **settings: Any,
) -> None:
    """One convolution or pool on your numbers, or on a FILE that was saved. Without options: the Convolve screen."""
    given = {name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    if not given:
        open_app("convolve")
        return
    if as_json + as_csv + bool(code) > 1:
        fail("give one of --json, --csv and --code")
    from cnntui.core.axis import ImpossibleError
    from cnntui.core.images import GridError
    from cnntui.labs.convolve import MoveError
    from cnntui.labs.given import GivenError, convolution, saved_state
    from cnntui.labs.words import play

    try:
        if file is not None:
            if wrong := given & {"grid", "kernel", *settings}:
                fail(
                    f"{file} says it all already: leave out --{sorted(wrong)[0].replace('grid', 'input').replace('_', '-')}"
                )
            state = saved_state(file, at)
        elif grid is None or kernel is None:
            fail("give both --input and --kernel (for a pool its size, for an adaptive one the output's)")
        else:
            state = convolution(grid, kernel, at=at, **settings)
    except (GivenError, GridError, ImpossibleError) as error:
        fail(error)
    for words in moves:
        try:
            state = play(state, words)
        except MoveError as error:
            fail(f"--do {words!r}: {error}")
    if given <= {"file", "moves"} and has_terminal():
        open_app("convolve", convolve=state)
        return
    if state.operation.output is None:
        offers = ", or ".join(words for words, _ in state.mended)
        fail(f"{state.operation.problem}" + (f" (works: {offers})" if offers else ""))
    from cnntui.labs import exports
    from cnntui.labs.documents import convolution_document, grid_shown

    if save is not None:
        try:
            save.write_text(exports.to_toml(state), "utf-8")
        except OSError as error:
            fail(f"{save}: {error.strerror}")
    try:
        shown = grid_shown(state, show)
    except MoveError as error:
        fail(error)
    if as_json:
        print_json(convolution_document(state, at is not None or bool(moves), show))
    elif code:
        click.echo(exports.pytorch(state) if code == "pytorch" else exports.numpy(state), nl=False)
    elif as_csv:
        click.echo("\n".join(exports.csv(channel) for channel in shown), nl=False)
    elif save is None:
        print_convolution(state, shown, at is not None or bool(moves))


def print_convolution(state: ConvolveState, shown: Array, with_cell: bool) -> None:
    """A grid as text, and the arithmetic of what is looked at."""
    from cnntui.core.arithmetic import number
    from cnntui.core.layers import shape_text
    from cnntui.labs.account import account

    output = state.operation.output
    if output is None:
        raise ValueError("the settings are impossible")
    click.echo(f"{shape_text(state.operation.input.shape)} -> {shape_text(output.shape)}")
    for channel in shown:
        texts = [[number(value, 4) for value in row] for row in channel]
        width = max(len(text) for row in texts for text in row)
        click.echo("\n".join("  ".join(text.rjust(width) for text in row) for row in texts) + "\n")
    if with_cell:
        for line in account(state, WIDTH):
            click.echo("".join(piece.text for piece in line).rstrip())
