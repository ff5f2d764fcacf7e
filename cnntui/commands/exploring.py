"""The Explore screen, from the command line."""

from __future__ import annotations

from pathlib import Path

import click

from cnntui.commands.common import open_app, read_shape


@click.command()
@click.argument("model", metavar="[RUN|NET]", required=False)
@click.option("--weights", type=click.Path(path_type=Path), help="A checkpoint, snapshot or other .safetensors file.")
@click.option("--input", "shape", metavar="C,H,W", help="Of a NET that is written as layers.")
@click.option("--show", "picture", metavar="FILE|test:N", help="The picture to begin with.")
def explore(model: str | None, weights: Path | None, shape: str | None, picture: str | None) -> None:
    """Open a run or a net on the Explore screen: from the whole of it down to one number's arithmetic.

    Without RUN or NET the last run; cnntui explain prints one number.
    """
    from cnntui.labs.wish import Wish

    open_app("explore", explore=Wish(model or "", None, weights, read_shape(shape), picture))
