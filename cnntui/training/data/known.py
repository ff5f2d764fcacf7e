"""The data sets that have names: torchvision's, downloaded where they are missing, and scikit-learn's digits."""

from __future__ import annotations

import gzip
import shutil
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cnntui.training.data import downloads
from cnntui.training.data.downloads import DownloadError, Progress, Remote, quiet, reason
from cnntui.training.data.scans import read_scans, split
from cnntui.training.data.sets import DataError, DataSet

TEST = 360  # of scikit-learn's digits

# What torchvision raises at files that are missing, cut short or of another format.
UNREADABLE = (RuntimeError, OSError, ValueError, EOFError, UnpicklingError, AssertionError, KeyError, TypeError)


def digits() -> DataSet:
    """scikit-learn's 1,797 scans of 8×8, split once and for all: 1,437 to train, 360 to test, each class alike."""
    try:
        scans, labels = read_scans()
    except ImportError:
        raise DataError("the bundled digits need scikit-learn: pip install 'cnntui[train]'") from None

    images = np.round(scans * (255 / 16)).astype(np.uint8)[:, None]
    train, test = (torch.from_numpy(part) for part in split(labels, TEST))
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    return DataSet("digits", x[train], y[train], x[test], y[test], tuple("0123456789"))


def from_torchvision(name: str, root: Path, say: Callable[[str], None], progress: Progress = quiet) -> DataSet:
    """One of torchvision's data sets from `root`, downloaded there first if need be.

    Nothing that is not whole and checked gets into `root`, whatever `say` or `progress` raise to end this.

    Raises:
        DataError: when it is neither there nor to be downloaded.
    """
    from torchvision import datasets

    kind = {
        "mnist": datasets.MNIST,
        "fashion-mnist": datasets.FashionMNIST,
        "kmnist": datasets.KMNIST,
        "cifar10": datasets.CIFAR10,
    }[name]
    try:
        return _read(kind, name, root)
    except UNREADABLE as error:
        trouble = _broken(kind, root, error)
    lack = f"{name} in {root} is broken ({trouble})" if trouble else f"{name} is not in {root}"
    if trouble:
        say(lack)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with downloads.room_for(name, progress) as folder:
            try:
                return _read(kind, name, root)  # another process was quicker
            except UNREADABLE:
                say(f"downloading {name} to {root}")
                _download(kind, name, root, folder, progress)
    except DownloadError as error:
        raise DataError(f"{lack} and could not be downloaded ({error})") from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise DataError(f"{lack} and could not be downloaded ({where}{reason(error)})") from None
    except (EOFError, zlib.error, tarfile.TarError) as error:
        raise DataError(f"{lack}, and what was downloaded could not be unpacked ({reason(error)})") from None
    try:
        return _read(kind, name, root)
    except UNREADABLE as error:
        raise DataError(f"{name} was downloaded to {root}, but cannot be read ({reason(error)})") from None


def _read(kind: Any, name: str, root: Path) -> DataSet:
    """Through torchvision's own loader, which unpickles no file but those whose checksums are right."""
    train, test = kind(root, train=True), kind(root, train=False)
    for part in (train, test):
        if len(part.data) != len(part.targets):
            raise ValueError(f"{len(part.data)} pictures, but {len(part.targets)} labels")
    return DataSet(
        name,
        _pictures(train.data),
        torch.as_tensor(train.targets).long(),
        _pictures(test.data),
        torch.as_tensor(test.targets).long(),
        tuple(str(c).split(" - ")[0] for c in train.classes),  # MNIST calls its first class «0 - zero»
    )


def _pictures(data: Tensor | np.ndarray) -> Tensor:
    images = torch.as_tensor(data)
    return (images[:, None] if images.dim() == 3 else images.permute(0, 3, 1, 2)).contiguous()


def _broken(kind: Any, root: Path, error: BaseException) -> str:
    """What is wrong with the files in `root`; nothing when there are none."""
    if hasattr(kind, "resources"):
        there = all((root / kind.__name__ / "raw" / Path(file).stem).is_file() for file, _ in kind.resources)
        return reason(error) if there else ""
    for file, checksum in (*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"])):
        path = root / kind.base_folder / file
        if path.is_file() and downloads.md5(path) != checksum:
            return f"{file} has the wrong checksum"
    return ""


def _download(kind: Any, name: str, root: Path, folder: Path, progress: Progress) -> None:
    """torchvision's own files, from its mirrors, with its checksums, where its loader looks for them."""
    if hasattr(kind, "resources"):
        files = [Remote(file, tuple(mirror + file for mirror in kind.mirrors), md5) for file, md5 in kind.resources]
        inside = f"{kind.__name__}/raw"
    else:
        files, inside = [Remote(kind.filename, (kind.url,), kind.tgz_md5)], ""
    fetched = []
    for number, file in enumerate(files, 1):
        what = f"{name}, file {number} of {len(files)}" if len(files) > 1 else name
        fetched.append(downloads.fetch(file, folder, what, progress))
    progress(f"unpacking {name}")
    unpacked = folder / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    (unpacked / inside).mkdir(parents=True)
    for path in fetched:
        if path.suffix == ".gz" and not path.name.endswith(".tar.gz"):
            with gzip.open(path) as packed, (unpacked / inside / path.stem).open("wb") as plain:
                shutil.copyfileobj(packed, plain)
        else:
            with tarfile.open(path) as archive:
                take_out(archive, unpacked / inside)
    downloads.move_in(unpacked, root)
    shutil.rmtree(folder, ignore_errors=True)


def take_out(archive: tarfile.TarFile, into: Path) -> None:
    """Unpack an archive's plain files below a directory; `extractall` is safe with a filter only, new in Python 3.11.4.

    Raises:
        tarfile.TarError: when one of them would lie elsewhere.
    """
    for member in archive:
        target = (into / member.name).resolve()
        if not target.is_relative_to(into.resolve()):
            raise tarfile.TarError(f"{member.name} would lie outside of the directory")
        if member.isreg() and (packed := archive.extractfile(member)) is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            with packed, target.open("wb") as plain:
                shutil.copyfileobj(packed, plain)
