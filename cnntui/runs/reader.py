"""Reading a run: pull, never push. Each `poll` gives one frozen view of what is known by now."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from cnntui.core.windows import Array
from cnntui.runs.events import (
    Answer,
    AnyEvent,
    Data,
    EventReader,
    Notice,
    Probe,
    StateChange,
    Test,
    Train,
    from_number,
)
from cnntui.runs.spec import ENDED, Exit, Spec, State, Status, liveness, read_json

CURVE_POINTS = 512


class Curve:
    """Points of a curve; when it is full every second one goes, so it stays bounded however long the run."""

    def __init__(self, most: int = CURVE_POINTS) -> None:
        self.most = most
        self._every = 1
        self._seen = 0
        self._points: list[tuple[float, float]] = []
        self._last: tuple[float, float] | None = None

    def add(self, x: float, y: float) -> None:
        """Append a point."""
        self._last = (x, y)
        if self._seen % self._every == 0:
            self._points.append((x, y))
            if len(self._points) >= self.most:
                self._points = self._points[::2]
                self._every *= 2
        self._seen += 1

    @property
    def points(self) -> tuple[tuple[float, float], ...]:
        """What is kept, in order; always with the last one."""
        if self._last is None or self._points[-1] == self._last:
            return tuple(self._points)
        return (*self._points, self._last)


@dataclass(frozen=True, slots=True)
class RunView:
    """All that a screen shows of a run, at one moment."""

    directory: Path
    spec: Spec
    status: Status | None = None
    exit: Exit | None = None
    state: State = "starting"
    alive: Literal["alive", "stalled", "gone", "stale"] = "alive"
    message: str = ""
    data: Data | None = None
    train_loss: tuple[tuple[float, float], ...] = ()
    test_loss: tuple[tuple[float, float], ...] = ()
    test_accuracy: tuple[tuple[float, float], ...] = ()
    probe: Probe | None = None
    notices: tuple[str, ...] = ()
    answers: tuple[Answer, ...] = ()
    skipped: int = 0

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.state in ENDED

    @property
    def trained(self) -> bool:
        """Whether it ran to its end; a stopped run finished too, but says so."""
        return self.state == "finished" and not self.message

    @property
    def progress(self) -> float:
        """Steps done, 0 to 1."""
        if self.status is None or not self.status.steps:
            return 0.0
        return min(1.0, self.status.step / self.status.steps)

    @property
    def seconds_left(self) -> float | None:
        """Until the last step, at the present speed."""
        status = self.status
        if status is None or not status.steps or not status.images_per_second or self.ended:
            return None
        return (status.steps - status.step) * self.spec.batch_size / status.images_per_second

    def maps(self, layer: str) -> Array | None:
        """The probe's shades of `layer` (pictures, channels, H, W), or None while there are none."""
        if self.probe is None or layer not in self.probe.maps:
            return None
        try:
            shades = np.load(self.directory / "maps" / Path(self.probe.maps[layer]).name, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None  # thinned away meanwhile, or damaged: the next probe will do
        return shades if shades.dtype == np.uint8 and shades.ndim == 4 else None


class RunReader:
    """Follows one run directory.

    Raises:
        FileNotFoundError: when the directory holds no readable spec.
    """

    def __init__(self, directory: Path) -> None:
        spec = read_json(directory / "spec.json", Spec)
        if spec is None:
            raise FileNotFoundError(f"{directory} holds no run: no readable spec.json in it")
        self.directory = directory
        self.spec = spec
        self._events = EventReader(directory)
        self._reset()

    def _reset(self) -> None:
        self._train, self._test, self._accuracy = Curve(), Curve(), Curve()
        self._data: Data | None = None
        self._probe: Probe | None = None
        self._notices: deque[str] = deque(maxlen=20)
        self._answers: deque[Answer] = deque(maxlen=20)
        self._changed: StateChange | None = None

    def poll(self) -> RunView:
        """Read what is new (a bounded part of it) and say how the run stands."""
        events = self._events.poll()
        if self._events.restarted:
            self._reset()
        for event in events:
            self._take(event)
        status = read_json(self.directory / "status.json", Status)
        ended = read_json(self.directory / "exit.json", Exit)
        state, alive, message = self._state(status, ended)
        return RunView(
            self.directory,
            self.spec,
            status,
            ended,
            state,
            alive,
            message,
            self._data,
            self._train.points,
            self._test.points,
            self._accuracy.points,
            self._probe,
            tuple(self._notices),
            tuple(self._answers),
            self._events.skipped,
        )

    def _take(self, event: AnyEvent) -> None:
        match event:
            case Train():
                self._train.add(event.step, from_number(event.loss))
            case Test():
                self._test.add(event.step, from_number(event.loss))
                self._accuracy.add(event.step, event.accuracy)
            case Probe():
                self._probe = event
            case Data():
                self._data = event
            case Notice():
                self._notices.append(event.message)
            case Answer():
                self._answers.append(event)
            case StateChange():
                self._changed = event

    def _state(
        self, status: Status | None, ended: Exit | None
    ) -> tuple[State, Literal["alive", "stalled", "gone", "stale"], str]:
        """The state, whether the process lives, and what to say of it: the exit knows best, then the process."""
        message = status.message if status else ""
        if ended is not None and ended.signal is not None:
            return "crashed", "gone", f"killed by {ended.signal}"
        if ended is not None:
            if status is not None and status.state in ENDED:
                return status.state, "gone", message
            return "crashed", "gone", f"ended with code {ended.code}; see {self.directory / 'stderr.log'}"
        if status is None:
            return "starting", "alive", ""
        written = (self.directory / "status.json").stat().st_mtime
        alive = liveness(status, written)
        if status.state in ENDED:
            return status.state, alive, message
        if alive == "gone":
            return "crashed", alive, "its process is gone, and nobody saw how"
        return status.state, alive, message
