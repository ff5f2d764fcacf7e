"""scikit-learn's scans of digits, read and split as it does, without what it imports: a second of each training's start."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FILE = "datasets/data/digits.csv.gz"
SIDE = 8

Whole = npt.NDArray[np.int64]


def read_scans() -> tuple[npt.NDArray[np.float64], Whole]:
    """The 1,797 scans as (count, 8, 8), 0 to 16, and their classes.

    Raises:
        ImportError: when scikit-learn is not there.
    """
    found = find_spec("sklearn")
    for place in (found.submodule_search_locations or ()) if found else ():
        if (path := Path(place, FILE)).is_file():
            table = np.loadtxt(path, delimiter=",")
            return table[:, :-1].reshape(-1, SIDE, SIDE), table[:, -1].astype(np.int64)
    from sklearn.datasets import load_digits  # a release that keeps them elsewhere

    bunch: Any = load_digits()
    return bunch.images, bunch.target.astype(np.int64)


def split(labels: Whole, test: int) -> tuple[Whole, Whole]:
    """Which are for training and which `test` for testing, each class alike.

    As train_test_split does it with `random_state=0` and `stratify=labels`: runs that were begun with that split go on with
    it. Classes whose shares end in the same fraction draw who gets one more.
    """
    luck = np.random.RandomState(0)
    counts = np.bincount(labels)
    members = np.split(np.argsort(labels, kind="stable"), np.cumsum(counts)[:-1])
    wanted = _shares(counts, len(labels) - test, luck)
    tested = _shares(counts - wanted, test, luck)
    parts: tuple[list[Whole], list[Whole]] = [], []
    for own, first, second in zip(members, wanted, tested, strict=True):
        mixed = own[luck.permutation(len(own))]
        parts[0].append(mixed[:first])
        parts[1].append(mixed[first : first + second])
    return luck.permutation(np.concatenate(parts[0])), luck.permutation(np.concatenate(parts[1]))


def _shares(counts: Whole, drawn: int, luck: np.random.RandomState) -> Whole:
    """How many of each class, as near to its share as whole numbers come."""
    exact = counts / counts.sum() * drawn
    whole = np.floor(exact)
    rest = exact - whole
    for fraction in np.unique(rest)[::-1]:
        missing = int(drawn - whole.sum())
        if missing <= 0:
            break
        (tied,) = np.where(rest == fraction)
        whole[luck.choice(tied, size=min(len(tied), missing), replace=False)] += 1
    shares: Whole = whole.astype(np.int64)
    return shares
