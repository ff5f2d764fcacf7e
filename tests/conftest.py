"""One environment for every test: no colour or motion preferences of the machine, and homes that are thrown away."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cnntui.runs.places import has_mnist

for name in ("NO_COLOR", "TEXTUAL_THEME", "COLORTERM", "SSH_CONNECTION", "SSH_TTY", "TMUX"):
    os.environ.pop(name, None)
os.environ["TEXTUAL_ANIMATIONS"] = "none"
os.environ["TZ"] = "UTC"
os.environ["OMP_NUM_THREADS"] = "1"  # small networks, on a busy machine, wait for torch's threads longer than they work
DATA = os.environ.get("CNNTUI_DATA")


@pytest.fixture(autouse=True)
def homes(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """State, data and configuration in a directory of this test; what still trains there at its end is killed."""
    home = tmp_path_factory.mktemp("home")
    for name in ("CNNTUI_DATA", "CNNTUI_RUNS"):  # what a test finds must not depend on the machine, unless it asks
        monkeypatch.delenv(name, raising=False)
    for name in ("XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(home / name.lower()))
    yield home
    for process in psutil.process_iter(["cmdline"]):
        if any(str(home) in word for word in process.info["cmdline"] or ()):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


@pytest.fixture(scope="session")
def mnist_root() -> Path:
    """The real MNIST, where there is one."""
    if DATA is None or not has_mnist(Path(DATA)):
        pytest.skip("set CNNTUI_DATA to a torchvision root that has MNIST")
    return Path(DATA).resolve()


@pytest.fixture(scope="session")
def cifar10_root() -> Path:
    """The real CIFAR-10, where there is one."""
    if DATA is None or not (Path(DATA) / "cifar-10-batches-py").is_dir():
        pytest.skip("set CNNTUI_DATA to a torchvision root that has CIFAR-10")
    return Path(DATA).resolve()


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Small networks, on a busy machine, wait for torch's threads longer than they work."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
