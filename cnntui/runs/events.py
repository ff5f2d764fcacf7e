"""The event log of a run: one line of JSON an event, appended by one writer, tailed by any number of readers."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from math import inf, isfinite, nan
from pathlib import Path
from typing import Annotated, Literal

import msgspec

VERSION = 1
Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]  # what a screen can reckon with; anything else is garbage
Number = float | Literal["NaN", "Infinity", "-Infinity"]


def to_number(value: float) -> Number:
    """A float as JSON can hold it."""
    if isfinite(value):
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def from_number(value: Number) -> float:
    """What `to_number` was given."""
    return value if not isinstance(value, str) else nan if value == "NaN" else inf if value == "Infinity" else -inf


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag=str.lower):
    """What all events have: `t` in seconds since the attempt began, on its monotonic clock. The writer numbers them."""

    step: Count
    v: int = VERSION
    seq: int = 0
    t: float = 0.0
    attempt: int = 1


class StateChange(Event, frozen=True, kw_only=True, tag="state"):
    """The run changed its state; `message` says why."""

    state: str
    message: str = ""


class Phase(Event, frozen=True, kw_only=True):
    """What the trainer does from now on: loading data, compiling, training, evaluating; empty at the end."""

    phase: str


class Notice(Event, frozen=True, kw_only=True):
    """Something that a person should see."""

    message: str


class Resume(Event, frozen=True, kw_only=True):
    """The training goes on from `step`, with what `checkpoint` holds: what came after that step no longer counts."""

    checkpoint: str


class Data(Event, frozen=True, kw_only=True):
    """The data set that is trained on: counts, picture shape, class names, and a hash of all its bytes.

    `train_counts` and `test_counts` are by class; `mean` and `deviation` of the training pictures by channel, scaled to
    0..1. `samples` is a file in `maps/` of uint8 pictures (N, C, H, W), the first few of each class, `sample_labels` theirs.
    """

    name: str
    train: Count
    test: Count
    shape: tuple[int, int, int]
    classes: list[str]
    sha256: str
    steps: Count
    train_counts: list[int] = []
    test_counts: list[int] = []
    mean: list[float] = []
    deviation: list[float] = []
    samples: str | None = None
    sample_labels: list[int] = []


class Ranks(Event, frozen=True, kw_only=True):
    """Images/s of `count` ranks, measured before the first step of this attempt: `together`, and of `each`.

    `alone` is what the first of them does with whole batches while the others wait, None where that was not measured.
    """

    count: Count
    together: float
    each: list[float]
    alone: float | None = None

    @property
    def gain(self) -> float | None:
        """How many times as fast as one alone."""
        return self.together / self.alone if self.alone else None


class Train(Event, frozen=True, kw_only=True):
    """The mean loss of the steps since the last such event, over all ranks; `each`: images/s of several."""

    epoch: Count
    loss: Number
    lr: float
    images_per_second: float
    each: list[float] = []


class Test(Event, frozen=True, kw_only=True):
    """Loss and accuracy (0 to 1) over the whole test set."""

    epoch: Count
    loss: Number
    accuracy: float
    count: Count


class Misread(msgspec.Struct, frozen=True, array_like=True):
    """A test picture that was taken for another class: its number, its label, what it was read as, how surely (0 to 1)."""

    picture: Count
    label: Count
    read: Count
    probability: float


class Classes(Event, frozen=True, kw_only=True):
    """The test set class by class: how many there are, and how many were read right.

    `confusion[label][read]` counts, None beyond MOST_CLASSES classes. `misread` are the surest mistakes, surest first;
    `pictures` is a file in `maps/` of their uint8 pictures (N, C, H, W).
    """

    epoch: Count
    counts: list[Count]
    right: list[Count]
    confusion: list[list[Count]] | None = None
    misread: list[Misread] = []
    pictures: str | None = None


class Snapshot(Event, frozen=True, kw_only=True):
    """The weights as they were at `step`, for scrubbing: `file` is a safetensors file in `snapshots/`."""

    epoch: Count
    file: str


class Probe(Event, frozen=True, kw_only=True):
    """Feature maps of some test pictures: `maps[layer]` is a file of uint8 shades (pictures, channels, H, W).

    The pictures are one of each class, then those that were asked for; the layers are a choice, and those asked for.
    `filters` is a file of the first convolution's weights, float32 (out_channels, in_channels, kH, kW); the largest
    magnitude is `filters_scale`.

    `scales[layer]` is the value that full shade stands for, `channels[layer]` how many the layer has, of which the file
    holds the first. `probabilities[i]` are the classes' of picture i. `weights` is a safetensors file in `maps/` of all
    weights at this step, None where they are too many.
    """

    pictures: list[Count]
    labels: list[Count]
    probabilities: list[list[float]]
    maps: dict[str, str]
    scales: dict[str, float]
    channels: dict[str, Count]
    filters: str | None = None
    filters_layer: str = ""
    filters_scale: float = 1.0
    weights: str | None = None


class Excited(Event, frozen=True, kw_only=True):
    """Which test pictures excite each unit most: `file` is a safetensors file in `maps/`, see `cnntui.runs.excited`.

    `count` pictures were looked at.
    """

    epoch: Count
    file: str
    count: Count


class Checkpoint(Event, frozen=True, kw_only=True):
    """A checkpoint is complete on the disk."""

    directory: str
    epoch: Count


class Answer(Event, frozen=True, kw_only=True):
    """A command took effect at `step`, or was rejected and why."""

    id: str
    command: str
    accepted: bool
    message: str


AnyEvent = (
    StateChange
    | Phase
    | Notice
    | Resume
    | Data
    | Ranks
    | Train
    | Test
    | Classes
    | Snapshot
    | Probe
    | Excited
    | Checkpoint
    | Answer
)
NOT_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)  # what decoding a damaged file can raise
MOST_CLASSES = 20  # beyond, a confusion matrix is more than anybody looks at


class EventWriter:
    """Appends events to `events.<attempt>.jsonl`; one write a batch.

    A write that is cut short (a full disk) is not repeated: the next batch starts on a line of its own.
    """

    def __init__(self, directory: Path, attempt: int = 1) -> None:
        self.attempt = attempt
        self._started = time.monotonic()
        self._seq = 0
        self._pending: list[bytes] = []
        self._torn = False
        self._descriptor = os.open(
            directory / f"events.{attempt}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600
        )

    def emit(self, event: Event) -> None:
        """Queue an event for the next `flush`."""
        self._seq += 1
        t = round(time.monotonic() - self._started, 3)
        numbered = msgspec.structs.replace(event, seq=self._seq, t=t, attempt=self.attempt)
        self._pending.append(msgspec.json.encode(numbered) + b"\n")

    def flush(self, sync: bool = False) -> None:
        """Write what is queued; a disk that refuses loses events, never the run."""
        batch, self._pending = b"".join(self._pending), []
        if self._torn:
            batch = b"\n" + batch
        try:
            if batch:
                self._torn = os.write(self._descriptor, batch) != len(batch)
            if sync:
                os.fsync(self._descriptor)
        except OSError:
            self._torn = True

    def close(self) -> None:
        """Write what is left and close."""
        self.flush(sync=True)
        os.close(self._descriptor)


class EventReader:
    """Tails the event logs of a run, attempt after attempt.

    A torn last line is left for the next poll; garbage, unknown kinds and newer versions are skipped and counted; a file
    that shrank or was replaced is read again from its beginning, which `restarted` tells.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.skipped = 0
        self.restarted = False
        self.more = False  # the last poll stopped at its limit, not at the end
        self._offsets: dict[Path, tuple[int, int]] = {}  # file -> (inode, bytes read)
        self._there = 0  # bytes, in all logs
        self._decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)

    def poll(self, max_bytes: int = 1 << 20) -> list[AnyEvent]:
        """The next events, from at most `max_bytes`; an empty list when there are none."""
        logs = self._logs()
        self._there = sum(stat.st_size for _, stat in logs)
        self.restarted = any(self._was_replaced(path, stat) for path, stat in logs)
        if self.restarted:
            self._offsets.clear()
            self.skipped = 0
        events: list[AnyEvent] = []
        room = max_bytes
        for path, stat in logs:
            if stat.st_size > self._offsets.get(path, (0, 0))[1]:
                room -= self._read(path, room, room == max_bytes, events)
            if room <= 0:
                break
        self.more = room <= 0
        return events

    @property
    def share(self) -> float:
        """How much of what is there has been read, 0 to 1."""
        return min(1.0, sum(read for _, read in self._offsets.values()) / max(1, self._there))

    def _logs(self) -> list[tuple[Path, os.stat_result]]:
        """The logs that are there, in the order of the attempts."""
        found = []
        with suppress(OSError), os.scandir(self.directory) as entries:
            for entry in entries:
                if match := re.fullmatch(r"events\.(\d{1,9})\.jsonl", entry.name):
                    with suppress(OSError):
                        found.append((int(match[1]), Path(entry.path), entry.stat()))
        return [(path, stat) for _, path, stat in sorted(found, key=lambda log: log[0])]

    def _was_replaced(self, path: Path, stat: os.stat_result) -> bool:
        inode, start = self._offsets.get(path, (stat.st_ino, 0))
        return stat.st_ino != inode or stat.st_size < start

    def _read(self, path: Path, room: int, whole_room: bool, events: list[AnyEvent]) -> int:
        """Take the whole lines of one file that fit; returns how many bytes were read."""
        _, start = self._offsets.get(path, (0, 0))
        try:
            with path.open("rb") as file:
                inode = os.fstat(file.fileno()).st_ino
                file.seek(start)
                chunk = file.read(room)
        except OSError:
            return 0
        end = chunk.rfind(b"\n") + 1
        if not end and len(chunk) == room and whole_room:
            end = len(chunk)  # a line longer than a whole poll is garbage: pass over it
        decoded = self._decode(chunk[:end])
        events += (event for event in decoded if event.v <= VERSION)
        self.skipped += sum(event.v > VERSION for event in decoded)
        self._offsets[path] = (inode, start + end)
        return len(chunk)

    def _decode(self, lines: bytes) -> list[AnyEvent]:
        """The events in whole lines: all at once, which is several times faster; line by line where one of them is bad."""
        try:
            return self._decoder.decode_lines(lines)
        except NOT_JSON:
            events = []
            for line in lines.splitlines():
                try:
                    events += [self._decoder.decode(line)] if line.strip() else []
                except NOT_JSON:
                    self.skipped += 1
            return events
