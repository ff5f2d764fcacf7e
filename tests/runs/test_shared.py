"""Runs on a file system that several hosts share: fresh, stale, revived, taken over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Queue

import msgspec
import pytest
from click.testing import CliRunner, Result

from cnntui.cli import cli
from cnntui.core.notation import parse
from cnntui.runs import events
from cnntui.runs.control import receive, settle
from cnntui.runs.events import EventWriter
from cnntui.runs.launch import create
from cnntui.runs.reader import RunReader
from cnntui.runs.spec import Exit, Settings, Status, lock_of, new_spec
from tests.training.runs import over, wait

NODE = Status(state="training", phase="training", host="node7", boot_id="its", pid=4242, epoch=2, step=50, steps=90)


def cnntui(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), catch_exceptions=False)


def tell(run: Path, silent: float = 0.0, **changed: object) -> None:
    """What a trainer on another host wrote some seconds ago."""
    path = run / "status.json"
    new = path.with_name("new")
    new.write_bytes(msgspec.json.encode(msgspec.structs.replace(NODE, **changed)))
    os.utime(new, (time.time() - silent,) * 2)
    new.replace(path)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run in a shared directory, trained on another host."""
    network = parse("conv 4 same; relu; flatten; linear 10", (1, 8, 8), "small")
    spec = new_spec(network, Settings(data="digits", epochs=1, device="cpu"))
    directory = create(spec, tmp_path / "shared" / spec.run)
    lock_of(directory, 1).touch()
    log = EventWriter(directory, 1)
    log.emit(events.Test(step=45, epoch=1, loss=0.5, accuracy=0.75, count=360))
    log.close()
    tell(directory)
    return directory


def label(root: Path) -> str:
    listed = cnntui("runs", "--root", str(root))
    assert listed.exit_code == 0
    (row,) = json.loads(cnntui("runs", "--root", str(root), "--json").stdout)
    assert (row["state"], row["pid"], row["epoch"]) == ("training", 4242, 2)
    word = listed.stdout.split()[1]
    assert row["alive"] == ("stale" if word == "stale" else "alive")
    return word


def test_a_run_of_another_host_is_fresh_then_stale_then_revived_in_the_list(run: Path) -> None:
    assert label(run.parent) == "training"
    tell(run, silent=55)
    assert label(run.parent) == "training"
    tell(run, silent=65)
    assert label(run.parent) == "stale"
    tell(run)
    assert label(run.parent) == "training"
    assert "no run yet" in cnntui("runs").stdout, "it is not among one's own"


def test_a_command_crosses_to_another_host(run: Path) -> None:
    root = str(run.parent)

    def answer() -> None:
        while not (waiting := receive(run)):
            time.sleep(0.01)
        ((path, command),) = waiting
        assert command is not None
        settle(path, {"step": 51, "accepted": True, "message": f"{command.command} at step 51"})

    for words in (("pause", "last"), ("resume", "last"), ("set", "last", "lr=0.1"), ("checkpoint", "last")):
        trainer = threading.Thread(target=answer)
        trainer.start()
        told = cnntui(*words, "--root", root)
        trainer.join()
        assert (told.exit_code, told.output) == (0, f"{words[0]} at step 51\n")
    tell(run, silent=65)
    told = cnntui("stop", run.name[:12], "--root", root)
    assert told.output == f"stop: asked of {run.name}; no answer yet: its process is stale\n"
    told = cnntui("stop", "last", "--root", "/nowhere")
    assert (told.exit_code, told.output) == (1, "Error: /nowhere is no directory\n")


def lines_of(process: subprocess.Popen[str]) -> Iterator[str]:
    """What it prints, as it comes; an error where nothing comes for a minute."""
    queue: Queue[str] = Queue()

    def read() -> None:
        for line in process.stdout or ():
            queue.put(line)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield queue.get(timeout=60)


def test_attached_to_another_host_a_viewer_says_stale_and_revived(run: Path) -> None:
    tell(run, silent=65)
    attach = [sys.executable, "-m", "cnntui", "attach", "last", "--plain", "--no-maps", "--root", str(run.parent)]
    with subprocess.Popen(attach, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL) as process:
        lines = lines_of(process)
        told = next(line for line in lines if line.startswith("stale"))
        assert told == (
            "stale: nothing was heard from node7 for a minute. It may revive; "
            f"cnntui resume {run} goes on here, from the last checkpoint\n"
        )
        tell(run, step=60)
        assert next(lines) == "heard of again, from node7\n"
        tell(run, state="finished", step=90)
        end = Exit(attempt=1, code=0, signal=None, ended="2026-11-20T12:00:00+00:00")
        (run / "exit.json").write_bytes(msgspec.json.encode(end))
        assert next(lines) == "test accuracy 75.00 %\n"
        assert process.wait() == 0


def test_resume_takes_a_stale_run_over(run: Path) -> None:
    tell(run, silent=65)
    told = cnntui("resume", "last", "--root", str(run.parent), "--detach")
    assert (told.exit_code, told.output) == (0, f"{run}\n")
    view = wait(RunReader(run), over)
    assert view.trained
    assert view.status is not None
    assert (view.status.attempt, view.status.host != "node7") == (2, True)
