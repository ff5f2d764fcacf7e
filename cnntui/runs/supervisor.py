"""The small parent that starts the trainer, waits for it, and writes how it ended: `python -m cnntui.runs.supervisor`.

Only a parent sees that a child was killed by SIGKILL or a segmentation fault. It belongs to no terminal, so a dropped
link ends neither of them.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import msgspec

from cnntui.runs.files import write_atomic
from cnntui.runs.spec import REFUSED, Exit, read_json


def supervise(directory: Path, attempt: int) -> int:
    """Run the trainer on `directory` to its end and write `exit.json`; returns its exit code (128 + signal if killed)."""
    os.umask(0o077)
    with (directory / "stdout.log").open("ab") as out, (directory / "stderr.log").open("ab") as err:
        trainer = subprocess.Popen(
            [sys.executable, "-P", "-m", "cnntui.training", str(directory), str(attempt)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )

    def forward(number: int, _frame: FrameType | None) -> None:
        trainer.send_signal(number)

    signal.signal(signal.SIGTERM, forward)
    signal.signal(signal.SIGINT, forward)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    code = trainer.wait()
    if code == REFUSED:  # another trains it, and will be told of by its own supervisor
        return code
    end = Exit(
        attempt=attempt,
        code=code if code >= 0 else None,
        signal=_signal_name(-code) if code < 0 else None,
        ended=datetime.now(UTC).isoformat(timespec="seconds"),
        peak_memory=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,
    )
    later = read_json(directory / "exit.json", Exit)
    if later is None or later.attempt <= attempt:  # another attempt may have taken over meanwhile, and ended
        write_atomic(directory / "exit.json", msgspec.json.encode(end), sync=True)
    return code if code >= 0 else 128 - code


def _signal_name(number: int) -> str:
    """SIGKILL; the real-time signals have only their number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"


if __name__ == "__main__":
    # The caller waits for this process; the child has none to wait for it, so it never lingers as a zombie of the screen.
    if os.fork():
        os._exit(0)
    os.setsid()
    sys.exit(supervise(Path(sys.argv[1]), int(sys.argv[2])))
