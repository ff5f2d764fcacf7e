"""Whole runs, by real processes, on data sets that are not at hand: small ones in their formats."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import CIFAR10

from cnntui.core.notation import parse
from cnntui.runs import events
from cnntui.runs.events import EventReader
from cnntui.runs.launch import launch
from cnntui.runs.reader import RunReader
from cnntui.runs.spec import Settings, new_spec
from tests.training.helpers import make_cifar10, make_mnist

PATIENCE = 120.0


def trained(data: str, root: Path, shape: tuple[int, int, int], classes: int) -> events.Data:
    """What a run of one epoch tells of its data."""
    network = parse(f"conv 4 same; relu; gap; linear {classes}", shape)
    settings = Settings(data=data, data_dir=str(root), epochs=1, batch_size=8, device="cpu")
    directory = launch(new_spec(network, settings))
    reader, deadline = RunReader(directory), time.monotonic() + PATIENCE
    while not (view := reader.poll()).ended or view.exit is None:
        assert time.monotonic() < deadline, (directory / "stderr.log").read_text()
        time.sleep(0.05)
    assert view.trained, view.message
    (told,) = [event for event in EventReader(directory).poll() if isinstance(event, events.Data)]
    return told


@pytest.mark.parametrize(("data", "folder"), [("fashion-mnist", "FashionMNIST"), ("kmnist", "KMNIST")])
def test_a_run_on_the_mnist_family(tmp_path: Path, data: str, folder: str) -> None:
    make_mnist(tmp_path, folder)
    told = trained(data, tmp_path, (1, 28, 28), 10)
    assert (told.name, told.train, told.test, told.shape) == (data, 20, 10, (1, 28, 28))


def test_a_run_on_cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_cifar10(tmp_path / "root", monkeypatch)
    # The trainer's process is to expect the checksums of these small files: Python runs this as it starts.
    lists = (
        f"CIFAR10.train_list, CIFAR10.test_list, CIFAR10.meta = {(CIFAR10.train_list, CIFAR10.test_list, CIFAR10.meta)}"
    )
    (tmp_path / "sitecustomize.py").write_text(
        f"import sys\nif 'cnntui.training' in sys.orig_argv:\n    from torchvision.datasets import CIFAR10\n    {lists}\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")])))
    told = trained("cifar10", tmp_path / "root", (3, 32, 32), 10)
    assert (told.name, told.train, told.test, told.shape) == ("cifar10", 20, 4, (3, 32, 32))
    assert told.classes[:2] == ["airplane", "automobile"]


def test_a_run_on_a_folder_of_pictures(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(12):
            pixels = rng.integers(0, 256, (20 + i, 30, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / name / f"{i}.jpg")
    told = trained(str(tmp_path / "pets"), tmp_path, (3, 16, 16), 2)
    assert (told.name, told.train, told.test, told.classes) == ("pets", 20, 4, ["cat", "dog"])
