"""One clock for all that moves or is polled: asleep when nobody listens, slower when the terminal falls behind."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.app import App
    from textual.timer import Timer

FRAME = 1 / 8
SLOWEST = 1.0
LATE = 1.6  # a tick that comes after this many intervals was held up by the terminal
PATIENCE = 3
RECOVERY = 40


class Clock:
    """Calls its listeners, each at most every so many seconds.

    Textual hands frames to the terminal through a blocking queue: when the terminal is slow, ticks come late. That is
    the signal to halve the rate; after a while without delay it is doubled again.
    """

    def __init__(self, app: App[Any], now: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._now = now
        self._least = FRAME * (2 if "SSH_CONNECTION" in os.environ else 1)
        self._slowdown = 1.0
        self._listeners: dict[object, tuple[Callable[[], None], float, float]] = {}
        self._timer: Timer | None = None
        self._due = 0.0
        self._late = 0
        self._punctual = 0

    @property
    def moving(self) -> bool:
        """Whether motion is wanted at all (`TEXTUAL_ANIMATIONS`)."""
        return self._app.animation_level != "none"

    @property
    def interval(self) -> float:
        """Seconds between two ticks."""
        wanted = min((every for _, every, _ in self._listeners.values()), default=self._least)
        return min(max(wanted, self._least) * self._slowdown, max(SLOWEST, wanted))

    @property
    def awake(self) -> bool:
        """Whether a timer runs."""
        return self._timer is not None

    def listen(self, key: object, callback: Callable[[], None], every: float = 0.0) -> None:
        """Call `callback` about every `every` seconds from now on; a second call with the same key replaces the first."""
        self._listeners[key] = (callback, every, self._now())
        self._restart()

    def ignore(self, key: object) -> None:
        """No more calls for this key."""
        if self._listeners.pop(key, None):
            self._restart()

    def _restart(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if self._listeners:
            self._due = self._now() + self.interval
            self._timer = self._app.set_interval(self.interval, self.tick, name="clock")

    def tick(self) -> None:
        """One beat; tests call it themselves."""
        now = self._now()
        self._watch_delay(now)
        for key, (callback, every, last) in list(self._listeners.items()):
            if key in self._listeners and now - last >= every * 0.9:
                self._listeners[key] = (callback, every, now)
                callback()

    def _watch_delay(self, now: float) -> None:
        late = now - self._due > (LATE - 1) * self.interval
        self._due = now + self.interval
        self._late = self._late + 1 if late else 0
        self._punctual = 0 if late else self._punctual + 1
        before = self._slowdown
        if self._late >= PATIENCE:
            self._slowdown, self._late = min(8.0, self._slowdown * 2), 0
        elif self._punctual >= RECOVERY:
            self._slowdown, self._punctual = max(1.0, self._slowdown / 2), 0
        if self._slowdown != before:
            self._restart()
