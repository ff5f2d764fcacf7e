"""Following real runs in tests."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

from cnntui.runs.reader import RunReader, RunView

PATIENCE = 120.0


def wait(reader: RunReader, until: Callable[[RunView], bool], seconds: float = PATIENCE) -> RunView:
    """The first view of a run for which something holds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        view = reader.poll()
        if until(view):
            return view
        time.sleep(0.05)
    where = view.status.step if view.status else None
    log = (reader.directory / "stderr.log").read_text()[-2000:]
    raise AssertionError(f"not within {seconds} s: {view.state} {view.message!r} at step {where}\n{log}")


def over(view: RunView) -> bool:
    """It has ended, and how is known."""
    return view.ended and view.exit is not None


def stepping(view: RunView) -> bool:
    """It learns."""
    return len(view.train_loss) >= 2


def trainer(view: RunView) -> psutil.Process:
    """The process that trains."""
    assert view.status is not None
    return psutil.Process(view.status.pid)
