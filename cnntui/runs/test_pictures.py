"""The test pictures of a data set, kept beside by whoever loaded it, so that a screen opens them at once, without torch.

Each data set has three files in the user's cache, named after it and the hash of all its bytes: facts in JSON, written last,
and the pictures and labels as arrays. They may be deleted at any time: a process then loads the data again.
"""

from __future__ import annotations

import importlib.util
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from cnntui.core.layers import Shape
from cnntui.core.npy import read_npy
from cnntui.core.windows import Array
from cnntui.runs.checkpoints import data_of
from cnntui.runs.children import ChildError, ask
from cnntui.runs.events import Data
from cnntui.runs.export import HOW_TO_GET_TORCH
from cnntui.runs.files import replacing, write_atomic
from cnntui.runs.places import data_root, has_mnist, pictures_root
from cnntui.runs.preparation import Preparation
from cnntui.runs.spec import DATA_SETS, Spec, read_json

SECONDS = 120.0
MOST_BYTES = 256 << 20  # of the pictures of a data set: of more, the first that fit
MOST_GALLERIES = 8  # beyond, those that were not written or asked for in the longest time go


class GalleryError(Exception):
    """Why there are no test pictures, or not this one, in one line."""


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to know of a data set's test pictures; `sha256` is of all its pictures and labels, as in `events.Data`.

    `shape` is (C, h, w); `mean` and `deviation` are of the training pictures, by channel, of 0..1; `from_files` says whether
    the pictures are from a directory, whose name may be that of another data set.
    """

    name: str
    sha256: str
    shape: tuple[int, int, int]
    classes: list[str]
    mean: list[float]
    deviation: list[float]
    from_files: bool = False


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which data set is to be kept: as in a spec; `shape` is the input of the net that it is for."""

    name: str
    root: str
    shape: Shape | None = None


@dataclass(frozen=True, eq=False)
class Gallery:
    """Test pictures (N, C, h, w) uint8 and their labels (N,), numbered from 0 in the order of the test set.

    The pictures stay in their file until they are looked at.
    """

    about: About
    pictures: Array
    labels: Array

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.labels)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return tuple(self.about.classes)

    def preparation(self, shape: Shape) -> Preparation:
        """How they become inputs of a net of this shape (C, H, W) that has no run."""
        about = self.about
        return Preparation(shape, about.shape, tuple(about.mean), tuple(about.deviation), about.name, about.from_files)

    def picture(self, number: int) -> Array:
        """(C, h, w) uint8.

        Raises:
            GalleryError: when there is none of this number.
        """
        return np.array(self.pictures[self._checked(number)])

    def label(self, number: int) -> int:
        """The number of its class.

        Raises:
            GalleryError: when there is none of this number.
        """
        return int(self.labels[self._checked(number)])

    def _checked(self, number: int) -> int:
        if not 0 <= number < self.count:
            raise GalleryError(f"test picture {number}: there are 0 to {self.count - 1:,}")
        return number


# -- what is there


def gallery_of(run: Path) -> Gallery | None:
    """The test pictures of the data that a run was trained on, as its log tells; None where they are not kept."""
    data = data_of(run)
    return gallery_for(data) if data is not None else None


def gallery_for(data: Data) -> Gallery | None:
    """The test pictures of the data that a run's log tells of; None where they are not kept."""
    gallery = _opened(_stem(data.name, data.sha256))
    return gallery if gallery is not None and gallery.about.shape == data.shape else None


def kept_gallery(name: str) -> Gallery | None:
    """The test pictures of one of DATA_SETS, the last that were kept; None where there are none.

    `auto` is MNIST, or the digits where MNIST is neither kept nor at hand.
    """
    for each in ("mnist", "digits") if name == "auto" else (name,) if name in DATA_SETS else ():
        for path in reversed(_by_age(f"{each}-*.json")):
            about = read_json(path, About)
            gallery = _opened(path.stem) if about is not None and not about.from_files else None
            if gallery is not None:
                return gallery
        if name == "auto" and has_mnist(data_root()):
            return None
    return None


def _opened(stem: str) -> Gallery | None:
    """What is kept under a name, if it is whole."""
    root = pictures_root()
    about = read_json(root / f"{stem}.json", About)
    if about is None or _stem(about.name, about.sha256) != stem:
        return None
    pictures, labels = _array(root / f"{stem}.pictures.npy"), _array(root / f"{stem}.labels.npy")
    if pictures is None or labels is None or labels.dtype != np.int64 or pictures.dtype != np.uint8:
        return None
    if labels.ndim != 1 or not len(labels) or pictures.shape != (len(labels), *about.shape):
        return None
    if not 0 <= labels.min() <= labels.max() < len(about.classes):
        return None
    channels = len(about.mean) == len(about.deviation) == about.shape[0]
    if (
        not channels
        or not all(0 < each < float("inf") for each in about.deviation)
        or not np.isfinite(about.mean).all()
    ):
        return None
    return Gallery(about, pictures, labels)


def _array(path: Path) -> Array | None:
    try:
        return read_npy(path, mapped=True) if path.is_file() else None  # a pipe would block
    except (OSError, ValueError, MemoryError):
        return None  # deleted meanwhile, or damaged


# -- keeping


def keep(about: About, pictures: Array, labels: Array) -> Gallery:
    """Keep test pictures (N, C, h, w) uint8 and their labels (N,), readable by their owner alone, unless they are already.

    Raises:
        GalleryError: when they cannot be kept.
    """
    stem, root = _stem(about.name, about.sha256), pictures_root()
    most = min(len(labels), max(1, MOST_BYTES // pictures[0].nbytes))
    there = _opened(stem)
    if there is None or there.about != about or there.count != most:
        try:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            (root / f"{stem}.json").unlink(missing_ok=True)
            for what, array in (("pictures", pictures[:most]), ("labels", labels[:most].astype(np.int64))):
                with replacing(root / f"{stem}.{what}.npy") as file:
                    np.save(file, array, allow_pickle=False)
            write_atomic(root / f"{stem}.json", msgspec.json.encode(about))
            _thin()
        except OSError as error:
            raise GalleryError(f"test pictures not kept in {root}: {error.strerror or error}") from None
        there = _opened(stem)
    if there is None:
        raise GalleryError(f"the test pictures of {about.name} cannot be kept: they are not what they should be")
    with suppress(OSError):
        os.utime(root / f"{stem}.json")
    return there


def _thin() -> None:
    for path in _by_age("*.json")[:-MOST_GALLERIES]:
        for each in (path, *(path.with_name(f"{path.stem}.{what}.npy") for what in ("pictures", "labels"))):
            each.unlink(missing_ok=True)


def _by_age(pattern: str) -> list[Path]:
    """Oldest first."""
    found = []
    for path in pictures_root().glob(pattern):
        with suppress(OSError):
            found.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(found)]


def _stem(name: str, sha256: str) -> str:
    """A file name, whatever the two are."""
    return f"{re.sub(r'[^A-Za-z0-9_-]', '_', name)[:60]}-{re.sub('[^0-9a-f]', '_', sha256)[:64]}"


# -- asking


def ask_gallery(
    name: str, data_dir: str | None = None, shape: Shape | None = None, seconds: float = SECONDS
) -> Gallery:
    """The test pictures of a data set, loaded by a process of its own and kept.

    Args:
        name: as in a spec. `auto` is MNIST where it is at hand, else the digits: nothing is downloaded for it.
        data_dir: the torchvision root; None for the user's.
        shape: the input (C, H, W) of the net that pictures from a directory are for.
        seconds: after so many the process is killed.

    Raises:
        GalleryError: when there is no torch, or the data cannot be had or kept.
    """
    if importlib.util.find_spec("torch") is None:
        raise GalleryError(HOW_TO_GET_TORCH)
    root = Path(data_dir) if data_dir else data_root()
    if name == "auto":
        name = "mnist" if has_mnist(root) else "digits"
    try:
        wanted = Wanted(name=name, root=str(root), shape=shape)
        about = ask("cnntui.training.gallery", wanted, About, seconds, f"no test pictures of {name}")
    except ChildError as error:
        raise GalleryError(str(error)) from None
    gallery = _opened(_stem(about.name, about.sha256))
    if gallery is None:
        raise GalleryError(f"the test pictures of {name} were kept in {pictures_root()}, and are gone")
    return gallery


def ask_gallery_of(run: Path, seconds: float = SECONDS) -> Gallery:
    """The test pictures of a run, kept or loaded again by a process of its own.

    Raises:
        GalleryError: when they cannot be had, or are not those that the run was tested with.
    """
    spec, data = read_json(run / "spec.json", Spec), data_of(run)
    if spec is None:
        raise GalleryError(f"{run} holds no readable spec.json")
    if (there := gallery_of(run)) is not None:
        return there
    name = data.name if data is not None and spec.data == "auto" and data.name in DATA_SETS else spec.data
    gallery = ask_gallery(name, spec.data_dir, spec.input, seconds)
    if data is not None and data.sha256 != gallery.about.sha256:
        raise GalleryError(f"the pictures of {data.name} are not those that {run.name} was trained and tested with")
    return gallery
