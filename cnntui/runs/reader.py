"""Reading a run: pull, never push. Each `poll` gives one frozen view of what is known by now."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from cnntui.core.npy import read_npy
from cnntui.core.windows import Array
from cnntui.runs.events import (
    Answer,
    AnyEvent,
    Checkpoint,
    Classes,
    Data,
    EventReader,
    Excited,
    Notice,
    Probe,
    Ranks,
    Resume,
    Snapshot,
    StateChange,
    Test,
    Train,
    from_number,
)
from cnntui.runs.places import SWEEP
from cnntui.runs.spec import (
    ENDED,
    SPEC_VERSION,
    Exit,
    Spec,
    State,
    Status,
    age,
    last_attempt,
    liveness,
    lock_of,
    read_json,
)

CURVE_POINTS = 512
RECENT_POINTS = 256
RECENT = 20
PIECE_BYTES = 1 << 19  # of the log at a time: some ten milliseconds of work
MOST_MAPS = 1 << 26  # bytes of a file of maps: more than twice what a trainer writes
SNAPSHOTS = 1000  # far more than a trainer keeps
GRACE_SECONDS = 1.5  # the supervisor needs a moment between the death of a trainer and writing how it died
SILENT_SECONDS = 5.0  # a trainer writes its status every second
TEAM_SECONDS = 40.0  # of several ranks the others are ended first: torchrun gives them 30 s
START_SECONDS = 60.0

Alive = Literal["alive", "stalled", "gone", "stale"]
Points = tuple[tuple[float, float], ...]


class UnreadableRunError(Exception):
    """A directory that holds no run that this version can read, in one line."""


class Curve:
    """Points of a curve; when it is full every second one goes, so it stays bounded however long the run.

    Beside them the last few, all of them.
    """

    def __init__(self, most: int = CURVE_POINTS, recent: int = RECENT_POINTS) -> None:
        self.most = most
        self._recent: deque[tuple[float, float]] = deque(maxlen=recent)
        self._every = 1
        self._seen = 0
        self._points: list[tuple[float, float]] = []
        self._last: tuple[float, float] | None = None

    def add(self, x: float, y: float) -> None:
        """Append a point."""
        self._last = (x, y)
        self._recent.append(self._last)
        if self._seen % self._every == 0:
            self._points.append((x, y))
            if len(self._points) >= self.most:
                self._points = self._points[::2]
                self._every *= 2
        self._seen += 1

    def cut(self, x: float) -> None:
        """Forget what lies beyond `x`: the training went back to it."""
        self._points = [point for point in self._points if point[0] <= x]
        self._recent = deque((point for point in self._recent if point[0] <= x), self._recent.maxlen)
        kept = [*self._points[-1:], *list(self._recent)[-1:]]
        self._last = max(kept, default=None)
        self._seen, self._every = 0, 1  # what comes now is seen finely again, until the curve is full

    @property
    def recent(self) -> Points:
        """The last few points, in order."""
        return tuple(self._recent)

    @property
    def points(self) -> Points:
        """What is kept, in order; always with the last one."""
        if self._last is None or self._points[-1:] == [self._last]:
            return tuple(self._points)
        return (*self._points, self._last)


@dataclass(frozen=True, slots=True)
class RunView:
    """All that a screen shows of a run, at one moment.

    Curves are (step, value). `over`: it has ended, how is known, and every event has been read. `tests`, `notices` and
    `answers` are the last few. `read`: how much of the log has been read, 0 to 1. `logged`: whether the log of this attempt
    is there, which it is before its first status.
    """

    directory: Path
    spec: Spec
    status: Status | None = None
    exit: Exit | None = None
    state: State = "starting"
    alive: Alive = "alive"
    message: str = ""
    over: bool = False
    data: Data | None = None
    train_loss: Points = ()
    recent_loss: Points = ()
    test_loss: Points = ()
    test_accuracy: Points = ()
    lr: Points = ()
    images_per_second: Points = ()
    tests: tuple[Test, ...] = ()
    classes: Classes | None = None
    probe: Probe | None = None
    checkpoint: Checkpoint | None = None
    snapshots: tuple[Snapshot, ...] = ()
    notices: tuple[Notice, ...] = ()
    answers: tuple[Answer, ...] = ()
    skipped: int = 0
    read: float = 1.0
    logged: bool = True
    excited: Excited | None = None
    ranks: Ranks | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will be trained."""
        return self.state in ENDED

    @property
    def label(self) -> str:
        """The state in a word for people: a run that was stopped did not finish."""
        return "stopped" if self.state == "finished" and self.message else self.state

    @property
    def trained(self) -> bool:
        """Whether it ran to its end; a stopped run finished too, but says so."""
        return self.state == "finished" and not self.message

    @property
    def resumable(self) -> bool:
        """Whether it ended before its last step; it can go on from its last checkpoint."""
        return self.ended and not self.trained

    @property
    def progress(self) -> float:
        """Steps done, 0 to 1."""
        if self.status is None or not self.status.steps:
            return 0.0
        return min(1.0, self.status.step / self.status.steps)

    @property
    def seconds_left(self) -> float | None:
        """Until the last step, tests and all included; None while it does not train."""
        return self.status.seconds_left if self.status and self.state == "training" else None

    def maps(self, layer: str) -> Array | None:
        """The probe's shades of `layer` (pictures, channels, H, W), or None while there are none."""
        if self.probe is None or layer not in self.probe.maps:
            return None
        return self.shades(self.probe.maps[layer], len(self.probe.pictures))

    def shades(self, name: str | None, least: int = 1) -> Array | None:
        """A file of `maps/`: (N, C, H, W) uint8 with at least so many N; None where it is not there or not that."""
        shades = self._array(name, np.uint8)
        return shades if shades is not None and len(shades) >= least else None

    def filters(self) -> Array | None:
        """The first convolution's weights, float32 (out_channels, in_channels, kH, kW); what is not finite is 0.

        None where they are not there or not that.
        """
        weights = self._array(self.probe.filters, np.float32) if self.probe else None
        return None if weights is None else np.nan_to_num(weights, nan=0.0, posinf=0.0, neginf=0.0)

    @property
    def weights(self) -> Path | None:
        """The file of the weights as they were at the last probe; None where there is none. It is soon another one."""
        return self.file(self.probe.weights if self.probe else None)

    def file(self, name: str | None) -> Path | None:
        """A file of `maps/`, if it is there, and no larger than the trainer makes them."""
        path = self.directory / "maps" / Path(name or "").name
        try:
            return path if path.is_file() and path.stat().st_size <= MOST_MAPS else None  # a pipe would block
        except (OSError, ValueError):
            return None

    def _array(self, name: str | None, kind: type[np.generic]) -> Array | None:
        path = self.file(name)
        try:
            array = read_npy(path) if path else None
        except (OSError, ValueError, MemoryError):
            return None  # thinned away meanwhile, or damaged: the next probe will do
        if array is None or array.dtype != kind or array.ndim != 4:
            return None
        return array if array.size else None


class RunReader:
    """Follows one run directory. Not for two threads at once.

    Raises:
        UnreadableRunError: when the directory holds no spec, or one of a newer version.
    """

    def __init__(self, directory: Path, now: Callable[[], float] = time.monotonic) -> None:
        spec = read_json(directory / "spec.json", Spec)
        if spec is None:
            raise UnreadableRunError(f"{directory} holds no run: no readable spec.json in it")
        if spec.version > SPEC_VERSION:
            raise UnreadableRunError(
                f"{directory} is of a newer cnntui (spec version {spec.version}): upgrade this one"
            )
        self.directory = directory
        self.spec = spec
        self._now = now
        self._status: Status | None = None
        self._gone_since: float | None = None
        self._written: tuple[Path, int] | None = None  # the file that the trainer writes anew, and when it did
        self._spoke = 0.0
        self._events = EventReader(directory)
        self._reset()

    def _reset(self) -> None:
        self._train, self._test, self._accuracy, self._lr, self._speed = (Curve() for _ in range(5))
        self._data: Data | None = None
        self._ranks: Ranks | None = None
        self._classes: Classes | None = None
        self._probe: Probe | None = None
        self._excited: Excited | None = None
        self._checkpoint: Checkpoint | None = None
        self._snapshots: dict[int, Snapshot] = {}
        self._tests: deque[Test] = deque(maxlen=RECENT)
        self._notices: deque[Notice] = deque(maxlen=RECENT)
        self._answers: deque[Answer] = deque(maxlen=RECENT)
        self._changed: StateChange | None = None
        self._refused = 0

    def poll(self, seconds: float = 0.0) -> RunView:
        """Read what is new, piece by piece for about so many seconds (one piece at least), and say how the run stands."""
        until = self._now() + seconds
        while True:
            events = self._events.poll(PIECE_BYTES)
            if self._events.restarted:
                self._reset()
            for event in events:
                self._take(event)
            if not self._events.more or self._now() >= until:
                return self.glance()

    @property
    def more(self) -> bool:
        """Whether the last poll left something unread."""
        return self._events.more

    def glance(self) -> RunView:
        """How the run stands, without reading its events any further."""
        self._status = read_json(self.directory / "status.json", Status) or self._status
        ended = read_json(self.directory / "exit.json", Exit)
        attempt = last_attempt(self.directory)
        if ended is not None and ended.attempt < attempt:
            ended = None  # of an attempt before
        if self._status is not None and self._status.attempt < attempt:
            self._status = None
        state, alive, message = self._state(self._status, ended, attempt)
        return RunView(
            self.directory,
            self.spec,
            self._status,
            ended,
            state,
            alive,
            message,
            state in ENDED and alive != "alive" and not self._events.more,
            self._data,
            self._train.points,
            self._train.recent,
            self._test.points,
            self._accuracy.points,
            self._lr.points,
            self._speed.points,
            tuple(self._tests),
            self._classes,
            self._probe,
            self._checkpoint,
            tuple(self._snapshots[step] for step in sorted(self._snapshots)),
            tuple(self._notices),
            tuple(self._answers),
            self._events.skipped + self._refused,
            self._events.share,
            self._status is None or (self.directory / f"events.{self._status.attempt}.jsonl").exists(),
            self._excited,
            self._ranks,
        )

    def _take(self, event: AnyEvent) -> None:
        match event:
            case Train():
                self._train.add(event.step, from_number(event.loss))
                self._lr.add(event.step, event.lr)
                self._speed.add(event.step, event.images_per_second)
            case Resume():
                self._go_back(event.step)
            case Test():
                self._test.add(event.step, from_number(event.loss))
                self._accuracy.add(event.step, event.accuracy)
                self._tests.append(event)
            case Probe() if _is_whole(event):
                self._probe = event
            case Probe():
                self._refused += 1
            case Classes() if _is_square(event):
                self._classes = event
            case Classes():
                self._refused += 1
            case Excited():
                self._excited = event
            case Checkpoint():
                self._checkpoint = event
            case Snapshot():
                self._snapshots[event.step] = event
                if len(self._snapshots) > SNAPSHOTS:
                    del self._snapshots[min(self._snapshots)]
            case Data():
                self._data = event
            case Ranks():
                self._ranks = event
            case Notice():
                self._notices.append(event)
            case Answer():
                self._answers.append(event)
            case StateChange():
                self._changed = event

    def _go_back(self, step: int) -> None:
        for curve in (self._train, self._test, self._accuracy, self._lr, self._speed):
            curve.cut(step)
        self._snapshots = {at: snapshot for at, snapshot in self._snapshots.items() if at <= step}
        self._tests = deque((test for test in self._tests if test.step <= step), self._tests.maxlen)
        if self._classes is not None and self._classes.step > step:
            self._classes = None
        if self._excited is not None and self._excited.step > step:
            self._excited = None
        if self._checkpoint is not None and self._checkpoint.step > step:
            self._checkpoint = None

    def _state(self, status: Status | None, ended: Exit | None, attempt: int) -> tuple[State, Alive, str]:
        """The state, whether the process lives, and what to say of it: the exit knows best, then the process."""
        message = status.message if status else ""
        if ended is not None and ended.signal is not None:
            return "crashed", "gone", ended.words
        if ended is not None and ended.rank is not None:
            return "failed", "gone", ended.words
        if ended is not None:
            if status is not None and status.state in ENDED:
                return status.state, "gone", message
            if (
                self._changed is not None
                and self._changed.state == "finished"
                and self._changed.attempt == ended.attempt
            ):
                return "finished", "gone", self._changed.message
            return "crashed", "gone", f"{ended.words}; see {self.directory / 'stderr.log'}"
        silent = self._silence(self.directory / "status.json" if status else lock_of(self.directory, attempt))
        if silent is None:
            return "crashed", "gone", "its directory is gone"
        if status is None:
            if attempt == 0 and (self.directory.parent / SWEEP).is_file():
                return "waiting", "alive", ""
            if silent > START_SECONDS:
                return "crashed", "gone", f"it never started; see {self.directory / 'stderr.log'}"
            return "starting", "alive", ""
        return self._by_process(status, silent, message)

    def _silence(self, path: Path) -> float | None:
        """For how many seconds a file, or else the spec, has not been written anew; None where there is neither.

        The wall clock, which may be set, and be another one on another host, is asked once: at the first look. From then
        on it is the time that passes here until the file changes.
        """
        path = path if path.exists() else self.directory / "spec.json"
        try:
            written = path, path.stat().st_mtime_ns
        except OSError:
            return None
        if written != self._written:
            self._spoke = self._now() - (age(path) if self._written is None else 0.0)
            self._written = written
        return self._now() - self._spoke

    def _by_process(self, status: Status, silent: float, message: str) -> tuple[State, Alive, str]:
        alive = liveness(status, silent)
        if alive != "gone":
            self._gone_since = None
            return status.state, alive, message
        now = self._now()
        self._gone_since = now if self._gone_since is None else self._gone_since
        grace, silence = (TEAM_SECONDS, TEAM_SECONDS) if self.spec.ranks > 1 else (GRACE_SECONDS, SILENT_SECONDS)
        # One that wrote nothing for so long has been gone for a while, however new this reader is.
        if now - self._gone_since < grace and silent < silence:
            return status.state, "alive", message
        if status.state in ENDED:
            return status.state, "gone", message
        return "crashed", "gone", "its process is gone, and nobody saw how"


def _is_square(classes: Classes) -> bool:
    """Whether the counts agree with each other: a viewer relies on it."""
    count = len(classes.counts)
    rows = classes.confusion if classes.confusion is not None else [classes.right]
    return len(classes.right) == count and (
        all(len(row) == count for row in rows)
        and (classes.confusion is None or len(rows) == count)
        and all(0 <= m.label < count and 0 <= m.read < count for m in classes.misread)
    )


def _is_whole(probe: Probe) -> bool:
    """Whether a probe agrees with itself: a viewer relies on it."""
    classes = len(probe.probabilities[0]) if probe.probabilities else 0
    return (
        0 < len(probe.pictures) == len(probe.labels) == len(probe.probabilities)
        and all(len(row) == classes for row in probe.probabilities)
        and all(0 <= label < classes for label in probe.labels)
        and probe.maps.keys() <= probe.scales.keys() & probe.channels.keys()
    )
