"""The bundled digits are scikit-learn's, in the order in which it splits them: what was begun with them goes on."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from cnntui.training.data import scans
from cnntui.training.data.known import digits
from cnntui.training.data.scans import read_scans, split


def test_they_are_scikit_learns() -> None:
    bunch = load_digits()
    images, labels = read_scans()
    assert images.dtype == bunch.images.dtype
    assert np.array_equal(images, bunch.images)
    assert np.array_equal(labels, bunch.target)


def test_where_the_file_is_elsewhere_scikit_learn_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scans, "FILE", "datasets/data/another.csv.gz")
    assert np.array_equal(read_scans()[0], load_digits().images)


def test_without_scikit_learn_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scans, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError):
        read_scans()


@pytest.mark.parametrize("test", [10, 181, 360, 900])
@pytest.mark.parametrize("kind", ["the digits", "three alike", "uneven"])
def test_the_split_is_scikit_learns(kind: str, test: int) -> None:
    labels = {
        "the digits": load_digits().target.astype(np.int64),
        "three alike": np.repeat(np.arange(3), 400),
        "uneven": np.repeat(np.arange(4), (700, 3, 301, 41)),
    }[kind]
    parts = train_test_split(np.arange(len(labels)), test_size=test, random_state=0, stratify=labels)
    for found, wanted in zip(split(labels, test), parts, strict=True):
        assert np.array_equal(found, wanted)


def test_the_data_set_is_the_one_of_before() -> None:
    bunch = load_digits()
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)[:, None]
    wanted = train_test_split(images, bunch.target, test_size=360, random_state=0, stratify=bunch.target)
    found = digits()
    parts = (found.train_images, found.test_images, found.train_labels, found.test_labels)
    for part, one in zip(parts, wanted, strict=True):
        assert np.array_equal(part.numpy(), one)


def test_scikit_learn_is_not_imported_for_them() -> None:
    assert importlib.util.find_spec("sklearn")
    code = "import sys; from cnntui.training.data.known import digits; digits(); print('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
