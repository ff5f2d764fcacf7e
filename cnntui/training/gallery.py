"""Keeps the test pictures of a data set for screens without torch. A process: takes Wanted, answers About."""

from __future__ import annotations

import sys
from pathlib import Path

from cnntui.runs import test_pictures
from cnntui.runs.spec import DATA_SETS
from cnntui.runs.test_pictures import About, GalleryError, Wanted
from cnntui.training.answers import RefusedError, serve
from cnntui.training.data import DataSet, Fitting, load


def keep(data: DataSet, sha256: str, fit: Fitting, source: str) -> About:
    """Keep its test pictures, unless they are kept already. `source` is the data of the spec.

    Raises:
        GalleryError: when they cannot be.
    """
    about = About(
        name=data.name,
        sha256=sha256,
        shape=data.shape,
        classes=list(data.classes),
        mean=fit.mean,
        deviation=fit.deviation,
        from_files=source not in DATA_SETS,
    )
    return test_pictures.keep(about, data.test_images.cpu().numpy(), data.test_labels.cpu().numpy()).about


def gather(wanted: Wanted) -> About:
    """Load a data set and keep its test pictures.

    Raises:
        DataError: when it cannot be had.
        RefusedError: when they cannot be kept.
    """
    data = load(wanted.name, Path(wanted.root), lambda said: None, shape=wanted.shape)
    try:
        return keep(data, data.sha256(), Fitting.of(data, data.shape), wanted.name)
    except GalleryError as error:
        raise RefusedError(str(error)) from None


if __name__ == "__main__":
    sys.exit(serve(Wanted, gather, lambda wanted: f"no test pictures of {wanted.name}"))
