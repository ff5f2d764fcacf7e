"""Pictures in directories that are named after their classes.

Either `DIR/<class>/…`, of which a sixth of each class is kept for testing, or `DIR/train/<class>/…` beside
`DIR/test/<class>/…` (or `val`). Hidden files are no part of it; directories within a class are looked through.

All pictures get one size. Pictures of one size that is no larger than the net's input stay as they are; others are brought
to the net's input, or without a net to their median size: scaled until the shorter side fits, then cut about the centre.
"""

from __future__ import annotations

import hashlib
import os
import re
import statistics
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TypeVar

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from cnntui.core.layers import Shape
from cnntui.core.notation import printable
from cnntui.runs.picture_files import FORMATS
from cnntui.training.data.downloads import TELL_SECONDS, Progress, quiet
from cnntui.training.data.sets import DataError, DataSet

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm")
TEST_FOLDERS = ("test", "val", "valid", "validation")
TEST_SHARE = 6  # one in six
MOST_PIXELS = 64 * 2**20  # of one file: a small file may unpack to gigabytes
MOST_BYTES = 4 * 2**30  # of all pictures together: they live in the device's memory
ORIENTATION = 0x0112  # the EXIF tag; from 5 on, the picture lies on its side
SIDEWAYS = 5
NAMED = 3  # of the pictures that cannot be read


Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Picture:
    """One file: its path, its name within the data set, its class, its size as it is looked at, and if it is grey."""

    path: Path
    name: str
    label: int
    height: int = 0
    width: int = 0
    grey: bool = True


def from_folder(
    root: Path, say: Callable[[str], None], progress: Progress = quiet, shape: Shape | None = None
) -> DataSet:
    """The pictures in `root` by class, classes in the order a person would sort them; grey if all are, else RGB.

    `shape` (C, H, W) is the input of the net that they are for: a net of one channel makes colours grey. Files that cannot
    be read are left out, and `say` gets how many and which.

    Raises:
        DataError: when there are too few classes or pictures, or too many pixels.
    """
    try:
        classes, train, test = _found(root)
    except OSError as error:
        raise DataError(f"{error.filename or root}: {error.strerror or error}") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's about odd files: what it cannot read is counted
        pictures, images = _decoded(root, [*train, *test], say, progress, shape)
    testing = {picture.path for picture in test}
    border = sum(picture.path not in testing for picture in pictures)
    for count, use in ((border, "train with"), (len(pictures) - border, "test with")):
        if not count:
            raise DataError(f"{root} has no picture to {use} that can be read")
    labels = torch.tensor([picture.label for picture in pictures])
    return DataSet(
        root.resolve().name, images[:border], labels[:border], images[border:], labels[border:], tuple(classes)
    )


def natural(name: str) -> tuple[tuple[int | str, ...], str]:
    """The key by which a person sorts: 2 before 10, a beside A."""
    return tuple(int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name.casefold())), name


def _found(root: Path) -> tuple[list[str], list[Picture], list[Picture]]:
    """The classes, the pictures to train with and those to test with."""
    train_root, test_root = _parts(root)
    classes = _classes(train_root)
    train = _listed(train_root, classes)
    if test_root is None:
        return classes, *_split(train, classes, train_root)
    strange = sorted(set(_classes(test_root)) - set(classes), key=natural)
    if strange:
        raise DataError(f"{test_root} has a class that {train_root} lacks: {strange[0]}")
    return classes, train, _listed(test_root, classes)


def _parts(root: Path) -> tuple[Path, Path | None]:
    """Where the pictures to train with are and those to test with; None when they are not parted."""
    if not root.is_dir():
        raise DataError(f"{root} is not a directory of pictures by class")
    train = root / "train"
    if not (train.is_dir() and _folders(train)):
        return root, None
    for name in TEST_FOLDERS:
        if (root / name).is_dir() and _folders(root / name):
            return train, root / name
    return train, None


def _folders(path: Path) -> list[str]:
    return [entry.name for entry in path.iterdir() if not entry.name.startswith(".") and entry.is_dir()]


def _classes(root: Path) -> list[str]:
    names = sorted(_folders(root), key=natural)
    if len(names) < 2:
        raise DataError(
            f"{root} has {len(names)} class{'es' * (len(names) != 1)}, but at least 2 are needed: "
            "a directory of pictures for each, named after it"
        )
    return names


def _listed(root: Path, classes: Sequence[str]) -> list[Picture]:
    """The files of all classes, in the order of their names."""
    found = []
    for label, name in enumerate(classes):
        files = sorted(_files(root / name))
        if not files:
            raise DataError(f"class {name} has no pictures: {root / name} holds none of {' '.join(SUFFIXES)}")
        found += [Picture(path, path.relative_to(root).as_posix(), label) for path in files]
    return found


def _files(root: Path) -> Iterator[Path]:
    """Picture files at any depth; links are followed, but into no directory twice."""
    seen = set()
    for place, folders, files in os.walk(root, followlinks=True):
        stat = Path(place).stat()
        if (stat.st_dev, stat.st_ino) in seen:
            folders.clear()
            continue
        seen.add((stat.st_dev, stat.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            path = Path(place, name)
            if not name.startswith(".") and path.suffix.lower() in SUFFIXES and path.is_file():
                yield path


def _split(pictures: Sequence[Picture], classes: Sequence[str], root: Path) -> tuple[list[Picture], list[Picture]]:
    """A sixth of each class for testing: those whose names have the smallest hashes, so that it is the same everywhere."""
    test: set[Path] = set()
    for label, name in enumerate(classes):
        members = [picture for picture in pictures if picture.label == label]
        if len(members) < 2:
            raise DataError(f"class {name} in {root} has 1 picture, but at least 2 are needed: to train and to test")
        members.sort(key=lambda picture: hashlib.sha256(picture.name.encode(errors="surrogateescape")).digest())
        test.update(picture.path for picture in members[: max(1, round(len(members) / TEST_SHARE))])
    return [p for p in pictures if p.path not in test], [p for p in pictures if p.path in test]


def _decoded(
    root: Path, listed: Sequence[Picture], say: Callable[[str], None], progress: Progress, shape: Shape | None
) -> tuple[list[Picture], Tensor]:
    """Those that can be read, and their pixels (N, C, H, W), both in the order of `listed`."""
    pictures = [picture for picture in _together(_measured, listed, "looking at", progress) if picture]
    if not pictures:
        raise DataError(f"none of the {len(listed):,} pictures in {root} can be read")
    channels, height, width = _common(pictures, shape)
    amount = len(pictures) * channels * height * width
    if amount > MOST_BYTES:
        raise DataError(
            f"{len(pictures):,} pictures of {channels}×{height}×{width} are {amount / 2**30:.1f} GiB, "
            f"more than {MOST_BYTES / 2**30:.0f} GiB: take fewer, or a net with a smaller input"
        )
    if channels == 1 and not all(picture.grey for picture in pictures):
        say("the net takes one channel: colours are made grey")
    images = np.empty((len(pictures), channels, height, width), dtype=np.uint8)

    def fill(place: int) -> bool:
        return _read(pictures[place].path, images[place])

    filled = list(_together(fill, range(len(pictures)), "reading", progress))
    if not all(filled):
        images = images[filled]
        pictures = [picture for picture, read in zip(pictures, filled, strict=True) if read]
    if len(pictures) < len(listed):
        say(_left_out(root, listed, pictures))
    return pictures, torch.from_numpy(images)


def _left_out(root: Path, listed: Sequence[Picture], read: Sequence[Picture]) -> str:
    """How many cannot be read, and the names of the first of them."""
    there = {picture.path for picture in read}
    names = [picture.name for picture in listed if picture.path not in there]
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    few = printable(", ".join(names[:NAMED])) + more
    count, are = f"{len(names):,} of {len(listed):,} pictures", "they are" if len(names) > 1 else "it is"
    return f"{count} in {root} cannot be read: {few}; {are} left out"


def _common(pictures: Sequence[Picture], shape: Shape | None) -> tuple[int, int, int]:
    """Channels, height and width that all pictures get."""
    channels = 1 if all(picture.grey for picture in pictures) or (shape is not None and shape[0] == 1) else 3
    sizes = Counter((picture.height, picture.width) for picture in pictures)
    height, width = next(iter(sizes))
    if len(sizes) == 1 and (shape is None or (height <= shape[1] and width <= shape[2])):
        return channels, height, width
    if shape is not None:
        return channels, shape[1], shape[2]
    return (
        channels,
        statistics.median_low(picture.height for picture in pictures),
        statistics.median_low(picture.width for picture in pictures),
    )


def _measured(picture: Picture) -> Picture | None:
    """With its size and colours, from the file's head; None when it cannot be read or is too large."""
    try:
        with Image.open(picture.path, formats=FORMATS) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                return None
            if image.getexif().get(ORIENTATION, 1) >= SIDEWAYS:
                width, height = height, width
            grey = image.mode in ("1", "L", "LA", "F") or image.mode.startswith("I")
            return Picture(picture.path, picture.name, picture.label, height, width, grey)
    except Exception:  # a broken file makes a decoder raise anything at all
        return None


def _read(path: Path, pixels: np.ndarray) -> bool:
    """Fill `pixels` (C, H, W) with the picture, upright; false when it cannot be read."""
    channels, height, width = pixels.shape
    try:
        with Image.open(path, formats=FORMATS) as opened:
            # A large JPEG is decoded at a fraction of its size, no smaller than twice what is needed.
            opened.draft(None, (2 * max(height, width), 2 * max(height, width)))
            image: Image.Image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I"):  # 16 bits, which Pillow would cut off at 255
                image = Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))
            image = image.convert("L" if channels == 1 else "RGB")
            if image.size != (width, height):
                image = ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)
        array = np.asarray(image)
        pixels[:] = array if channels == 1 else np.moveaxis(array, -1, 0)
    except Exception:  # as above
        return False
    return True


def _together(work: Callable[[Item], Result], items: Sequence[Item], what: str, progress: Progress) -> Iterable[Result]:
    """`work` on each item, in order, by several threads (decoders let go of the interpreter)."""
    pool = ThreadPoolExecutor(os.cpu_count())
    told = monotonic()
    try:
        for done, result in enumerate(pool.map(work, items), 1):
            if monotonic() - told >= TELL_SECONDS:
                told = monotonic()
                progress(f"{what} pictures: {done:,} of {len(items):,}")
            yield result
    finally:
        pool.shutdown(cancel_futures=True)
