"""What stands in a run directory, and which run a person means."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from cnntui.core.nets import load_net
from cnntui.core.notation import parse
from cnntui.runs import control, events
from cnntui.runs.events import EventWriter, Probe, Resume, Train, to_number
from cnntui.runs.files import write_atomic
from cnntui.runs.launch import LaunchError, create
from cnntui.runs.listing import RunError, find_run, row, run_directories
from cnntui.runs.places import runs_root
from cnntui.runs.reader import RunReader, UnreadableRunError
from cnntui.runs.spec import Exit, Settings, Status, boot_id, liveness, new_spec, process_facts, started


def make_run(name: str, created: str = "2026-11-20T12:00:00+00:00") -> Path:
    spec = msgspec.structs.replace(new_spec(load_net("lenet5").network, Settings()), run=name, created=created)
    directory = runs_root() / name
    directory.mkdir(parents=True)
    (directory / "spec.json").write_bytes(msgspec.json.encode(spec))
    return directory


def test_a_spec_holds_the_network() -> None:
    network = load_net("mnist-gap").network
    spec = msgspec.json.decode(
        msgspec.json.encode(new_spec(network, Settings(lr=0.1))), type=type(new_spec(network, Settings()))
    )
    assert spec.network == network
    assert spec.lr == 0.1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs 0 is not from 1 to"),
        ({"batch_size": -1}, "batch size -1 is not from 1 to"),
        ({"lr": 0.0}, "learning rate 0.0 is not a number above 0"),
        ({"lr": float("nan")}, "learning rate nan"),
        ({"data": "imagenet"}, "data 'imagenet' is none of mnist"),
        ({"optimizer": "lion"}, "optimizer 'lion' is none of adam"),
        ({"device": "gpu"}, "device 'gpu' is none of auto, cpu, cuda, cuda:N, mps"),
        ({"data_dir": "/nowhere"}, "data directory /nowhere does not exist"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings(**settings).check()  # type: ignore[arg-type]


def test_a_run_directory_is_its_owners_alone() -> None:
    directory = create(new_spec(load_net("lenet5").network, Settings()))
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "spec.json").stat().st_mode) == 0o600


def test_a_directory_that_is_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="is there already: give another --run-dir"):
        create(new_spec(load_net("lenet5").network, Settings()), tmp_path)


def test_an_impossible_net_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    for text, message in (
        ("conv 3 k9", "layer conv1: kernel 9 > 8"),
        ("conv 3", "ends in 3×6×6, not in one score a class"),
    ):
        with pytest.raises(LaunchError, match=message):
            create(new_spec(parse(text, (1, 8, 8)), Settings()), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_atomic_writing_keeps_the_old_file_when_the_disk_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "status.json"
    write_atomic(path, b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, b"new", sync=True)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def status_of(process: psutil.Process) -> Status:
    facts = {**process_facts(), "pid": process.pid, "process_started": started(process.pid)}
    return Status(**facts)


def test_liveness_is_of_the_very_process() -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        status = status_of(psutil.Process(sleeper.pid))
        assert liveness(status, 0.0) == "alive"
        sleeper.send_signal(signal.SIGSTOP)
        deadline = time.monotonic() + 5
        while liveness(status, 0.0) != "stalled" and time.monotonic() < deadline:
            time.sleep(0.01)
        assert liveness(status, 0.0) == "stalled"
        sleeper.send_signal(signal.SIGCONT)
        reused = msgspec.structs.replace(status, process_started=status.process_started - 100)
        assert liveness(reused, 0.0) == "gone", "a process that was started at another time is another process"
        assert liveness(msgspec.structs.replace(status, boot_id="another boot"), 0.0) == "gone"
    finally:
        sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert liveness(status, 0.0) == "gone", "a zombie trains no more"
    sleeper.wait()
    assert liveness(status, 0.0) == "gone"


def test_another_host_is_stale_after_a_minute_and_may_revive() -> None:
    status = Status(host="a-cluster-node", boot_id=boot_id())
    assert status.host != socket.gethostname()
    assert liveness(status, silent=59.0) == "alive"
    assert liveness(status, silent=61.0) == "stale"


def test_runs_are_found_by_name_beginning_directory_and_last() -> None:
    old = make_run("20261101-a-111111", "2026-11-01T00:00:00+00:00")
    new = make_run("20261102-b-222222", "2026-11-02T00:00:00+00:00")
    (runs_root() / "no run").mkdir()
    assert run_directories() == [new, old]
    assert find_run("last") == new
    assert find_run(old.name) == find_run("20261101") == find_run(str(old)) == old
    with pytest.raises(RunError, match="begins 2 runs"):
        find_run("2026")
    with pytest.raises(RunError, match="no run is called 'x'; cnntui runs lists them"):
        find_run("x")


def test_no_run_yet() -> None:
    with pytest.raises(RunError, match="there is no run yet: start one with cnntui train"):
        find_run("last")


def test_a_row_of_a_run_that_was_never_started() -> None:
    directory = make_run("20261101-a-111111")
    found = row(directory)
    assert (found.state, found.test_accuracy, found.exit, found.pid) == ("starting", None, None, None)


def status_file(directory: Path, **facts: object) -> None:
    (directory / "status.json").write_bytes(msgspec.json.encode(Status(**facts)))  # type: ignore[arg-type]


def test_a_process_that_is_gone_gets_a_moment_for_its_supervisor_to_say_how() -> None:
    directory = make_run("20261101-a-111111")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    status_file(directory, **{**process_facts(), "pid": dead.pid, "state": "training"})
    now = 0.0
    reader = RunReader(directory, now=lambda: now)
    assert reader.poll().state == "training"
    now = 1.0
    (directory / "exit.json").write_bytes(
        msgspec.json.encode(Exit(attempt=1, code=None, signal="SIGKILL", ended="2026-11-20T12:00:00+00:00"))
    )
    view = reader.poll()
    assert (view.state, view.message, view.over) == ("crashed", "killed by SIGKILL", True)
    (directory / "exit.json").unlink()
    now = 9.0
    view = reader.poll()
    assert (view.state, view.message) == ("crashed", "its process is gone, and nobody saw how")


def test_a_run_that_never_started_is_not_waited_for_for_ever() -> None:
    directory = make_run("20261101-a-111111")
    os.utime(directory / "spec.json", (1, 1))
    view = RunReader(directory).poll()
    assert (view.state, view.over) == ("crashed", True)
    assert "it never started" in view.message


def test_a_damaged_status_leaves_the_last_good_one() -> None:
    directory = make_run("20261101-a-111111")
    status_file(directory, **process_facts(), state="training", step=7)
    reader = RunReader(directory)
    reader.poll()
    (directory / "status.json").write_text("garbage")
    view = reader.poll()
    assert view.state == "training"
    assert view.status is not None
    assert view.status.step == 7


def test_a_directory_that_vanishes_under_a_viewer() -> None:
    directory = make_run("20261101-a-111111")
    reader = RunReader(directory)
    shutil.rmtree(directory)
    assert reader.poll().message == "its directory is gone"


def test_a_long_log_of_an_ended_run_is_read_to_its_end() -> None:
    directory = make_run("20261101-a-111111")
    writer = EventWriter(directory)
    for step in range(1, 20_001):
        writer.emit(Train(step=step, epoch=1, loss=1.0, lr=0.1, images_per_second=1.0))
    writer.close()
    assert (directory / "events.1.jsonl").stat().st_size > 2 << 20
    status_file(directory, **process_facts(), state="finished")
    (directory / "exit.json").write_bytes(
        msgspec.json.encode(Exit(attempt=1, code=0, signal=None, ended="2026-11-20T12:00:00+00:00"))
    )
    reader = RunReader(directory)
    view = reader.poll()
    assert view.ended
    assert not view.over, "there is more to read"
    while not view.over:
        view = reader.poll()
    assert view.train_loss[-1][0] == 20_000


def test_a_probe_that_contradicts_itself_is_counted_not_shown() -> None:
    directory = make_run("20261101-a-111111")
    whole = {"pictures": [1], "labels": [0], "probabilities": [[0.5, 0.5]], "maps": {}, "scales": {}, "channels": {}}
    broken: list[dict[str, object]] = [
        {"pictures": []},
        {"labels": [2]},
        {"probabilities": [[]]},
        {"maps": {"conv1": "1-conv1.npy"}},
    ]
    writer = EventWriter(directory)
    for change in broken:
        writer.emit(Probe(step=1, **{**whole, **change}))  # type: ignore[arg-type]
    writer.flush()
    reader = RunReader(directory)
    assert (reader.poll().probe, reader.poll().skipped) == (None, 4)
    writer.emit(Probe(step=2, **whole))  # type: ignore[arg-type]
    writer.close()
    assert reader.poll().probe is not None


def test_a_run_of_a_newer_version_is_refused_in_one_line() -> None:
    directory = make_run("20261101-a-111111")
    spec = json.loads((directory / "spec.json").read_text())
    (directory / "spec.json").write_text(json.dumps({**spec, "version": 2, "layers": ["attention 8"]}))
    with pytest.raises(UnreadableRunError, match="is of a newer cnntui"):
        RunReader(directory)
    assert run_directories() == []


def test_a_directory_without_a_spec_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UnreadableRunError, match="holds no run"):
        RunReader(tmp_path)


def test_a_planted_pickle_is_not_opened(tmp_path: Path) -> None:
    directory = make_run("20261101-a-111111")
    (directory / "spec.pkl").write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "owned").encode() + b"'\ntR.")
    (directory / "maps").mkdir()
    (directory / "maps" / "1-conv1.npy").write_bytes((directory / "spec.pkl").read_bytes())
    RunReader(directory).poll()
    assert not (tmp_path / "owned").exists()


def test_commands_wait_in_the_order_in_which_they_were_given(tmp_path: Path) -> None:
    for command in ("pause", "resume", "stop"):
        control.send(tmp_path, command)
    (tmp_path / "control" / "in" / "0-garbage.json").write_text("garbage")
    waiting = control.receive(tmp_path)
    assert [c.command if c else None for _, c in waiting] == [None, "pause", "resume", "stop"]
    control.settle(waiting[0][0], {"accepted": False})
    assert len(control.receive(tmp_path)) == 3
    with pytest.raises(msgspec.ValidationError):
        control.send(tmp_path, "explode")


def a_test(step: int, accuracy: float) -> events.Test:
    return events.Test(step=step, epoch=1, loss=to_number(1 - accuracy), accuracy=accuracy, count=100)


def test_a_resumed_run_has_the_last_accuracy_that_counts() -> None:
    """The status of a new attempt knows of no test yet; what lies beyond the step it went back to does not count."""
    directory = make_run("a")
    status = Status(state="training", attempt=1, test_accuracy=0.75, test_loss=0.5, **process_facts())
    (directory / "attempt-1.lock").touch()
    write_atomic(directory / "status.json", msgspec.json.encode(status))
    assert (row(directory).test_accuracy, row(directory).test_loss) == (0.75, 0.5)
    log = EventWriter(directory)
    for step in range(3000):
        log.emit(Train(step=step, epoch=1, loss=1.0, lr=0.1, images_per_second=1.0))
    for event in (a_test(3000, 0.5), a_test(4000, 0.625), a_test(5000, 0.875)):
        log.emit(event)
    log.close()
    (directory / "attempt-2.lock").touch()
    assert row(directory).test_accuracy == 0.875, "nothing is known of the new attempt yet"
    second = EventWriter(directory, attempt=2)
    second.emit(Resume(step=4500, checkpoint="step-4500"))
    second.close()
    write_atomic(directory / "status.json", msgspec.json.encode(msgspec.structs.replace(
        status, attempt=2, test_accuracy=None, test_loss=None,
    )))  # fmt: skip
    assert (row(directory).test_accuracy, row(directory).test_loss) == (0.625, 0.375)
    assert RunReader(directory).poll().test_accuracy[-1][1] == 0.625, "as the screen says"


def test_a_garbled_log_leaves_the_accuracy_unknown() -> None:
    directory = make_run("a")
    (directory / "attempt-1.lock").touch()
    (directory / "events.1.jsonl").write_bytes(
        b'{"kind":"test","step":\xff\n{"kind":"test",\n{"kind":"resume","step":1'
    )
    assert row(directory).test_accuracy is None


def test_an_answer_is_waited_for() -> None:
    directory = make_run("a")
    ident = control.send(directory, "set", layer="nope")
    assert control.answer_to(directory, ident, 0) is None
    ((path, command),) = control.receive(directory)
    assert command is not None
    control.settle(path, {"step": 7, "accepted": False, "message": "no such layer"})
    assert control.answer_to(directory, ident, 0) == control.Reply(7, False, "no such layer")
    assert control.answer_to(directory, "another", 0) is None


TOLD_WHILE_IT_STARTS = """
import os, signal, subprocess, sys
from pathlib import Path
from cnntui.runs import supervisor

def begin(directory, attempt, ranks=1):
    os.kill(os.getpid(), signal.SIGTERM)  # before there is a trainer that could be told
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])

supervisor.begin = begin
sys.exit(supervisor.supervise(Path(sys.argv[1]), 1))
"""


def test_a_supervisor_that_is_told_to_end_while_it_starts_the_trainer_tells_it(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", TOLD_WHILE_IT_STARTS, str(tmp_path)], timeout=30, check=False)
    assert done.returncode == 128 + signal.SIGTERM
    assert json.loads((tmp_path / "exit.json").read_bytes())["signal"] == "SIGTERM"
