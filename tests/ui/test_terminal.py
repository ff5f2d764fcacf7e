"""The app in a real pseudo-terminal: closing it, and killing it, leave the run training."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cnntui.runs.control import send
from cnntui.runs.listing import run_directories
from cnntui.runs.reader import RunReader, RunView

PATIENCE = 90.0


class Terminal:
    """A program in a pseudo-terminal of 100×30; what it writes is read and kept."""

    def __init__(self, *arguments: str, program: tuple[str, ...] = ("-m", "cnntui")) -> None:
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm-256color"
            os.execv(sys.executable, [sys.executable, *program, *arguments])
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.output = b""
        self.status: int | None = None

    def pump(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if select.select([self.master], [], [], 0.05)[0]:
                with contextlib.suppress(OSError):
                    self.output += os.read(self.master, 65536)

    def until(self, text: bytes, seconds: float = PATIENCE) -> None:
        """Read until the program has written this."""
        deadline = time.monotonic() + seconds
        while text not in self.output and time.monotonic() < deadline:
            self.pump(0.1)
        assert text in self.output, self.output[-2000:]

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())
        self.pump(0.3)

    def gone(self, seconds: float = 10) -> bool:
        """Whether the process ends within that time."""
        until = time.monotonic() + seconds
        while self.status is None and time.monotonic() < until:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = status
            time.sleep(0.05)
        return self.status is not None


@contextmanager
def terminal(*arguments: str, program: tuple[str, ...] = ("-m", "cnntui")) -> Iterator[Terminal]:
    opened = Terminal(*arguments, program=program)
    try:
        yield opened
    finally:
        if not opened.gone(0):
            os.kill(opened.pid, signal.SIGKILL)
            os.waitpid(opened.pid, 0)
        with contextlib.suppress(OSError):
            os.close(opened.master)


def training(screen: Terminal) -> RunReader:
    """The run that the screen started, once it has made some steps."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        screen.pump(0.2)
        if runs := run_directories():
            reader = RunReader(runs[0])
            if len(reader.poll().train_loss) >= 3:
                return reader
    raise AssertionError(screen.output[-2000:])


def goes_on(run: Path) -> RunView:
    before = RunReader(run).poll()
    until = time.monotonic() + 30
    while time.monotonic() < until:
        view = RunReader(run).poll()
        if view.train_loss[-1][0] > before.train_loss[-1][0]:
            return view
        time.sleep(0.1)
    raise AssertionError("it does not train on")


@pytest.mark.parametrize("death", ["terminal closed", "screen killed"])
def test_the_run_outlives_its_screen(death: str) -> None:
    with terminal("train", "lenet5", "--data", "digits", "--epochs", "100000", "--device", "cpu") as screen:
        run = training(screen).directory
        try:
            if death == "terminal closed":
                os.close(screen.master)
            else:
                os.kill(screen.pid, signal.SIGKILL)
            assert screen.gone(), "a screen without a terminal ends, it does not spin"
            view = goes_on(run)
            assert view.state == "training"
            assert view.train_loss[0][0] < 50, "the curve from its beginning"
            with terminal("attach", "last") as again:
                again.until(b"lenet5")
                again.until(b"training")
                again.press("q")
                again.until(f"the run goes on; cnntui attach {run.name} shows it again".encode())
                assert again.gone()
                assert os.waitstatus_to_exitcode(again.status or 0) == 0
            goes_on(run)
        finally:
            send(run, "stop")


def test_one_key_starts_the_training() -> None:
    """What `make run` opens: lenet5 about to train; space starts it."""
    with terminal("train", "--data", "digits", "--device", "cpu") as screen:
        screen.until(b"starts it, in a process of its own")
        assert not run_directories()
        screen.press(" ")
        run = training(screen).directory
        send(run, "stop")
        screen.press("q")
        assert screen.gone()


def test_what_nobody_foresaw_is_one_line_and_the_net_is_kept(homes: Path) -> None:
    """No traceback reaches the terminal; it goes to a log, and the line says where."""
    broken = "from cnntui.labs.build import BuildState\nBuildState.move = None\nfrom cnntui.cli import main\nmain()"
    with terminal("build", program=("-c", broken)) as screen:
        screen.until(b"lenet5")
        screen.press("x")
        screen.press("J")
        screen.until(b"Error: TypeError")
        assert screen.gone()
        screen.pump(0.5)
        assert b"Traceback" not in screen.output
        assert b"cnntui.log" in screen.output
    assert os.waitstatus_to_exitcode(screen.status or 0) == 1
    (log,) = homes.rglob("cnntui.log")
    assert "TypeError" in log.read_text()
    assert 'name = "my-lenet5"' in next(homes.rglob("left.toml")).read_text()
