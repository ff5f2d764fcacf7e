"""What a run has learned, put to use."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnntui.commands.common import fail, print_json, the_run, warn

if TYPE_CHECKING:
    from cnntui.runs.predict import Predictions

SHOWN = 3  # classes a line
CHECKPOINT = click.option(
    "--checkpoint", "which", default="best", show_default=True, metavar="best|last|step-N", help="Whose weights."
)


@click.command()
@click.argument("run")
@click.argument("file", type=click.Path(path_type=Path))
@CHECKPOINT
def export(run: str, file: Path, which: str) -> None:
    """Write the trained net of RUN to FILE, or what it measured.

    \b
    FILE.onnx         the net, for other runtimes
    FILE.safetensors  its weights, named after its layers
    FILE.pt, .pth     a state dict for the program that FILE.py is
    FILE.py           the net's PyTorch source, with prepare(), which makes its input of pictures
    FILE.csv, or -    loss, accuracy, learning rate, images/s; - prints them
    """
    from cnntui.core.nets import NetFile
    from cnntui.labs.program import pytorch
    from cnntui.labs.program.prepare import prepare
    from cnntui.runs import export as exports
    from cnntui.runs.files import replacing
    from cnntui.runs.spec import Spec, read_json

    known = (*exports.WRITERS, ".py", ".csv")
    if str(file) != "-" and file.suffix not in known:
        fail(f"{file}: give a name that ends in {', '.join(known[:-1])} or {known[-1]}")
    directory = the_run(run)
    spec = read_json(directory / "spec.json", Spec)
    if spec is None:
        fail(f"{directory} holds no readable spec.json")
    if str(file) == "-":
        print_metrics(directory)
        return
    try:
        if file.suffix in exports.WRITERS:
            written = exports.export(directory, file, which, pytorch(NetFile(spec.network)))
            warn(written.refused)
            click.echo(f"{file}: the weights of {written.checkpoint}\ninput: {written.input}")
            return
        exports.check_place(file)
        with replacing(file) as out:
            if file.suffix == ".py":
                function = prepare(exports.preparation(directory, spec))
                out.write(pytorch(NetFile(spec.network), function).encode())
                said = f"the program of {spec.net}" + (", with prepare(pictures)" if function else "")
            else:
                from cnntui.labs.metrics import metrics

                rows = -1  # the names of the columns are none
                for piece in metrics(directory):
                    rows += piece.count("\n")
                    out.write(piece.encode())
                said = f"{rows:,} rows"
    except exports.ExportError as error:
        fail(error)
    except OSError as error:
        fail(f"{file}: {error.strerror}")
    click.echo(f"{file}: {said}")


def print_metrics(directory: Path) -> None:
    """The table on stdout."""
    from cnntui.labs.metrics import metrics

    for piece in metrics(directory):
        click.echo(piece, nl=False)


@click.command()
@click.argument("run")
@click.argument("pictures", nargs=-1, type=click.Path(path_type=Path), metavar="[PICTURE]…")
@click.option("--test", "tests", multiple=True, type=int, metavar="N", help="Picture N of the run's test set.")
@CHECKPOINT
@click.option(
    "--invert/--no-invert",
    default=None,
    help="Light for dark; without either, digits that stand dark on light are inverted.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def predict(
    run: str, pictures: tuple[Path, ...], tests: tuple[int, ...], which: str, invert: bool | None, as_json: bool
) -> None:
    """What the net of RUN makes of each PICTURE: its classes, surest first."""
    from cnntui.runs.predict import PredictError
    from cnntui.runs.predict import predict as ask

    if not pictures and not tests:
        fail("give a picture file, or --test N for one of the test set")
    try:
        answer = ask(the_run(run), pictures, tests, which, invert)
    except PredictError as error:
        fail(error)
    warn(answer.refused)
    for line in answer.unread:
        click.echo(f"Error: {line}", err=True)
    if as_json:
        print_json(answer.predictions)
    else:
        print_predictions(answer, marked=invert is None)
    if answer.unread:
        sys.exit(1)


def print_predictions(answer: Predictions, marked: bool) -> None:
    """A line a picture; what was inverted unasked is `marked`."""
    from cnntui.labs.plain import percent

    width = max((len(each.file) for each in answer.predictions), default=0)
    for each in answer.predictions:
        read = ", ".join(f"{one.name} {percent(one.probability)}" for one in each.classes[:SHOWN])
        label = f"  (labelled {each.label})" if each.label is not None else ""
        inverted = "  (inverted: dark on light)" if each.inverted and marked else ""
        click.echo(f"{each.file:<{width}}  {read}{label}{inverted}")
