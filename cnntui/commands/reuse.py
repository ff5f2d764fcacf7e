"""What a run has learned, put to use."""

from __future__ import annotations

from pathlib import Path

import click

from cnntui.commands.common import fail, the_run


@click.command()
@click.argument("run")
@click.argument("file", type=click.Path(path_type=Path))
def export(run: str, file: Path) -> None:
    """Write the trained net of RUN, its best checkpoint, to FILE.onnx."""
    from cnntui.runs.onnx import OnnxError, export_onnx

    if file.suffix != ".onnx":
        fail(f"{file}: give a name that ends in .onnx")
    try:
        checkpoint = export_onnx(the_run(run), file)
    except OnnxError as error:
        fail(error)
    click.echo(f"{file}: the weights of {checkpoint}")
