"""Data sets as uint8 tensors that live on the device; fitting them to a net's input happens there too, batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cnntui.core.layers import Shape
from cnntui.runs.spec import AT_HAND, DATA_SETS
from cnntui.training.data.downloads import Progress, quiet
from cnntui.training.data.facts import Facts, facts
from cnntui.training.data.fitting import Fitting, resize
from cnntui.training.data.folder import from_folder
from cnntui.training.data.known import digits, from_torchvision
from cnntui.training.data.printed import printed
from cnntui.training.data.sets import DataError, DataSet

__all__ = [
    "DataError",
    "DataSet",
    "Facts",
    "Fitting",
    "digits",
    "facts",
    "from_folder",
    "from_torchvision",
    "load",
    "printed",
    "resize",
]


def load(
    name: str,
    root: Path,
    say: Callable[[str], None],
    progress: Progress = quiet,
    shape: Shape | None = None,
) -> DataSet:
    """The data set; `auto` is MNIST, or the bundled digits where that cannot be had; else a directory of pictures by class.

    `say` gets what a person should know, `progress` about once a second how far it is: what either raises ends the
    loading, and nothing half-done is left. `shape` is the input (C, H, W) of the net that pictures from a directory are for.

    Raises:
        DataError: when it cannot be had.
    """
    if name in AT_HAND:
        return digits() if name == "digits" else printed()
    if name not in DATA_SETS:
        return from_folder(Path(name), say, progress, shape)
    if name != "auto":
        return from_torchvision(name, root, say, progress)
    try:
        return from_torchvision("mnist", root, say, progress)
    except DataError as error:
        say(f"{error}; training on scikit-learn's bundled 8×8 digits instead, which are few: take 20 epochs or more")
        return digits()
