"""Which runs there are, and which one a person means."""

from __future__ import annotations

from contextlib import suppress
from math import inf, isfinite
from os import SEEK_END
from pathlib import Path

import msgspec

from cnntui.runs.events import NOT_JSON, Resume, Test, from_number
from cnntui.runs.places import SWEEP, runs_root
from cnntui.runs.reader import Alive, RunReader
from cnntui.runs.spec import ENDED, SPEC_VERSION, Spec, last_attempt, read_json

LOGS = 4  # that are looked into for the last test
TAIL_BYTES = 1 << 18  # of each: some minutes of training
STARTS = (b'{"kind":"test",', b'{"kind":"resume",')  # as EventWriter begins a line
_DECODER: msgspec.json.Decoder[Test | Resume] = msgspec.json.Decoder(Test | Resume)


class RunError(LookupError):
    """No such run, or more than one: in one line, with what to do."""


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `cnntui runs --json`; facts that are not known are None. Accuracy from 0 to 1.

    The test's are the last known ones, of an earlier attempt where this one has not tested yet. `alive` says of a run that
    has not ended whether its process is there: alive, stalled (it was stopped by a signal) or stale (on another host).
    """

    run: str
    directory: str
    net: str
    data: str | None
    device: str | None
    state: str
    alive: Alive
    message: str | None
    phase: str | None
    epoch: int | None
    step: int | None
    train_loss: float | None
    test_loss: float | None
    test_accuracy: float | None
    images_per_second: float | None
    started: str
    pid: int | None
    exit: dict[str, int | str | None] | None

    @property
    def label(self) -> str:
        """The state in a word for people: a run that was stopped did not finish."""
        if self.state not in ENDED and self.alive in ("stalled", "stale"):
            return self.alive
        return "stopped" if self.state == "finished" and self.message else self.state


def name_of(run: Path, root: Path | None = None) -> str:
    """What finds a run again: its name, SWEEP/NAME where it is a sweep's, or its path where it is not among the others."""
    root = root or runs_root()
    if root in (run.parent, run.parent.parent):
        return run.relative_to(root).as_posix()
    return str(run)


def readable_specs(root: Path | None = None) -> list[tuple[Path, Spec]]:
    """The run directories that this version can read, those of sweeps too, and what is trained in them; newest first."""
    root = root or runs_root()
    paths = [
        *root.glob("*/spec.json"),
        *(run for sweep in root.glob(f"*/{SWEEP}") for run in sweep.parent.glob("*/spec.json")),
    ]
    specs = [(read_json(path, Spec), path.parent) for path in paths]
    found = [
        (spec.created, spec.run, directory, spec) for spec, directory in specs if spec and spec.version <= SPEC_VERSION
    ]
    return [(directory, spec) for *_, directory, spec in sorted(found, key=lambda one: one[:3], reverse=True)]


def run_directories(root: Path | None = None, waiting: bool = True) -> list[Path]:
    """The run directories, those of sweeps too, newest first; `waiting`: also those whose turn has not come."""
    root = root or runs_root()
    runs = [directory for directory, _ in readable_specs(root)]
    return runs if waiting else [run for run in runs if run.parent in (root, root.absolute()) or last_attempt(run)]


def row(directory: Path) -> RunRow:
    """One run as the list shows it, from its small files, and from the ends of its logs where these do not say all.

    Raises:
        UnreadableRunError: when the directory holds no run that this version can read.
    """
    view = RunReader(directory).glance()
    status = view.status
    loss, accuracy = (status.test_loss, status.test_accuracy) if status else (None, None)
    if accuracy is None and (test := last_test(directory)):
        value = from_number(test.loss)
        loss, accuracy = value if isfinite(value) else None, test.accuracy
    return RunRow(
        run=view.spec.run,
        directory=str(directory),
        net=view.spec.net,
        data=status.data if status else None,
        device=status.device if status else None,
        state=view.state,
        alive=view.alive,
        message=view.message or None,
        phase=(status.phase or None) if status else None,
        epoch=status.epoch if status else None,
        step=status.step if status else None,
        train_loss=status.train_loss if status else None,
        test_loss=loss,
        test_accuracy=accuracy,
        images_per_second=status.images_per_second if status else None,
        started=view.spec.created,
        pid=status.pid if status and not view.ended else None,
        exit={"code": view.exit.code, "signal": view.exit.signal, "ended": view.exit.ended} if view.exit else None,
    )


def last_test(directory: Path) -> Test | None:
    """The last test that counts, as far as the ends of the newest logs tell: not one that a resumed run went back behind."""
    beyond = inf
    for attempt in range(last_attempt(directory), 0, -1)[:LOGS]:
        for event in reversed(_last_events(directory / f"events.{attempt}.jsonl")):
            if isinstance(event, Resume):
                beyond = min(beyond, event.step)
            elif event.step <= beyond:
                return event
    return None


def _last_events(log: Path) -> list[Test | Resume]:
    """The tests in the end of a log, and where it went back."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, SEEK_END) - TAIL_BYTES))
            lines = file.read(TAIL_BYTES).splitlines()
    except OSError:
        return []
    events: list[Test | Resume] = []
    for line in lines:
        if line.startswith(STARTS):  # the rest need not be decoded, and a torn first line is none of these
            with suppress(*NOT_JSON):
                events.append(_DECODER.decode(line))
    return events


def find_run(name: str, root: Path | None = None) -> Path:
    """A directory, a run's name, an unambiguous beginning of it, or `last`.

    Raises:
        RunError: when there is none, or more than one.
    """
    if ("/" in name or name in (".", "..")) and (Path(name) / "spec.json").is_file():
        return Path(name).absolute()
    runs = run_directories(root, waiting=name != "last")
    if name == "last":
        if not runs:
            raise RunError("there is no run yet: start one with cnntui train")
        return runs[0]
    called = {run: name_of(run, root) for run in runs}
    if exact := [run for run in runs if called[run] == name]:
        return exact[0]
    starting = [run for run in runs if called[run].startswith(name)]
    if len(starting) == 1:
        return starting[0]
    if starting:
        names = ", ".join(called[run] for run in starting[:5])
        raise RunError(f"{name!r} begins {len(starting)} runs, type more of it: {names}")
    if (Path(name) / "spec.json").is_file():
        return Path(name).absolute()
    raise RunError(f"no run is called {name!r}; cnntui runs lists them")
