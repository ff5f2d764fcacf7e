"""Trainers to which everything happens: killed, stopped, starved of disk and memory, flooded, hung. Real processes."""

from __future__ import annotations

import ctypes
import functools
import gc
import json
import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil
import pytest
import torch
from safetensors.numpy import load_file

from cnntui.core.notation import parse
from cnntui.runs import control, events, launch
from cnntui.runs.control import send
from cnntui.runs.events import EventReader
from cnntui.runs.launch import LaunchError, create
from cnntui.runs.reader import RunReader, RunView
from cnntui.runs.spec import REFUSED, Settings, Spec, Status, last_attempt, lock_of, new_spec, read_json
from cnntui.training import checkpoints, data, desk, keeper, loop
from cnntui.training.__main__ import main, work
from cnntui.training.desk import Desk
from cnntui.training.gauge import Gauge
from tests.training.forks import Forks, Prepare, forks
from tests.training.runs import PATIENCE, over, stepping, trainer, wait

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = "conv 8 same; relu; maxpool 2; flatten; linear 10"


def spec(layers: str = SMALL, size: int = 8, **settings: Any) -> Spec:
    chosen = {"data": "digits", "device": "cpu", "epochs": 100_000, "schedule": "constant", **settings}
    return new_spec(parse(layers, (1, size, size), "small"), Settings(**chosen))


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[Forks]:
    """Starts trainers; those that `launch.resume` starts are forked as well."""
    with forks() as opened:

        def start(command: list[str], **_: Any) -> None:
            opened.start(Path(command[-2]), int(command[-1]))

        monkeypatch.setattr(launch, "subprocess", types.SimpleNamespace(run=start, **_POPEN))
        yield opened


_POPEN = {name: getattr(subprocess, name) for name in ("DEVNULL", "CalledProcessError")}


def said(view: RunView) -> str:
    return "\n".join(notice.message for notice in view.notices)


def goes_on(reader: RunReader) -> RunView:
    before = reader.poll().train_loss[-1][0]
    return wait(reader, lambda view: view.train_loss[-1][0] > before)


# -- the disk


def soon() -> None:
    keeper.RETRY_SECONDS = 0.5


def test_a_full_disk_is_told_and_outlived(started: Forks) -> None:
    """A limit on the size of files, set from outside while it trains, stands in for the disk."""
    reader = started.launch(spec("flatten; linear 3000; relu; linear 10", batch_size=256), soon)
    run = reader.directory
    process = trainer(wait(reader, stepping))

    def room(size: int) -> None:
        process.rlimit(psutil.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def last() -> str:
        return (run / "checkpoints" / "LAST").read_text()

    sent = send(run, "pause")  # no save is half done when the disk fills up
    wait(reader, lambda view: any(answer.id == sent for answer in view.answers))
    room(300_000)  # the log fits, the weights do not
    before = last()
    send(run, "resume")
    goes_on(reader)
    sent = send(run, "checkpoint")
    view = wait(reader, lambda view: any(answer.id == sent for answer in view.answers))
    assert (view.answers[-1].accepted, view.answers[-1].message) == (
        False,
        "the checkpoint was not saved: File too large",
    )
    assert "checkpoint not saved: " in said(view)
    assert "File too large" in said(view)
    assert "the last one is kept, and tried again in" in said(view)
    assert "\n" not in view.notices[0].message
    view = wait(reader, lambda view: "it is not tried again before the next one" in said(view))
    assert last() == before
    assert {path.name for path in (run / "checkpoints").iterdir()} >= {before, "LAST"}
    assert not list((run / "checkpoints").glob(".*"))
    goes_on(reader)

    sent = send(run, "checkpoint")
    wait(reader, lambda view: any(answer.id == sent for answer in view.answers))
    assert said(reader.poll()).count("checkpoint not saved") <= 4, "told at each try, not at each epoch"
    room(resource.RLIM_INFINITY)
    view = wait(reader, lambda view: view.checkpoint is not None and view.checkpoint.directory != before)
    assert last() != before, "the one retry, unasked"

    log = run / "events.1.jsonl"
    process.suspend()
    room(log.stat().st_size + 100)  # the next record is cut short, then nothing fits
    process.resume()
    status = wait(reader, lambda _: log.stat().st_size >= process.rlimit(psutil.RLIMIT_FSIZE)[0]).status
    assert status is not None
    time.sleep(0.5)
    room(resource.RLIM_INFINITY)
    wait(reader, lambda view: view.status is not None and view.status.step > status.step)
    goes_on(reader)
    send(run, "stop")
    view = wait(reader, over)
    assert view.label == "stopped"
    broken = 0
    for line in log.read_bytes().splitlines():
        try:
            json.loads(line or b"{}")
        except ValueError:
            broken += 1
    assert broken == view.skipped == 1, "one record was cut short, and the next one stands on a line of its own"


def not_long() -> None:
    desk.GONE_SECONDS = 0.5


def test_who_removes_a_run_ends_its_trainer(started: Forks, tmp_path: Path) -> None:
    reader = started.launch(spec(), not_long)
    process = trainer(wait(reader, stepping))
    aside = tmp_path / "aside"
    reader.directory.rename(aside)
    time.sleep(0.3)
    aside.rename(reader.directory)  # a disk that was away for a moment
    goes_on(reader)
    shutil.rmtree(reader.directory, ignore_errors=True)
    shutil.rmtree(reader.directory, ignore_errors=True)  # what was written meanwhile
    with suppress(psutil.NoSuchProcess):
        process.wait(PATIENCE)
    assert not reader.directory.exists(), "nor is it made again"
    with pytest.raises(FileNotFoundError):
        send(reader.directory, "stop")
    assert not reader.directory.exists()


def no_room() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))


def test_a_run_whose_last_checkpoint_cannot_be_saved_says_so_and_can_be_resumed(started: Forks) -> None:
    reader = started.launch(spec("flatten; linear 300; linear 10", epochs=1), no_room)
    view = wait(reader, over)
    assert view.state == "failed"
    assert view.message == "trained to its end, but not saved (File too large): resume goes on from step 0"
    launch.resume(reader.directory)
    view = wait(reader, lambda view: over(view) and view.trained)
    assert (reader.directory / "checkpoints" / "LAST").read_text() == "step-23"


# -- the process


def segfault_on_request() -> None:
    signal.signal(signal.SIGUSR1, lambda *_: ctypes.string_at(0))


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV"])
def test_a_trainer_that_dies_is_told_by_the_signal_and_resumed_with_one_whole_curve(name: str, started: Forks) -> None:
    reader = started.launch(spec(), segfault_on_request)
    view = wait(reader, lambda view: len(view.test_loss) >= 2)
    trainer(view).send_signal(signal.SIGKILL if name == "SIGKILL" else signal.SIGUSR1)
    view = wait(reader, over)
    assert (view.state, view.message, view.resumable) == ("crashed", f"killed by {name}", True)
    died = view.train_loss[-1][0]
    assert launch.resume(reader.directory) == 2
    view = wait(reader, lambda view: view.train_loss[-1][0] > died)
    assert view.state == "training"
    steps = [step for step, _ in view.train_loss]
    assert steps == sorted(set(steps)), "no loop where it went back"
    assert RunReader(reader.directory).poll().train_loss[: len(steps) // 2] == view.train_loss[: len(steps) // 2]


HANGING = "nobody-writes"


def hang_in_loading(pipe: Path) -> None:
    """The data lie on a file system that does not answer: a pipe into which nobody writes."""
    real = data.load

    def load(*arguments: Any) -> data.DataSet:
        pipe.open("rb").close()
        return real(*arguments)

    data.load = load  # type: ignore[assignment]


def hanging(tmp_path: Path) -> tuple[Prepare, Path]:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    return functools.partial(hang_in_loading, pipe), pipe


def test_a_trainer_that_hangs_tells_its_phase_and_for_how_long(started: Forks, tmp_path: Path) -> None:
    """And one SIGTERM while the data are loaded ends it at its first step."""
    prepare, pipe = hanging(tmp_path)
    reader = started.launch(spec(), prepare)
    wait(reader, lambda view: view.status is not None and view.status.phase == "loading data")
    ages = []
    for least in (1.0, 2.0):
        view = wait(reader, functools.partial(no_progress, least))
        assert view.status is not None
        assert (view.state, view.alive, view.status.phase) == ("starting", "alive", "loading data")
        ages.append(view.status.progress_age)
    assert ages == sorted(ages)
    trainer(view).terminate()
    with pipe.open("wb"):
        pass
    view = wait(reader, over)
    assert (view.label, view.exit and view.exit.code) == ("stopped", 0)
    step = view.message.split()[3]
    assert int(step) > 0
    assert (reader.directory / "checkpoints" / "LAST").read_text() == f"step-{step}"


def no_progress(least: float, view: RunView) -> bool:
    return view.status is not None and view.status.progress_age > least


def terminate_twice(view: RunView) -> None:
    process = trainer(view)
    process.terminate()
    time.sleep(0.1)
    with suppress(psutil.NoSuchProcess):
        process.terminate()


def test_a_second_sigterm_ends_a_trainer_that_hangs(started: Forks, tmp_path: Path) -> None:
    prepare, _ = hanging(tmp_path)
    reader = started.launch(spec(), prepare)
    terminate_twice(wait(reader, lambda view: view.status is not None and view.status.phase == "loading data"))
    view = wait(reader, over)
    assert (view.state, view.message) == ("crashed", "killed by SIGTERM")


def test_a_second_sigterm_ends_a_trainer_in_the_middle_of_a_step(started: Forks) -> None:
    reader = started.launch(spec("conv 48 k7 same; relu; gap; linear 10", size=64, batch_size=1400))
    view = wait(reader, lambda view: view.state == "training" and view.probe is not None)
    time.sleep(0.5)
    terminate_twice(view)
    view = wait(reader, over)
    assert (view.state, view.message) == ("crashed", "killed by SIGTERM")
    assert view.status is not None
    assert view.status.step == 0, "it did not wait for the end of the step, which takes seconds"
    assert (reader.directory / "checkpoints" / "LAST").read_text() == "step-0"


def test_sigterm_ends_a_run_that_is_paused(started: Forks) -> None:
    reader = started.launch(spec())
    wait(reader, stepping)
    send(reader.directory, "pause")
    view = wait(reader, lambda view: view.state == "paused")
    trainer(view).terminate()
    view = wait(reader, over)
    assert (view.label, view.exit and view.exit.code) == ("stopped", 0)


def chatter() -> None:
    desk.MOST_LOG = 1 << 20

    def talk() -> None:
        for _ in range(400):
            os.write(1, b"x" * (1 << 16))
            os.write(2, b"y" * (1 << 16))
            time.sleep(0.01)

    threading.Thread(target=talk, daemon=True).start()


def test_a_trainer_that_prints_without_end_does_not_fill_the_disk(started: Forks) -> None:
    """25 MiB to each of its logs, which begin anew when they are longer than the bound (lowered to 1 MiB here)."""
    reader = started.launch(spec(), chatter)
    view = wait(reader, stepping)
    process = trainer(view)
    wait(reader, lambda _: process.io_counters().write_bytes > 48 << 20)
    logs = [reader.directory / name for name in ("stdout.log", "stderr.log")]
    wait(reader, lambda _: all(log.stat().st_size <= 1 << 20 for log in logs))
    goes_on(reader)


# -- numbers and memory


class Meddler(Desk):
    """Does something to the trainer when it comes to a step, once; stops a run that pauses."""

    at = -1
    meddle: Callable[[loop.Trainer], object] = staticmethod(lambda _: None)

    def obey(self) -> bool:
        if self.status.step == self.at and self.steered is not None:
            self.at = -1
            assert isinstance(self.steered, loop.Trainer)
            self.meddle(self.steered)
        if self.status.state == "paused":
            return False
        return super().obey()


def meddled(run: Path, at: int, meddle: Callable[[loop.Trainer], object]) -> RunView:
    found = read_json(run / "spec.json", Spec)
    assert found is not None
    with Meddler(run, 1) as opened:
        opened.at, opened.meddle = at, meddle
        work(run, found, opened, 1)
    return RunReader(run).poll()


def overflow(steered: loop.Trainer) -> None:
    """Scores that are finite, and a loss that is not."""
    with torch.no_grad():
        last = steered.model.get_submodule("linear1")
        assert isinstance(last, torch.nn.Linear)
        last.weight.zero_()
        last.bias.copy_(torch.tensor([3e38, -3e38] * 5))


def poison(steered: loop.Trainer) -> None:
    with torch.no_grad():
        next(steered.model.parameters()).view(-1)[0] = math.nan


@pytest.mark.parametrize(("meddle", "loss"), [(overflow, math.inf), (poison, math.nan)])
def test_a_loss_that_is_infinite_or_nan_pauses_and_the_last_finite_checkpoint_is_kept(
    meddle: Callable[[loop.Trainer], object], loss: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "REPORT_SECONDS", 0.0)
    run = create(spec(epochs=2))
    view = meddled(run, 30, meddle)
    assert view.label == "stopped"
    assert repr(view.train_loss[-1]) == repr((31, loss))
    assert f"the loss is {loss} at step 31: paused; resume goes back to step {checkpoints.last_step(run)}" in said(view)
    for line in (run / "events.1.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert checkpoints.last_step(run) < 31
    for checkpoint in (run / "checkpoints").glob("step-*"):
        for name, weights in load_file(checkpoint / "model.safetensors").items():
            assert np.isfinite(weights).all(), name


def test_weights_that_are_not_finite_are_never_saved_even_when_the_loss_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch norm's running mean is of no consequence while it trains."""
    monkeypatch.setattr(loop, "REPORT_SECONDS", 0.0)

    def blind(steered: loop.Trainer) -> None:
        steered.model.get_buffer("bn1.running_mean").fill_(math.nan)

    run = create(spec("conv 4 same; bn; relu; flatten; linear 10", epochs=2))
    view = meddled(run, 30, blind)
    assert all(math.isfinite(loss) for _, loss in view.train_loss)
    assert view.state == "failed"
    assert view.message.startswith(
        "trained to its end, but not saved (its weights are not finite): resume goes on from"
    )
    assert checkpoints.last_step(run) <= 23


def starve(report: Path) -> None:
    """Little memory; and what tensors are alive is counted when the run is told to have failed."""
    room = psutil.Process().memory_info().vms + (1 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    real = desk.Desk.end

    def end(self: Desk, state: Any, message: str) -> None:
        alive = [found.nbytes for found in gc.get_objects() if isinstance(found, torch.Tensor)]
        report.write_text(json.dumps(max(alive, default=0)))
        real(self, state, message)

    desk.Desk.end = end  # type: ignore[method-assign]


def test_out_of_memory_proposes_a_smaller_batch_and_frees_what_it_had(started: Forks, tmp_path: Path) -> None:
    report = tmp_path / "largest"
    reader = started.launch(
        spec("conv 64 k1; relu; gap; linear 10", size=128, batch_size=1437), functools.partial(starve, report)
    )
    view = wait(reader, over)
    assert (view.state, view.message) == ("failed", "out of memory with batches of 1437: try --batch-size 718")
    assert view.exit is not None
    assert view.exit.code == 1
    assert "Traceback" not in (reader.directory / "stderr.log").read_text()
    batch = 1437 * 128 * 128 * 4
    assert json.loads(report.read_text()) < batch, "the batch's tensors were freed before"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_out_of_gpu_memory_proposes_a_smaller_batch_and_frees_what_it_had() -> None:
    run = create(spec("conv 4096 k1; relu; gap; linear 10", size=512, batch_size=1437, device="cuda"))
    found = read_json(run / "spec.json", Spec)
    assert found is not None
    with Desk(run, 1) as opened:
        assert work(run, found, opened, 1) == 1
    assert RunReader(run).poll().message == "out of memory with batches of 1437: try --batch-size 718"
    assert torch.cuda.memory_allocated() < 1 << 30


# -- who may train


def test_of_two_that_resume_at_the_same_moment_exactly_one_trains(tmp_path: Path) -> None:
    """Two processes, twenty runs; one of them hesitates between looking and beginning. What they start is only counted."""
    code = """
import sys, time, types
from pathlib import Path
from cnntui.runs import launch
started = []
launch.can_train = lambda: True
launch.subprocess = types.SimpleNamespace(
    run=lambda command, **_: started.append(command[-2]), DEVNULL=None, CalledProcessError=OSError
)
glance = launch.RunReader.glance
def look_and_hesitate(self):
    view = glance(self)
    time.sleep(hesitation)
    return view
launch.RunReader.glance = look_and_hesitate
print("ready", flush=True)
begin, hesitation = map(float, sys.stdin.readline().split())
for number, run in enumerate(sys.argv[1:]):
    while time.time() < begin + number / 20:
        pass
    try:
        launch.resume(Path(run))
    except launch.LaunchError:
        pass
print(*started, sep="\\n")
"""
    runs = []
    for number in range(20):
        run = create(spec(), tmp_path / str(number))
        (run / "attempt-1.lock").touch()
        (run / "exit.json").write_text('{"attempt": 1, "code": null, "signal": "SIGKILL", "ended": ""}')
        runs.append(str(run))
    both = [
        subprocess.Popen([sys.executable, "-c", code, *runs], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    begin = time.time() + 0.2
    for process, hesitation in zip(both, (0.01, 0.03), strict=True):
        assert process.stdin is not None
        process.stdin.write(f"{begin} {hesitation}\n")
        process.stdin.flush()
    told = [process.communicate()[0].split() for process in both]
    assert sorted(told[0] + told[1]) == sorted(runs)
    assert {last_attempt(Path(run)) for run in runs} == {2}


def elsewhere(run: Path) -> Status:
    """Its trainer is on another host, as far as its status says."""
    status = read_json(run / "status.json", Status)
    assert status is not None
    moved = msgspec.structs.replace(status, host="a-cluster-node", state="training")
    (run / "status.json").write_bytes(msgspec.json.encode(moved))
    return moved


def test_a_silent_run_on_another_host_is_taken_over_and_its_trainer_lets_go(started: Forks) -> None:
    reader = started.launch(spec())
    run = reader.directory
    wait(reader, stepping)
    send(run, "pause")  # and not in the middle of a save
    process = trainer(wait(reader, lambda view: view.state == "paused"))
    process.suspend()
    elsewhere(run)
    with pytest.raises(LaunchError, match="is training: there is nothing to resume"):
        launch.resume(run)
    assert main(run, 2) == REFUSED
    os.utime(run / "status.json", (time.time() - 61,) * 2)
    assert RunReader(run).glance().alive == "stale"
    assert launch.resume(run) == 2
    wait(reader, lambda view: view.status is not None and view.status.attempt == 2 and view.state == "training")
    saved = [event for event in EventReader(run).poll() if isinstance(event, events.Checkpoint) and event.attempt == 1]
    process.resume()
    gone = time.monotonic() + 60
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < gone:
        time.sleep(0.05)
    with suppress(psutil.NoSuchProcess):
        process.wait(60)
    old = [event for event in EventReader(run).poll() if event.attempt == 1]
    assert isinstance(old[-1], events.StateChange)
    assert "another attempt has taken over" in old[-1].message
    assert [event for event in old if isinstance(event, events.Checkpoint)] == saved, "it writes no more checkpoints"
    view = goes_on(reader)
    assert view.status is not None
    assert (view.status.attempt, view.state) == (2, "training")


def test_what_earlier_attempts_left_in_maps_is_thinned_too() -> None:
    run = create(spec(epochs=1))
    for name in ("7-conv1.npy", "90-conv1.npy", "90-filters.npy", ".90-conv1.npy.123", "misread-90.npy"):
        (run / "maps" / name).touch()
    view = meddled(run, -1, lambda _: None)
    assert view.trained
    assert view.probe is not None
    left = {path.name for path in (run / "maps").iterdir()}
    assert left >= {*view.probe.maps.values()}
    assert not left & {"7-conv1.npy", "90-conv1.npy", "90-filters.npy", ".90-conv1.npy.123", "misread-90.npy"}


def test_a_trainer_that_was_replaced_saves_nothing_more_even_before_it_is_told() -> None:
    run = create(spec(epochs=3))

    def replace(steered: loop.Trainer) -> None:
        lock_of(run, 2).touch()
        steered.desk._listened = math.inf

    meddled(run, 23, replace)
    saved = [event.step for event in EventReader(run).poll() if isinstance(event, events.Checkpoint)]
    assert max(saved) == checkpoints.last_step(run) <= 23


# -- commands


class Helm:
    """Notes what is asked of it."""

    def __init__(self) -> None:
        self.did: list[str] = []

    def _do(self, what: str) -> str:
        self.did.append(what)
        return what

    def checkpoint_now(self) -> str:
        return self._do("checkpoint")

    def set_lr(self, lr: float) -> str:
        return self._do(f"lr {lr}")

    def probe_layer(self, name: str) -> str:
        return self._do(f"layer {name}")

    def probe_picture(self, number: int) -> str:
        return self._do(f"picture {number}")

    def recover(self) -> None:
        self._do("recover")


@pytest.fixture
def helm(tmp_path: Path) -> Iterator[tuple[Desk, Helm, Callable[[], list[events.Answer]]]]:
    """A desk that listens at each question, what is asked through it, and its answers since the last time."""
    with Desk(tmp_path, 2) as opened:
        steered = Helm()
        opened.steered = steered
        reader = EventReader(tmp_path)

        def answers() -> list[events.Answer]:
            opened._listened = -math.inf
            assert opened.obey()
            return [event for event in reader.poll() if isinstance(event, events.Answer)]

        yield opened, steered, answers


HelmFixture = tuple[Desk, Helm, Callable[[], list[events.Answer]]]


def test_a_duplicate_is_obeyed_once(helm: HelmFixture, tmp_path: Path) -> None:
    _, steered, answers = helm
    inbox = tmp_path / "control" / "in"
    send(tmp_path, "checkpoint")
    (path,) = inbox.iterdir()
    (inbox / "0-copy.json").write_bytes(path.read_bytes())
    assert len(answers()) == 1
    (inbox / "again.json").write_bytes(msgspec.json.encode({"id": path.stem.split("-")[1], "command": "checkpoint"}))
    assert answers() == []
    assert steered.did == ["checkpoint"]
    assert not list(inbox.iterdir())


def test_expired_and_earlier_commands_are_rejected_with_the_reason(helm: HelmFixture, tmp_path: Path) -> None:
    _, steered, answers = helm
    inbox = tmp_path / "control" / "in"
    inbox.mkdir(parents=True)
    late = {"id": "a", "command": "checkpoint", "sent": time.time() - control.EXPIRE_SECONDS - 5}
    early = {"id": "b", "command": "checkpoint", "sent": time.time(), "attempt": 1}
    (inbox / "1.json").write_bytes(msgspec.json.encode(late))
    (inbox / "2.json").write_bytes(msgspec.json.encode(early))
    first, second = answers()
    assert (first.id, first.accepted, first.message[:20]) == ("a", False, "expired: it was aske")
    assert (second.accepted, second.message) == (False, "expired: it was asked of an attempt before this one")
    assert not steered.did


def test_whatever_lies_in_the_inbox_is_rejected_with_the_reason(helm: HelmFixture, tmp_path: Path) -> None:
    """Garbage, a flood, a pipe into which nobody writes, a directory, a link to nowhere: nothing blocks the trainer."""
    _, steered, answers = helm
    inbox = tmp_path / "control" / "in"
    inbox.mkdir(parents=True)
    for number, text in enumerate(
        (b"garbage", b'{"id":"\xff","command":"stop"}', b"[" * 200_000, b"", b"null", b'{"id":"a","command":"explode"}')
    ):
        (inbox / f"{number}.json").write_bytes(text)
    (inbox / "6.json").write_bytes(b'{"id":"a","command":"stop","x":"' + b"x" * control.MOST_BYTES + b'"}')
    os.mkfifo(inbox / "7.json")
    (inbox / "8.json").mkdir()
    (inbox / "9.json").symlink_to(tmp_path / "nowhere")
    found = answers()
    assert [(answer.accepted, answer.message) for answer in found] == [(False, "not a command")] * 10
    assert answers() == [], "each is told once"
    values: list[dict[str, float | str]] = [{"lr": -1}, {"lr": "fast"}, {"picture": 1.5}, {"layer": 3}, {"speed": 9}]
    for value in values:
        send(tmp_path, "set", **value)
    assert [answer.accepted for answer in answers()] == [False] * len(values)
    assert not steered.did


def test_an_inbox_that_is_no_directory_is_no_inbox(helm: HelmFixture, tmp_path: Path) -> None:
    _, _, answers = helm
    (tmp_path / "control").mkdir(exist_ok=True)
    (tmp_path / "control" / "in").write_text("")
    assert answers() == []


@pytest.mark.parametrize("hours", [1, -1])
def test_commands_are_obeyed_after_the_clock_has_jumped(
    hours: int, helm: HelmFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, steered, answers = helm
    (tmp_path / "attempt-2.lock").touch()
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 3600 * hours)
    send(tmp_path, "checkpoint")
    assert [answer.accepted for answer in answers()] == [True]
    assert steered.did == ["checkpoint"]


def test_the_age_of_progress_does_not_know_the_wall_clock(
    helm: HelmFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, _, _ = helm
    now = time.time
    for hours in (1, -1):
        monkeypatch.setattr(time, "time", lambda hours=hours: now() + 3600 * hours)
        opened.write_status()
        status = read_json(tmp_path / "status.json", Status)
        assert status is not None
        assert 0 <= status.progress_age < 60
        assert all(0 <= event.t < 60 for event in EventReader(tmp_path).poll())


# -- what a GPU does not tell


class NotSupportedError(Exception):
    """NVML's `Not Supported`."""


def fake_nvml(**told: Any) -> types.ModuleType:
    """Knows one GPU, and of it what is told."""

    def unsupported(*_: Any) -> Any:
        raise NotSupportedError("Not Supported")

    module = types.ModuleType("pynvml")
    asked = ("nvmlDeviceGetUtilizationRates", "nvmlDeviceGetTemperature", "nvmlDeviceGetMemoryInfo")
    facts = dict.fromkeys(asked, unsupported) | {"nvmlInit": lambda: None, "nvmlDeviceGetHandleByUUID": lambda _: 1}
    vars(module).update(facts, NVML_TEMPERATURE_GPU=0, **told)
    return module


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: types.SimpleNamespace(uuid="1-2-3"))
    return torch.device("cuda", 0)


def test_fields_that_a_gpu_does_not_support_are_none(gpu: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(nvmlDeviceGetTemperature=lambda *_: 41))
    assert Gauge(gpu).read() == {"utilization": None, "temperature": 41, "memory_total": None}


def test_without_nvml_and_without_a_gpu_nothing_is_told(
    gpu: torch.device, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def missing() -> None:
        raise OSError("libnvidia-ml.so.1: cannot open shared object file")

    assert Gauge(torch.device("cpu")).read() == {}
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(nvmlInit=missing))
    assert Gauge(gpu).read() == {}
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert Gauge(gpu).read() == {}
    with Desk(tmp_path, 1) as opened:
        opened.use(torch.device("cpu"), "cpu")
    status = read_json(tmp_path / "status.json", Status)
    assert status is not None
    assert (status.utilization, status.temperature, status.memory_total) == (None, None, None)
    assert status.memory is not None
