"""Where things are kept on this machine."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import platformdirs

SWEEP = "sweep.json"  # what marks the directory of a sweep


def runs_root() -> Path:
    """The directory of the run directories; `CNNTUI_RUNS` overrides it."""
    given = os.environ.get("CNNTUI_RUNS")
    return Path(given).absolute() if given else Path(platformdirs.user_state_dir("cnntui")) / "runs"


def data_root(given: str | None = None) -> Path:
    """The torchvision root of the data sets: the one that is given, else `CNNTUI_DATA`, else this user's."""
    given = given or os.environ.get("CNNTUI_DATA")
    return Path(given).absolute() if given else Path(platformdirs.user_data_dir("cnntui")) / "datasets"


def downloads_root() -> Path:
    """Where downloads wait until they are whole."""
    return Path(platformdirs.user_cache_dir("cnntui")) / "downloads"


def pictures_root() -> Path:
    """Where the test pictures of data sets are kept for those who do without torch."""
    return Path(platformdirs.user_cache_dir("cnntui")) / "pictures"


def state_root() -> Path:
    """What the app remembers between two sessions."""
    return Path(platformdirs.user_state_dir("cnntui"))


def has_mnist(root: Path) -> bool:
    """Whether MNIST lies unpacked in a torchvision root."""
    raw = root / "MNIST" / "raw"
    names = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    return all((raw / name).is_file() for name in names)


def kernels_root() -> Path:
    """The user's own convolution kernels."""
    return Path(platformdirs.user_config_dir("cnntui")) / "kernels"


def log_traceback() -> str:
    """Write the present traceback to the log; says where it is."""
    log = state_root() / "cnntui.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.writelines(_told(sys.exception()))
    except OSError as error:
        return f"There is no log, for {log} cannot be written: {error.strerror}"
    return f"The details are in {log}"


def _told(error: BaseException | None) -> Iterator[str]:
    """A traceback without carets below the code: these are found with `ast`, which no thread may use (core/npy.py)."""
    if error is None:
        return
    told = traceback.TracebackException.from_exception(error)
    link: traceback.TracebackException | None = told
    while link:
        for frame in link.stack:
            frame.colno = None
        link = link.__cause__ or link.__context__
    yield from told.format()
