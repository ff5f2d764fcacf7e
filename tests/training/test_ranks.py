"""Several ranks train one net: to the same gradients as one, steered at the same step, killed, pre-empted, requeued."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from click.testing import CliRunner
from safetensors.numpy import load_file

from cnntui.cli import cli
from cnntui.core.notation import parse
from cnntui.runs import events, supervisor
from cnntui.runs.control import send
from cnntui.runs.events import EventReader
from cnntui.runs.job import first_host, present_job
from cnntui.runs.launch import create, launch, resume
from cnntui.runs.places import runs_root
from cnntui.runs.ranks import gain
from cnntui.runs.reader import RunReader, RunView
from cnntui.runs.spec import Exit, Settings, Spec, last_attempt, lock_of, new_spec, read_json
from cnntui.training.__main__ import main
from cnntui.training.course import Course
from cnntui.training.data import DataSet, digits
from cnntui.training.desk import Desk
from cnntui.training.devices import DeviceError, check_marks
from cnntui.training.examine import examine
from cnntui.training.model import build
from cnntui.training.team import Share, Team
from tests.training.forks import CONTEXT, in_a_fork
from tests.training.runs import over, stepping, trainer, wait

pytestmark = pytest.mark.usefixtures("one_thread")
PLAIN = "conv 8 same; relu; maxpool 2; conv 8 same; relu; flatten; linear 10"
LUCKY = "conv 8 same; bn; relu; maxpool 2; conv 8 same; relu; flatten; dropout 0.3; linear 10"


def spec(net: str = LUCKY, **changed: object) -> Spec:
    settings: dict[str, object] = {"data": "digits", "device": "cpu", "batch_size": 64, "ranks": 2, **changed}
    return new_spec(parse(net, (1, 8, 8), "small"), Settings(**settings))  # type: ignore[arg-type]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _as_rank(rank: int, size: int, port: int, function: Callable[..., Any], arguments: tuple[object, ...]) -> Any:
    torch.set_num_threads(1)
    facts = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in facts.items()})
    return function(*arguments)


def in_ranks(size: int, function: Callable[..., Any], *arguments: object) -> list[Any]:
    """What a function returns in each of so many ranks, forked from a process that has torch loaded."""
    port = free_port()
    with ProcessPoolExecutor(size, mp_context=CONTEXT) as pool:
        done = [pool.submit(_as_rank, rank, size, port, function, arguments) for rank in range(size)]
        return [each.result(120) for each in done]


# -- the same as one


def few(data: DataSet, count: int) -> DataSet:
    """The first training pictures only."""
    return replace(data, train_images=data.train_images[:count], train_labels=data.train_labels[:count])


def a_course(spec: Spec, count: int, team: Team | None) -> Course:
    torch.manual_seed(spec.seed)
    device = torch.device("cuda", team.local_rank if team else 0) if spec.device == "cuda" else torch.device("cpu")
    if team is not None:
        team.use(device)
    course = Course(spec, build(spec.network).to(device), few(digits(), count), team)
    if team is not None:
        course.learn.join(team)
    return course


def gradients_and_weights(spec: Spec, count: int) -> tuple[list[list[torch.Tensor]], list[torch.Tensor], list[int]]:
    """After each step of an epoch, and at its end; and from how many pictures this rank learned."""
    team = Team(spec.ranks) if spec.ranks > 1 else None
    course = a_course(spec, count, team)
    gradients, learned = [], []
    for index in course.batches():
        learned.append(course.advance(index))
        gradients.append([weight.grad.cpu().clone() for weight in course.model.parameters() if weight.grad is not None])
    weights = [weight.detach().cpu() for weight in course.model.parameters()]
    if team is not None:
        team.close()
    return gradients, weights, learned


def assert_as_one(two: Spec, one: Spec, count: int, learned: list[list[int]]) -> None:
    """Gradients and weights of two ranks are those of one, to what the order of summing allows."""
    ranks = in_ranks(2, gradients_and_weights, two, count)
    (whole, weights, _) = in_ranks(1, gradients_and_weights, one, count)[0]
    assert [rank[2] for rank in ranks] == learned
    for gradients, own, _ in ranks:
        for step, (each, expected) in enumerate(zip(gradients, whole, strict=True)):
            for found, wanted in zip(each, expected, strict=True):
                torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6, msg=f"gradients of step {step + 1}")
        for found, wanted in zip(own, weights, strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_gradients_of_two_ranks_are_those_of_one_with_the_whole_batch() -> None:
    """Batches of 33 are cut 17 and 16, the last one of 7 is 4 and 3: the mean is over pictures, not over ranks."""
    changed = {"batch_size": 33, "optimizer": "sgd", "lr": 0.05, "epochs": 1, "label_smoothing": 0.1}
    two, one = spec(PLAIN, **changed), spec(PLAIN, **changed, ranks=1)
    assert_as_one(two, one, 106, [[17, 17, 17, 4], [16, 16, 16, 3]])


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="fewer than two GPUs")
def test_with_synchronised_batch_norm_they_are_so_too() -> None:
    changed = {"batch_size": 33, "optimizer": "sgd", "epochs": 1, "device": "cuda", "precision": "float32"}
    net = "conv 8 same; bn; relu; maxpool 2; conv 8 same; bn; relu; flatten; linear 10"
    two, one = spec(net, **changed, sync_bn=True), spec(net, **changed, ranks=1, cuda_graphs=False)
    assert_as_one(two, one, 106, [[17, 17, 17, 4], [16, 16, 16, 3]])


def test_a_rest_that_leaves_a_rank_with_one_picture_sits_out() -> None:
    course = Course(spec(batch_size=16, ranks=1), build(spec().network), few(digits(), 67))
    assert (course.used, course.steps_per_epoch) == (67, 5)
    course = Course(spec(batch_size=16, ranks=1), build(spec().network), few(digits(), 65))
    assert (course.used, course.steps_per_epoch) == (64, 4)
    (used, steps), _ = in_ranks(2, rest_of_67)
    assert (used, steps) == (64, 4)


def rest_of_67() -> tuple[int, int]:
    team = Team(2)
    course = a_course(spec(batch_size=16), 67, team)
    team.close()
    return course.used, course.steps_per_epoch


SEEDS = (0, 1, 2)


def accuracies(ranks: int) -> list[float]:
    """On the 360 test digits after a few epochs, over seeds."""
    team = Team(ranks) if ranks > 1 else None
    found = []
    for seed in SEEDS:
        course = a_course(spec(ranks=ranks, epochs=6, seed=seed, lr=0.005), 1437, team)
        while course.step < course.steps:
            for index in course.batches():
                course.advance(index)
        data = course.data
        found.append(examine(course.model, data.test_images, data.test_labels, course.fit, 64).accuracy)
    if team is not None:
        team.close()
    return found


def test_two_ranks_read_as_well_as_one() -> None:
    """With batch norm, dropout and other random numbers, so not to the same weights.

    One accuracy over 360 digits at about 95 % has a deviation of 1.1 points, the difference of two means over three seeds
    one of 0.9: four points are more than chance allows, and less than a cut that loses or repeats pictures would cost.
    """
    (one,) = in_ranks(1, accuracies, 1)
    two, _ = in_ranks(2, accuracies, 2)
    assert min(one + two) > 0.85, (one, two)
    assert abs(np.mean(one) - np.mean(two)) < 0.04, (one, two)


# -- real runs, through torchrun


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where processes that this test starts keep what is temporary."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    return tmp_path / "tmp"


def processes(run: Path) -> list[psutil.Process]:
    """All that have to do with a run: supervisor, torchrun, ranks."""
    found = psutil.process_iter(["cmdline"])
    return [each for each in found if str(run) in (each.info["cmdline"] or ()) and each.pid != os.getpid()]


def rank_one(view: RunView) -> psutil.Process:
    """The process of the second rank."""
    first = trainer(view)
    agent = first.parent()
    assert agent is not None
    (other,) = [each for each in agent.children() if each.pid != first.pid and "cnntui.training" in each.cmdline()]
    return other


def the_supervisor(run: Path) -> psutil.Process:
    (found,) = [each for each in processes(run) if "cnntui.runs.supervisor" in each.cmdline()]
    return found


def assert_nothing_is_left(run: Path, temporary: Path) -> None:
    gone = time.monotonic() + 10
    while processes(run) and time.monotonic() < gone:
        time.sleep(0.05)
    assert not [each.cmdline() for each in processes(run)]
    assert not [path for path in temporary.iterdir() if "inductor" not in path.name]
    assert not list(run.glob(".*"))


def final_tensors(run: Path) -> dict[str, np.ndarray]:
    last = run / "checkpoints" / (run / "checkpoints" / "LAST").read_text()
    return load_file(last / "model.safetensors") | load_file(last / "optimizer.safetensors")


def test_lost_ranks_and_preemption_leave_no_trace_in_the_weights(temporary: Path) -> None:
    """Killed, restarted by itself, paused, told to end, resumed: to the last bit a run that nothing happened to.

    That other run lost a rank at each of its first attempts, before there was anything to keep; it was resumed by hand.
    """
    run = launch(spec(epochs=16, augment="shift"))
    reader = RunReader(run)
    rank_one(wait(reader, stepping)).kill()
    wait(reader, lambda _: last_attempt(run) == 2)
    send(run, "pause")
    view = wait(reader, lambda view: view.state == "paused")
    ended = read_json(run / "exit.json", Exit)
    assert ended is not None
    assert (ended.attempt, ended.rank, ended.signal, ended.restarted) == (1, 1, "SIGKILL", True)
    assert any("rank 1 was killed by SIGKILL: all go on" in notice.message for notice in view.notices)

    paused = view.status
    assert paused is not None
    assert paused.rank_steps == [paused.step] * 2
    before = sum(rank_one(reader.poll()).cpu_times()[:2])
    time.sleep(1)
    still = reader.poll().status
    assert still is not None
    assert still.step == paused.step
    assert sum(rank_one(reader.poll()).cpu_times()[:2]) - before < 0.2, "it waits, and does not look again and again"
    send(run, "resume")
    wait(reader, lambda view: view.state == "training")
    the_supervisor(run).terminate()
    view = wait(reader, over)
    assert view.label == "stopped"
    assert view.exit is not None
    assert (view.exit.code, view.exit.signal, view.exit.rank) == (0, None, None)
    assert f"stopped at step {view.status.step} of" in view.message  # type: ignore[union-attr]
    assert (run / "checkpoints" / "LAST").read_text() == f"step-{view.status.step}"  # type: ignore[union-attr]
    assert_nothing_is_left(run, temporary)

    lock_of(run, 3).touch()
    assert in_ranks(2, main, run, 3) == [0, 0]
    assert reader.poll().trained

    other = given_up(spec(epochs=16, augment="shift"), '{"rank": 1, "code": null, "signal": "SIGKILL"}')
    view = RunReader(other).poll()
    assert (view.state, view.message) == ("crashed", "rank 1 was killed by SIGKILL")
    assert resume(other) == supervisor.MOST_RESTARTS + 2
    assert wait(RunReader(other), over).trained
    assert_nothing_is_left(other, temporary)
    first, second = final_tensors(run), final_tensors(other)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert value.tobytes() == second[name].tobytes(), name
    assert not [name for name in first if name.startswith("module")], "the names are the bare net's"


def given_up(spec: Spec, lost: str) -> Path:
    """A run that lost a rank at each attempt, until its supervisor let it be."""
    run = create(spec)
    lock_of(run, 1).touch()
    in_a_fork(supervised_in_vain, run, lost)
    return run


def supervised_in_vain(run: Path, lost: str) -> None:
    """The real supervisor, of a torchrun that does nothing but to say which rank it has lost."""
    code = f"import pathlib, sys; pathlib.Path(sys.argv[1]).write_text({lost!r}); sys.exit(1)"

    def begin(directory: Path, attempt: int, ranks: int = 1) -> subprocess.Popen[bytes]:
        assert ranks == 2
        return subprocess.Popen([sys.executable, "-c", code, str(directory / f"lost.{attempt}.json")])

    supervisor.begin = begin
    supervisor.supervise(run, 1)


def test_what_would_fail_again_is_not_restarted() -> None:
    run = given_up(spec(), '{"rank": 1, "code": 1, "signal": null, "message": "no room for batches of 64"}')
    view = RunReader(run).poll()
    assert (view.state, view.message) == ("failed", "rank 1 failed: no room for batches of 64")
    assert last_attempt(run) == 1


def pause_and_stop(run: Path) -> None:
    """What the first rank tells when it is paused, and torchrun ends it because another is gone."""
    with Desk(run, 1, ranks=2) as desk:
        desk.pause()
        os.kill(os.getpid(), signal.SIGTERM)
        assert not desk.obey()


def test_a_run_that_was_paused_when_it_lost_a_rank_stays_so() -> None:
    run = create(spec(epochs=1))
    in_a_fork(pause_and_stop, run)
    ended = Exit(attempt=1, code=None, signal="SIGKILL", ended="", rank=1, restarted=True)
    supervisor.write_end(run, ended)
    lock_of(run, 2).touch()
    reader, port = RunReader(run), free_port()
    with ProcessPoolExecutor(2, mp_context=CONTEXT) as pool:
        done = [pool.submit(_as_rank, rank, 2, port, main, (run, 2)) for rank in range(2)]
        assert wait(reader, lambda view: view.state == "paused").status.step == 0  # type: ignore[union-attr]
        send(run, "resume")
        assert [each.result(60) for each in done] == [0, 0]
    assert reader.poll().trained


# -- steered


Row = tuple[int, float, str]


def recorded(run: Path) -> list[Row]:
    """Train as a rank; where it was whenever it gave account: step, learning rate, weights."""
    rows: list[Row] = []
    real = Course.account

    def account(course: Course, *given: Any) -> list[Share]:
        weights = b"".join(weight.detach().numpy().tobytes() for weight in course.model.parameters())
        rows.append((course.step, course.lr, hashlib.sha256(weights).hexdigest()))
        return real(course, *given)

    Course.account = account  # type: ignore[method-assign, assignment]
    assert main(run, 1) == 0
    return rows


def test_a_learning_rate_and_a_stop_reach_all_ranks_at_one_step() -> None:
    run = create(spec(epochs=100_000, schedule="constant"))
    reader, port = RunReader(run), free_port()
    with ProcessPoolExecutor(2, mp_context=CONTEXT) as pool:
        done = [pool.submit(_as_rank, rank, 2, port, recorded, (run,)) for rank in range(2)]
        wait(reader, stepping)
        send(run, "set", lr=0.0005)
        view = wait(reader, lambda view: bool(view.lr) and view.lr[-1][1] == 0.0005)
        send(run, "stop")
        wait(reader, lambda view: view.ended)
        first, second = (each.result(60) for each in done)
    assert first == second
    assert {rate for _, rate, _ in first} == {0.001, 0.0005}
    log = EventReader(run).poll(1 << 30)
    (answer,) = [event for event in log if isinstance(event, events.Answer) and event.command == "set"]
    assert max(step for step, rate, _ in second if rate == 0.001) == answer.step
    speeds = [event for event in log if isinstance(event, events.Train)]
    assert all(len(event.each) == 2 for event in speeds)
    assert speeds[-1].images_per_second == pytest.approx(sum(speeds[-1].each), abs=0.2)
    assert view.ranks is not None
    assert view.ranks.alone
    assert view.ranks.together == pytest.approx(sum(view.ranks.each), abs=0.2)
    assert any(notice.message.startswith("2 ranks do ") for notice in view.notices)


def test_where_it_does_not_pay_it_says_so() -> None:
    ranks = events.Ranks(step=0, count=2, together=5200, each=[2600, 2600], alone=4800)
    said = "2 ranks do 5,200 images/s together, 2,600 each; one alone does 4,800: 1.08 times as fast"
    assert gain(ranks, 64) == f"{said}. Too small to gain: more than 64 a batch helps, or fewer ranks"
    assert len(gain(ranks, 64)) <= 2 * 78, "it is seen whole on a screen of 80 columns"
    pays = events.Ranks(step=0, count=2, together=9000, each=[4500, 4500], alone=4800)
    assert gain(pays, 64).endswith("1.88 times as fast")


# -- as ranks of a job that somebody else started


COMMAND = ["-m", "cnntui", "train", LUCKY, "--input", "1,8,8", "--data", "digits", "--device", "cpu", "--no-maps"]


def slurm(rank: int) -> dict[str, str]:
    facts = {"JOB_ID": 4711, "STEP_ID": 0, "STEP_NUM_TASKS": 2, "NTASKS": 2, "PROCID": rank, "LOCALID": rank}
    return {f"SLURM_{name}": str(value) for name, value in facts.items()}


def as_srun(*options: str) -> list[str]:
    """What the tasks print that srun would start."""
    command, port = [sys.executable, *COMMAND, *options], str(free_port())
    tasks = [
        subprocess.Popen(command, env={**os.environ, **slurm(rank), "MASTER_PORT": port}, stdout=subprocess.PIPE)
        for rank in range(2)
    ]
    said = [task.communicate(timeout=120)[0].decode() for task in tasks]
    assert [task.returncode for task in tasks] == [0, 0], said
    return said


def test_a_job_whose_time_is_up_goes_on_when_it_is_started_again(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Begun by torchrun, paused, told that its time is up as Slurm does it; then by srun, by the same name, to its end."""
    run = runs_root() / "job-4711.0"
    named = ["--rdzv-id", "4711.0", "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", "--nproc-per-node", "2"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", *named, *COMMAND, "--epochs", "5"]
    with subprocess.Popen(torchrun, stdout=subprocess.PIPE, text=True) as first:
        until = time.monotonic() + 60
        while not (run / "spec.json").exists() and time.monotonic() < until:
            time.sleep(0.05)
        send(run, "pause")
        reader = RunReader(run)
        wait(reader, lambda view: view.state == "paused")
        for task in psutil.Process(first.pid).children():
            task.send_signal(signal.SIGUSR1)
        lines = first.communicate(timeout=60)[0].splitlines()
    assert first.returncode == 0, lines
    assert lines[:3] == ["run job-4711.0", str(run), lines[2]], "the first rank alone prints"
    assert lines[2].endswith("5 epochs, 2 ranks")
    view = reader.poll()
    assert (view.label, view.exit and view.exit.code) == ("stopped", 0)
    step = view.status.step  # type: ignore[union-attr]
    assert 0 < step < view.status.steps  # type: ignore[union-attr, operator]
    assert f"rank 1 of 2 ended at step {step}" in (run / "stdout.log").read_text()

    said = as_srun("--epochs", "5")
    assert said[0].splitlines()[-1].startswith("test accuracy ")
    assert said[1] == ""
    assert reader.poll().trained
    (back,) = [event for event in EventReader(run).poll(1 << 30) if isinstance(event, events.Resume)]
    assert (back.attempt, back.step) == (2, step)
    assert as_srun("--epochs", "5") == ["job-4711.0 was trained to its end\n", ""]
    for name, value in slurm(0).items():
        monkeypatch.setenv(name, value)
    other = CliRunner().invoke(cli, [*COMMAND[2:], "--epochs", "6"])
    assert other.output == f"Error: {run} is of another training: its epochs is 5, not 6; give another --run-dir\n"
    assert last_attempt(run) == 2


def test_a_process_knows_of_which_job_it_is_a_rank() -> None:
    assert present_job({}) is None
    batch = slurm(0).keys() - {"SLURM_STEP_ID", "SLURM_STEP_NUM_TASKS"}
    assert present_job({name: slurm(0)[name] for name in batch}) is None, "the script of a job, not a step of it"
    assert present_job({**slurm(0), "SLURM_STEP_NUM_TASKS": "1"}) is None
    nodes = {"SLURM_STEP_NODELIST": "gpu[03-04,9],login1", "PATH": ""}
    job = present_job({**slurm(1), **nodes})
    assert job is not None
    assert (job.rank, job.size, job.by, job.name) == (1, 2, "srun", "4711.0")
    assert (job.environment["MASTER_ADDR"], job.environment["LOCAL_RANK"]) == ("gpu03", "1")
    assert first_host("a,b") == "a"
    there = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "a", "MASTER_PORT": "1"}
    job = present_job({**there, "TORCHELASTIC_RUN_ID": "mine/1"})
    assert job is not None
    assert (job.rank, job.size, job.by, job.name) == (3, 4, "torchrun", "mine-1")
    assert present_job({**there, "WORLD_SIZE": "1"}) is None


# -- refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ranks", "2", "--sync-bn", "--device", "cpu"], "sync bn needs a GPU for each rank, and the device is cpu"),
        (["--sync-bn"], "sync bn is for several ranks, and there is 1"),
        (["--ranks", "65"], "65 ranks > batch size 64"),
        (["--ranks", "0"], "ranks 0 is not from 1 to"),
        (["--ranks", "2", "--device", "cuda:1"], "2 ranks cannot share cuda:1"),
    ],
)
def test_what_ranks_cannot_do_is_refused_before_the_start(options: list[str], message: str) -> None:
    done = CliRunner().invoke(cli, ["train", "lenet5", "--data", "digits", "--plain", *options])
    assert done.exit_code == 1
    assert done.output.startswith(f"Error: {message}")
    assert len(done.output.splitlines()) == 1
    assert not runs_root().exists()


def test_ranks_that_contradict_the_job_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in slurm(0).items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(cli, ["train", "lenet5", "--ranks", "3"])
    assert done.output == "Error: --ranks 3 contradicts srun, which started 2 processes: leave it out\n"


def test_ranks_need_a_gpu_each() -> None:
    check_marks([0.0, 0.0], sync_bn=False)
    check_marks([1.0, 2.0], sync_bn=True)
    for marks, message in (
        ([1.0, 2.0, 1.0, 2.0], "4 ranks need a GPU each, and there are 2: take --ranks 2, or --device cpu"),
        ([1.0, 0.0], "of 2 ranks some have a GPU, some none"),
        ([1.0, -1.0], "rank 1 of 2 has no such device"),
        ([0.0, 0.0], "sync bn needs a GPU for each rank"),
    ):
        with pytest.raises(DeviceError, match=message):
            check_marks(marks, sync_bn=True)


@pytest.mark.parametrize(
    ("net", "changed", "message"),
    [
        ("flatten; linear 5", {}, "the net ends in 5 scores, but digits has 10 classes"),
        pytest.param(
            LUCKY,
            {"device": "cuda"},
            "no device cuda: torch sees 0 CUDA devices here; try --device cpu",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
        (LUCKY, {"batch_size": 2000, "ranks": 1}, None),
    ],
)
def test_what_fails_in_all_ranks_is_told_once(net: str, changed: dict[str, object], message: str | None) -> None:
    run = create(spec(net, **{"epochs": 1, **changed}))
    if message is None:  # alone, where others were started
        assert in_ranks(1, main, run, 1) == [0]
        return
    assert in_ranks(2, main, run, 1)[0] == 1
    view = RunReader(run).poll()
    assert (view.state, view.message) == ("failed", message)
