"""What somebody wants to explore, before it is opened: known to those that do not open it, too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cnntui.core.layers import Shape
from cnntui.core.network import Network


@dataclass(frozen=True)
class Wish:
    """RUN or NET as on the command line, or a net of the builder; else the last run.

    `picture` is a file, or `test:N`; `shape` is (C, H, W) of a NET that is written as layers.
    """

    word: str = ""
    network: Network | None = None
    weights: Path | None = None
    shape: Shape | None = None
    picture: str | None = None


@dataclass(frozen=True)
class Picked:
    """What somebody wants to compare: a sweep's directory, or some runs'; neither: the sweep that was run last.

    `run` is the one to begin with.
    """

    sweep: Path | None = None
    runs: tuple[Path, ...] = ()
    run: Path | None = None
