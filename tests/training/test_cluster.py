"""A sweep as jobs of a cluster: by submitit's own local executor, and by a stand-in for Slurm that really runs them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest
from submitit.core.utils import DelayedSubmission, JobPaths

from cnntui.runs import events
from cnntui.runs.events import EventReader
from cnntui.runs.places import runs_root
from cnntui.runs.reader import RunReader, RunView
from cnntui.runs.spec import Exit, Spec, Status, last_attempt, lock_of, read_json
from cnntui.runs.sweeps.cluster import cancel, minutes_of, needs_of, parse_options, queued, submit
from cnntui.runs.sweeps.directory import prepare, read_sweep
from cnntui.runs.sweeps.file import parse_design
from cnntui.runs.sweeps.job import Work
from cnntui.runs.sweeps.plan import SweepError
from tests.training.forks import forks
from tests.training.runs import PATIENCE, over, wait
from tests.training.slurm import Slurm, options
from tests.training.test_resume import assert_same

SWEEP = """
net = "conv {width} same; relu; maxpool 2; conv 8 same; relu; flatten; dropout 0.3; linear 10"
input = [1, 8, 8]
seeds = 1

[baseline]
width = 4
data = "digits"
device = "cpu"
batch_size = 16
augment = "shift"
"""
TWO = "[vary]\nwidth = [4, 8]"


def a_sweep(settings: str, vary: str = TWO) -> Path:
    return prepare(parse_design(f"{SWEEP}{settings}\n{vary}", "small").plan())


def runs_of(directory: Path) -> list[Path]:
    return read_sweep(directory).directories(directory)


@pytest.fixture
def by_hand() -> Iterator[Callable[[Path], Path]]:
    """Trains the same run under another name, as any other; it ends with the test."""

    def begin(run: Path) -> Path:
        spec = read_json(run / "spec.json", Spec)
        assert spec is not None
        return started.launch(msgspec.structs.replace(spec, run=f"by-hand-{run.name}")).directory

    with forks() as started:
        yield begin


def eventually(something: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not something():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def slurm(homes: Path, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    """A cluster; what runs on it ends with the test."""
    found = Slurm(homes / "cluster")
    monkeypatch.setenv("PATH", f"{found.bin}{os.pathsep}{os.environ['PATH']}")
    return found


@pytest.fixture
def heard() -> Iterator[None]:
    """Signals as they were before a job ran in this process."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


LOCAL = """
import sys
from pathlib import Path
from submitit import LocalExecutor
from cnntui.runs.sweeps.cluster import FOLDER, submit
directory = Path(sys.argv[1])
print(submit(directory, {}, LocalExecutor(directory / FOLDER)).summary)
"""


def test_submitits_local_executor_trains_a_sweep_as_by_hand(by_hand: Callable[[Path], Path]) -> None:
    directory = a_sweep("epochs = 2")
    runs = runs_of(directory)
    other = by_hand(runs[0])
    told = subprocess.run([sys.executable, "-c", LOCAL, directory], capture_output=True, text=True, check=True)
    assert told.stdout.startswith("2 submitted as job ")
    for run in (*runs, other):  # the process that submitted them is gone
        assert wait(RunReader(run), over).trained
        assert not list(run.rglob("*.pkl"))
    assert_same(runs[0], other)
    assert submit(directory, {}, "not even looked at").summary == "nothing to submit; 2 trained"


def test_a_job_that_is_preempted_loses_its_node_or_is_ended_by_slurm_goes_on_from_its_checkpoint(
    slurm: Slurm, by_hand: Callable[[Path], Path]
) -> None:
    directory = a_sweep("epochs = 30", "[vary]\nepochs = [30, 1]")
    first, second = runs_of(directory)
    asked = parse_options(
        "partition=gpu,gres=gpu:a100:1,time=1:30:00,parallel=1,cpus_per_task=2,nodelist=a1,a2,exclusive"
    )
    told = submit(directory, asked)
    assert told.jobs == {first.name: "1000_0", second.name: "1000_1"}
    script = options(slurm.script("1000"))
    expected = {"partition": "gpu", "gres": "gpu:a100:1", "time": "90", "array": "0-1%1", "requeue": "", "nodes": "1"}
    expected |= {"signal": "USR2@90", "job-name": "small", "nodelist": "a1,a2", "exclusive": "", "open-mode": "append"}
    assert expected.items() <= script.items()
    assert (
        f" --cpus-per-task=2 {sys.executable} -P -u -m submitit.core._submit {directory / 'slurm'}\n"
        in slurm.script("1000")
    )
    for job, run in (("1000_0", first), ("1000_1", second)):
        pickled = JobPaths(directory / "slurm", job).submitted_pickle
        payload = DelayedSubmission.load(pickled)
        assert type(payload.function) is Work
        assert (vars(payload.function), payload.args, payload.kwargs) == ({"path": str(run)}, (), {})

    reader = RunReader(first)

    def trains(attempt: int) -> Callable[[RunView], bool]:
        """It is well into an attempt, and far from its end."""
        return lambda view: bool(view.status and view.status.attempt == attempt and view.status.step > came + 50)

    came = 0
    wait(reader, trains(1))
    assert queued(directory) == {first.name: "RUNNING", second.name: "PENDING"}
    assert submit(directory, asked).summary == "nothing to submit; 2 queued already"
    task = psutil.Process(slurm.task("1000_0"))
    for process in [*task.children(recursive=True), task]:  # some clusters send it to all of them
        process.send_signal(signal.SIGUSR2)
    wait(RunReader(second), lambda view: view.state != "waiting")  # whose turn is now
    assert slurm.calls("scontrol") == [["requeue", "1000_0"]]
    view = reader.poll()
    assert (view.label, view.exit and view.exit.code) == ("stopped", 0)
    assert view.checkpoint is not None
    came = view.checkpoint.step
    assert f"stopped at step {came} of 2700" in view.message

    wait(reader, trains(2))
    slurm.kill("1000_0")
    wait(reader, lambda view: last_attempt(first) == 3)

    came = resumed(first)[-1]
    wait(reader, trains(3))
    os.kill(slurm.task("1000_0"), signal.SIGTERM)
    view = wait(reader, over)
    assert view.label == "stopped"
    assert slurm.states()["1000_0"] == "RUNNING", "a job that ended by itself would not be put back into the queue"
    came = view.checkpoint.step if view.checkpoint else 0
    slurm.kill("1000_0")

    other = by_hand(first)
    eventually(lambda: set(slurm.states().values()) == {"COMPLETED"})
    assert [RunReader(run).glance().trained for run in (first, second)] == [True, True]
    steps = resumed(first)
    assert len(steps) == 3
    assert 0 < steps[0] <= steps[1] < steps[2] == came
    assert read_json(first / "exit.json", Exit).attempt == 4  # type: ignore[union-attr]
    wait(RunReader(other), over)
    assert_same(first, other)
    assert submit(directory, asked).summary == "nothing to submit; 2 trained"
    assert len(slurm.calls("sbatch")) == 1


def resumed(run: Path) -> list[int]:
    """The steps that a run went on from."""
    return [event.step for event in EventReader(run).poll() if isinstance(event, events.Resume)]


def test_cancelled_is_what_waits_and_stopped_what_trains_and_both_are_submitted_again(slurm: Slurm) -> None:
    directory = a_sweep("epochs = 100_000", "[vary]\nwidth = [4, 8, 16]")
    runs = [run.name for run in runs_of(directory)]
    (slurm.spool / "hold").touch()
    submit(directory, {})
    assert queued(directory) == dict.fromkeys(runs, "PENDING")
    done = cancel(directory)
    assert (done.jobs, done.stopped) == (tuple(runs), ())
    eventually(lambda: set(slurm.states().values()) == {"CANCELLED"})
    assert queued(directory) == {}

    (slurm.spool / "hold").unlink()
    told = submit(directory, {"parallel": "1"})
    assert list(told.jobs.values()) == ["1001_0", "1001_1", "1001_2"]
    reader = RunReader(directory / runs[0])
    wait(reader, lambda view: bool(view.train_loss))
    done = cancel(directory)
    assert (done.jobs, done.stopped) == (tuple(runs[1:]), (runs[0],))
    view = wait(reader, over)
    assert view.label == "stopped"
    eventually(lambda: "RUNNING" not in slurm.states().values())
    assert [slurm.states()[f"1001_{index}"] for index in range(3)] == ["COMPLETED", "CANCELLED", "CANCELLED"]
    assert not slurm.calls("scontrol"), "nothing was put back into the queue"

    (slurm.spool / "hold").touch()
    shutil.rmtree(directory / runs[1])  # one is gone; what is left is submitted
    a_sweep("epochs = 100_000", "[vary]\nwidth = [4, 8, 16]")
    assert submit(directory, {}).summary == "3 submitted as job 1002"
    cancel(directory)


def test_a_loss_that_is_not_finite_fails_its_job(slurm: Slurm) -> None:
    """It would wait for a person until its time is over, be put back into the queue, and wait again."""
    directory = a_sweep('epochs = 50\noptimizer = "sgd"\nlr = 1e30', "[vary]\nlr = [1e30]\n")
    (run,) = runs_of(directory)
    assert submit(directory, {}).jobs == {run.name: "1000"}
    eventually(lambda: slurm.states() == {"1000": "FAILED"})
    view = RunReader(run).poll()
    assert view.label == "stopped"
    assert "the loss is" in view.message
    said = (directory / "slurm" / "1000_0_log.err").read_text()
    assert f"{run.name}: stopped: {view.message}" in said
    assert "Traceback" not in said


def test_a_run_whose_node_died_is_taken_over_when_it_has_been_silent_for_a_minute(heard: None) -> None:
    directory = a_sweep("epochs = 1")
    run, other = runs_of(directory)
    for each, silent in ((run, 57), (other, 0)):
        lock_of(each, 1).touch()
        status = each / "status.json"
        status.write_bytes(msgspec.json.encode(Status(state="training", phase="training", host="node7", pid=4242)))
        os.utime(status, (time.time() - silent,) * 2)
    assert submit(directory, {}, "not even looked at").going == (run.name, other.name)
    assert Work(str(run))() == f"{run.name} is trained"
    assert last_attempt(run) == 2
    assert last_attempt(other) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("partitoin=gpu", "--slurm knows no 'partitoin': it takes account, comment, constraint, cpus_per_gpu"),
        ("gpu", "--slurm 'gpu' is not understood: write partition=gpu,time=60,parallel=4"),
        ("partition=", "--slurm partition has no value: write partition=..."),
        ("parallel=0", "--slurm parallel=0 is not a whole number from 1"),
        ("nodes=2", "--slurm nodes=2: a run is one task on one node; ranks = 4 in the sweep's"),
        ("time=1h", "--slurm time=1h is not a time of Slurm's: 90 (minutes), 1:30:00 or 2-12:00:00"),
        ("time=0:10:00:00", "--slurm time=0:10:00:00 is not a time"),
        ("time=0", "--slurm time=0 is no time at all"),
    ],
)
def test_options_that_are_not_understood(text: str, message: str) -> None:
    with pytest.raises(SweepError) as raised:
        parse_options(text)
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("time", "minutes"),
    [("90", 90), ("1:30", 2), ("1:30:00", 90), ("2-12", 3600), ("2-12:30", 3630), ("1-00:00:01", 1441), ("0:01", 1)],
)
def test_times_are_slurms(time: str, minutes: int) -> None:
    assert minutes_of(time) == minutes


def test_several_ranks_ask_for_as_many_gpus_and_cpus() -> None:
    assert needs_of(1, {"gpus_per_node": "1"}) == {}
    assert needs_of(4, {}) == {"cpus_per_task": 4}
    assert needs_of(4, {"gpus_per_node": "1", "cpus_per_task": 16}) == {"cpus_per_task": 16, "gpus_per_node": "4"}
    assert needs_of(2, {"gpus_per_task": "a100:1"}) == {"cpus_per_task": 2, "gpus_per_task": "a100:2"}


def test_without_slurm_or_submitit_and_where_slurm_refuses_there_is_one_line(
    slurm: Slurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = a_sweep("epochs = 1")
    with pytest.raises(SweepError) as raised:
        submit(directory, {"partition": "nowhere"})
    assert "sbatch refuses: sbatch: error: invalid partition specified: nowhere" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert queued(directory) == {}
    (slurm.bin / "sbatch").unlink()
    with pytest.raises(SweepError, match=r"sbatch is not on the PATH: run this on a login node of the cluster"):
        submit(directory, {})
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(SweepError, match=r"a cluster needs submitit: pip install 'cnntui\[cluster\]'"):
        parse_options("partition=gpu")
    assert runs_root() / "small" == directory
