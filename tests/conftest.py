"""One environment for every test: no colour or motion preferences of the machine, and homes that are thrown away."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

for name in ("NO_COLOR", "TEXTUAL_THEME", "COLORTERM", "SSH_CONNECTION", "SSH_TTY", "TMUX"):
    os.environ.pop(name, None)
os.environ["TEXTUAL_ANIMATIONS"] = "none"
os.environ["TZ"] = "UTC"


@pytest.fixture(autouse=True)
def homes(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """State, data and configuration in a directory of this test."""
    home = tmp_path_factory.mktemp("home")
    for name in ("XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(home / name.lower()))
    return home


@pytest.fixture(scope="session")
def mnist_root() -> Path:
    """The real MNIST, where there is one."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    root = Path(os.environ.get("CNNTUI_DATA", beside))
    if not (root / "MNIST" / "raw" / "train-images-idx3-ubyte").is_file():
        pytest.skip(f"no MNIST in {root}; set CNNTUI_DATA to a torchvision root that has it")
    return root.resolve()
