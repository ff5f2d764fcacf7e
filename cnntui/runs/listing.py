"""Which runs there are, and which one a person means."""

from __future__ import annotations

from pathlib import Path

import msgspec

from cnntui.runs.places import runs_root
from cnntui.runs.reader import RunReader
from cnntui.runs.spec import SPEC_VERSION, Spec, read_json


class RunError(LookupError):
    """No such run, or more than one: in one line, with what to do."""


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `cnntui runs --json`; facts that are not known are None. Accuracy from 0 to 1."""

    run: str
    directory: str
    net: str
    data: str | None
    device: str | None
    state: str
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
        return "stopped" if self.state == "finished" and self.message else self.state


def run_directories(root: Path | None = None) -> list[Path]:
    """The run directories, newest first."""
    root = root or runs_root()
    specs = [(read_json(path, Spec), path.parent) for path in root.glob("*/spec.json")]
    found = [(spec.created, spec.run, directory) for spec, directory in specs if spec and spec.version <= SPEC_VERSION]
    return [directory for _, _, directory in sorted(found, reverse=True)]


def row(directory: Path) -> RunRow:
    """One run as the list shows it, from its small files alone.

    Raises:
        UnreadableRunError: when the directory holds no run that this version can read.
    """
    view = RunReader(directory).glance()
    status = view.status
    return RunRow(
        run=view.spec.run,
        directory=str(directory),
        net=view.spec.net,
        data=status.data if status else None,
        device=status.device if status else None,
        state=view.state,
        message=view.message or None,
        phase=(status.phase or None) if status else None,
        epoch=status.epoch if status else None,
        step=status.step if status else None,
        train_loss=status.train_loss if status else None,
        test_loss=status.test_loss if status else None,
        test_accuracy=status.test_accuracy if status else None,
        images_per_second=status.images_per_second if status else None,
        started=view.spec.created,
        pid=status.pid if status and not view.ended else None,
        exit={"code": view.exit.code, "signal": view.exit.signal, "ended": view.exit.ended} if view.exit else None,
    )


def find_run(name: str, root: Path | None = None) -> Path:
    """A directory, a run's name, an unambiguous beginning of it, or `last`.

    Raises:
        RunError: when there is none, or more than one.
    """
    if ("/" in name or name in (".", "..")) and (Path(name) / "spec.json").is_file():
        return Path(name).absolute()
    runs = run_directories(root)
    if name == "last":
        if not runs:
            raise RunError("there is no run yet: start one with cnntui train")
        return runs[0]
    if exact := [run for run in runs if run.name == name]:
        return exact[0]
    starting = [run for run in runs if run.name.startswith(name)]
    if len(starting) == 1:
        return starting[0]
    if starting:
        names = ", ".join(run.name for run in starting[:5])
        raise RunError(f"{name!r} begins {len(starting)} runs, type more of it: {names}")
    if (Path(name) / "spec.json").is_file():
        return Path(name).absolute()
    raise RunError(f"no run is called {name!r}; cnntui runs lists them")
