"""Commands to a running trainer: small files that it reads between two steps, answers and moves aside."""

from __future__ import annotations

import math
import time
import uuid
from pathlib import Path
from typing import Literal

import msgspec

from cnntui.runs.events import NOT_JSON
from cnntui.runs.files import write_atomic
from cnntui.runs.spec import last_attempt, read_json

EXPIRE_SECONDS = 600.0
ANSWER_SECONDS = 3.0  # a trainer looks between two steps
LOOK_SECONDS = 0.05
MOST_BYTES = 1 << 16  # of a command


class Command(msgspec.Struct, frozen=True):
    """One command. `set` takes `values`: `lr`, and what is probed, `picture` (its number in the test set) and `layer`.

    `sent`: when, in seconds since the epoch; a command is not obeyed hours later by a trainer that was away. `attempt`: of
    whom it is asked, where that is known; a later one does not obey.
    """

    id: str
    command: Literal["pause", "resume", "stop", "checkpoint", "set"]
    values: dict[str, float | str] = {}
    sent: float = math.inf
    attempt: int | None = None


class Reply(msgspec.Struct, frozen=True):
    """What became of a command: it took effect at `step`, or was rejected; `message` says how, or why."""

    step: int
    accepted: bool
    message: str


def send(directory: Path, command: str, **values: float | str) -> str:
    """Leave a command for the trainer of a run; returns its id.

    Raises:
        OSError: when the run directory cannot be written.
        msgspec.ValidationError: when there is no such command.
    """
    facts = {"id": uuid.uuid4().hex, "command": command, "values": values, "sent": time.time()}
    written = msgspec.convert({**facts, "attempt": last_attempt(directory) or None}, Command)
    inbox = directory / "control" / "in"
    for folder in (inbox.parent, inbox):  # not the run itself: one that was removed stays so
        folder.mkdir(exist_ok=True, mode=0o700)
    # Named by time, so that commands are obeyed in the order in which they were given.
    write_atomic(inbox / f"{time.time_ns()}-{written.id}.json", msgspec.json.encode(written))
    return written.id


def answer_to(directory: Path, ident: str, seconds: float = ANSWER_SECONDS) -> Reply | None:
    """What the trainer says to a command that was sent; None when it has not answered within so many seconds."""
    done = directory / "control" / "done"
    deadline = time.monotonic() + seconds
    while True:
        for path in done.glob(f"*-{ident}.json"):
            reply = read_json(path, Reply)
            if reply is not None:
                return reply
        if time.monotonic() >= deadline:
            return None
        time.sleep(LOOK_SECONDS)


def receive(directory: Path) -> list[tuple[Path, Command | None]]:
    """The commands that wait, oldest first; None for a file that is no command."""
    inbox = directory / "control" / "in"
    waiting: list[tuple[Path, Command | None]] = []
    for path in sorted(inbox.glob("[!.]*.json")):
        try:
            small = path.is_file() and path.stat().st_size <= MOST_BYTES  # neither a pipe, which blocks, nor a flood
            waiting.append((path, msgspec.json.decode(path.read_bytes(), type=Command) if small else None))
        except OSError:
            continue  # perhaps it can be read the next time
        except NOT_JSON:
            waiting.append((path, None))
    return waiting


def settle(path: Path, answer: dict[str, object]) -> None:
    """Move a command out of the inbox, its answer beside it."""
    done = path.parents[1] / "done"
    done.mkdir(exist_ok=True, mode=0o700)
    write_atomic(done / path.name, msgspec.json.encode(answer))
    path.unlink(missing_ok=True)
