"""The trainer's desk: what it tells the world (events, status) and what the world asks of it (commands, signals)."""

from __future__ import annotations

import ctypes
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, Self

import msgspec
import psutil
import torch

from cnntui.runs import control
from cnntui.runs.events import Answer, Event, EventWriter, Notice, Phase, StateChange
from cnntui.runs.files import write_atomic
from cnntui.runs.job import PREEMPTION
from cnntui.runs.spec import State, Status, lock_of, process_facts
from cnntui.training.board import Board, BoardError
from cnntui.training.gauge import Gauge

STATUS_SECONDS = 1.0
LISTEN_SECONDS = 0.2
GONE_SECONDS = 10.0  # a network's disk may come back; a run that was removed does not
MOST_LOG = 16 << 20  # bytes of what the trainer prints
SMOOTHING = 0.15  # how much a new speed counts in the one that is shown


class StoppedError(Exception):
    """Somebody asked for the end before there was anything to keep."""


class Steered(Protocol):
    """What can be asked of a trainer between two steps. Each says in words what it did, or raises ValueError."""

    def checkpoint_now(self) -> str:
        """Save the weights."""

    def set_lr(self, lr: float) -> str:
        """Another learning rate."""

    def probe_layer(self, name: str) -> str:
        """Show what this layer makes."""

    def probe_picture(self, number: int) -> str:
        """Show what is made of this test picture."""

    def recover(self) -> None:
        """Back to where the numbers were finite."""


class Desk:
    """Writes events and status of a run, and reads its commands. Use as a context: leaving it writes the last status.

    Where it is one of several `ranks`, whatever a scheduler or torchrun signals before the end is heard as a wish to stop.

    Raises:
        FileExistsError: when this attempt has a trainer already.
    """

    def __init__(self, run: Path, attempt: int, ranks: int = 1) -> None:
        self.run = run
        self._events = EventWriter(run, attempt)
        self.status = Status(phase="starting", attempt=attempt, **process_facts())
        self._progressed = time.monotonic()
        self.steered: Steered | None = None
        self.board: Board | None = None
        self._device: torch.device | None = None
        self._gauge = Gauge(torch.device("cpu"))
        self.trouble = ""  # why it paused by itself
        self._begun: tuple[int, float] | None = None  # the first step of this attempt, and when it was done
        self._waited = 0.0  # seconds, while paused
        self._paused = False
        self._stopping = False
        self._ear = Ear(self._stop) if ranks == 1 else Ear(self._stop, PREEMPTION, patient=True)
        self._listened = 0.0
        self._gone_since: float | None = None
        self._obeyed: set[str] = set()
        self._writing = threading.Lock()  # both threads write the status
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._keep_status, name="status", daemon=True)

    def __enter__(self) -> Self:
        self.write_status()
        self.tell(StateChange(step=0, state="starting"), sync=True)
        self._ear.open()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join()
        self._ear.close()
        self.write_status()
        if self.board is not None:
            with suppress(BoardError):
                self.board.close()
        self._events.close()

    def _stop(self) -> None:
        self._stopping = True

    @property
    def replaced(self) -> bool:
        """Whether another attempt trains this run now: then nothing more of this one is to be kept."""
        with suppress(OSError):  # a disk that hangs says nothing about it
            return lock_of(self.run, self.status.attempt + 1).exists()
        return False

    def is_gone(self) -> bool:
        """Whether the run's directory was not there for a while: what is trained now, nobody would ever see."""
        try:
            self.run.stat()
        except FileNotFoundError:
            self._gone_since = self._gone_since or time.monotonic()
            return time.monotonic() - self._gone_since > GONE_SECONDS
        except OSError:
            pass
        self._gone_since = None
        return False

    def use(self, device: torch.device, name: str) -> None:
        """The device whose memory, load and heat the status tells."""
        self._device, self._gauge = device, Gauge(device)
        self.update(device=name)

    def update(self, **facts: Any) -> None:
        """Change what the status says; whoever calls this made progress."""
        self.status = msgspec.structs.replace(self.status, **facts)
        self._progressed = time.monotonic()

    def tell(self, *events: Event, sync: bool = False) -> None:
        """Write events, in one piece."""
        for event in events:
            self._events.emit(event)
            self._show(event)
        self._events.flush(sync)

    def show_on(self, directory: Path, after: int | None) -> None:
        """Tell TensorBoard as well; of a run that goes on, what it was told beyond the step `after` counts no more."""
        try:
            self.board = Board(directory, after)
        except BoardError as error:
            self.notice(str(error))

    def _show(self, event: Event) -> None:
        if self.board is None:
            return
        try:
            self.board.take(event)
        except BoardError as error:
            self.board = None
            self.notice(str(error))

    def notice(self, message: str) -> None:
        """Tell a person something."""
        self.tell(Notice(step=self.status.step, message=message))

    def enter(self, phase: str, state: State | None = None) -> None:
        """A new phase, and perhaps a new state."""
        self.update(phase=phase)
        self.tell(Phase(step=self.status.step, phase=phase))
        if state is not None:
            self._become(state)

    def _become(self, state: State, message: str = "") -> None:
        self.update(state=state, message=message)
        self.tell(StateChange(step=self.status.step, state=state, message=message), sync=True)
        self.write_status()

    def loading(self, how_far: str) -> None:
        """How far the loading is, in words.

        Raises:
            StoppedError: when the run is to end.
        """
        self.update(phase=how_far)
        if self._stopping:
            raise StoppedError

    def stepped(self, step: int, loss: float, images_per_second: float) -> None:
        """Progress was made."""
        before = self.status.images_per_second
        smooth = images_per_second if before is None else before + SMOOTHING * (images_per_second - before)
        self.update(
            step=step,
            images_per_second=smooth,
            train_loss=loss if math.isfinite(loss) else None,
            seconds_left=self._seconds_left(step),
        )

    def _seconds_left(self, step: int) -> float | None:
        """At the pace of this attempt, tests and all included, pauses not."""
        if self._begun is None or step < self._begun[0]:
            self._begun, self._waited = (step, time.monotonic()), 0.0
            return None
        done, seconds = step - self._begun[0], time.monotonic() - self._begun[1] - self._waited
        steps = self.status.steps or 0
        return round(seconds / done * (steps - step), 1) if done and steps else None

    def tested(self, loss: float, accuracy: float) -> None:
        """The test set was evaluated."""
        self.update(test_loss=loss if math.isfinite(loss) else None, test_accuracy=accuracy)

    def pause(self, message: str = "") -> None:
        """Pause at this step, until told to resume or stop."""
        self._paused = True
        if message:
            self.notice(message)
            self.trouble = message
        self._become("paused", message)

    def end(self, state: State, message: str) -> None:
        """The last state; what was asked too late is told so."""
        for path, command in control.receive(self.run):
            if command is not None and command.id not in self._obeyed:
                self._answer(path, command.id, command.command, False, "the run has ended")
        self.enter("")
        self._become(state, message)

    def obey(self) -> bool:
        """Take the commands that wait, and wait here while paused; false when the run is to end now."""
        while True:
            if time.monotonic() - self._listened >= LISTEN_SECONDS:
                self._listened = time.monotonic()
                if self.replaced:
                    self.trouble = "another attempt has taken over"
                    self._stopping = True
                if self.is_gone():
                    self.trouble = "its directory was removed"
                    self._stopping = True
                for path, command in control.receive(self.run):
                    self._take(path, command)
            if self._stopping:
                self._become("stopping", self.status.message)
                return False
            if not self._paused:
                return True
            time.sleep(LISTEN_SECONDS)
            self._waited += LISTEN_SECONDS

    def _take(self, path: Path, command: control.Command | None) -> None:
        if command is None and path.name not in self._obeyed:
            self._obeyed.add(path.name)
            accepted, message, ident, word = False, "not a command", path.stem, "?"
        elif command is None or command.id in self._obeyed:
            with suppress(OSError):  # the same once more
                path.unlink()
            return
        else:
            ident, word = command.id, command.command
            self._obeyed.add(ident)
            try:
                accepted, message = True, self._do(command)
            except ValueError as error:
                accepted, message = False, str(error)
        self._answer(path, ident, word, accepted, message)

    def _answer(self, path: Path, ident: str, word: str, accepted: bool, message: str) -> None:
        answer = Answer(step=self.status.step, id=ident, command=word, accepted=accepted, message=message)
        self.tell(answer)
        with suppress(OSError):  # else it stays where it is, and is known by its id
            control.settle(path, {"step": answer.step, "accepted": accepted, "message": message})

    def _do(self, command: control.Command) -> str:
        """What was done, in words.

        Raises:
            ValueError: why it was not.
        """
        if time.time() - command.sent > control.EXPIRE_SECONDS:
            raise ValueError(f"expired: it was asked {time.time() - command.sent:.0f} s ago")
        if command.attempt is not None and command.attempt < self.status.attempt:
            raise ValueError("expired: it was asked of an attempt before this one")
        if self.steered is None and command.command in ("checkpoint", "set"):
            raise ValueError("the training has not begun")
        match command.command:
            case "pause" if not self._paused:
                self.pause()
            case "resume" if self._paused:
                if self.trouble and self.steered is not None:
                    self.steered.recover()
                self._paused, self.trouble = False, ""
                self._become("training")
            case "stop":
                self._stopping = True
            case "checkpoint" if self.steered is not None:
                return self.steered.checkpoint_now()
            case "set" if self.steered is not None:
                return self._set(self.steered, command.values)
        return f"{command.command} at step {self.status.step:,}"

    def _set(self, steered: Steered, values: dict[str, float | str]) -> str:
        done = []
        for name, value in values.items():
            match name, value:
                case "lr", int() | float() if 0 < value < math.inf:
                    done.append(steered.set_lr(value))
                case "layer", str():
                    done.append(steered.probe_layer(value))
                case "picture", int() | float() if float(value).is_integer():
                    done.append(steered.probe_picture(int(value)))
                case _:
                    raise ValueError(f"set takes lr above 0, layer=NAME, picture=N, not {name}={value}")
        return "; ".join(done)

    def _keep_status(self) -> None:
        while not self._closed.wait(STATUS_SECONDS):
            self.write_status()
            for name in ("stdout.log", "stderr.log"):  # whatever prints without end must not fill the disk
                with suppress(OSError):
                    if (self.run / name).stat().st_size > MOST_LOG:
                        os.truncate(self.run / name, 0)

    def write_status(self) -> None:
        """Replace status.json; a disk that refuses is no reason to stop training."""
        if self.replaced:
            return
        with self._writing, suppress(OSError):
            age = round(time.monotonic() - self._progressed, 3)
            status = msgspec.structs.replace(self.status, progress_age=age, memory=self._memory(), **self._gauge.read())
            write_atomic(self.run / "status.json", msgspec.json.encode(status))

    def _memory(self) -> int:
        """Bytes: the device's for CUDA, this process's resident ones otherwise."""
        if self._device is not None and self._device.type == "cuda":
            return int(torch.cuda.memory_reserved(self._device))
        return int(psutil.Process().memory_info().rss)


class Ear:
    """Hears signals, SIGTERM by default, while it is open. The first calls `stop`; a second one ends the process at once.

    A patient one only hears the first: torchrun hands on what a scheduler has sent to all processes itself, so one wish
    comes twice. A handler of Python's would wait until torch has computed what it is at; the byte that its C handler writes
    does not.
    """

    def __init__(
        self, stop: Callable[[], None], signals: Sequence[int] = (signal.SIGTERM,), patient: bool = False
    ) -> None:
        self._stop, self._signals, self._patient = stop, signals, patient
        self._thread = threading.Thread(target=self._listen, name="ear", daemon=True)

    def open(self) -> None:
        """Begin to listen. In the main thread only."""
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._before = [(number, signal.signal(number, lambda *_: None)) for number in self._signals]
        self._woke = signal.set_wakeup_fd(self._write)
        self._thread.start()

    def close(self) -> None:
        """As it was before."""
        signal.set_wakeup_fd(self._woke)
        for number, handler in self._before:
            signal.signal(number, signal.SIG_IGN if self._patient else handler)  # what comes now comes too late
        os.close(self._write)
        self._thread.join()
        os.close(self._read)

    def _listen(self) -> None:
        heard = 0
        while number := os.read(self._read, 1):
            heard += number[0] in self._signals
            if heard == 1:
                self._stop()
            elif heard > 1 and not self._patient:
                ctypes.pythonapi.PyOS_setsig(signal.SIGTERM, None)  # signal.signal wants the main thread, which is busy
                os.kill(os.getpid(), signal.SIGTERM)
