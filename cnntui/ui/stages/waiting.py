"""Waiting for what happens elsewhere: for the workers of a view, for a training."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from textual.widget import Widget

from cnntui.labs.stages import WordsError

MOST_SECONDS = 600.0  # that anything may take
LOOK_SECONDS = 0.02
READ_SECONDS = 0.2  # between two looks at a run that is waited for


def meanwhile(going: str) -> str:
    """What goes on, and what to do until it is over; nothing where nothing does."""
    return f"{going}; read on, it goes on" if going else ""


async def until(
    holds: Callable[[], bool], what: str, every: float = LOOK_SECONDS, seconds: float = MOST_SECONDS
) -> None:
    """Return when something holds; `what` is waited for.

    Raises:
        WordsError: when it takes more than so many seconds.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise WordsError(f"{what} takes more than {seconds / 60:.2g} minutes: take less to train")
        await asyncio.sleep(every)


async def settled(view: Widget) -> None:
    """Return when the workers of a view are done, and what they told it was heeded."""

    def is_busy() -> bool:
        return any(worker.node is view and not worker.is_finished for worker in view.workers)

    while True:
        heeded = asyncio.Event()
        if not view.call_later(heeded.set):
            return  # it is gone
        await heeded.wait()
        if not is_busy():
            return
        await until(lambda: not is_busy(), "what is opened")
