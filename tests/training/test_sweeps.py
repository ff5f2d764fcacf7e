"""A sweep conducted on this machine: real trainers, real kills, and what it costs."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from cnntui.labs.comparing import Comparing
from cnntui.labs.sweep_words import cost_lines
from cnntui.runs import control, launch
from cnntui.runs.events import EventReader, Resume
from cnntui.runs.reader import RunReader, RunView
from cnntui.runs.spec import last_attempt, lock_of, new_spec
from cnntui.runs.sweeps import turns
from cnntui.runs.sweeps.conductor import Conducting, conduct, conducting, stop
from cnntui.runs.sweeps.cost import estimate
from cnntui.runs.sweeps.directory import prepare, read_sweep
from cnntui.runs.sweeps.file import load_design
from cnntui.runs.sweeps.plan import Choices, Design, SweepError, Value
from cnntui.runs.sweeps.timings import Question
from cnntui.training.timing import time_all
from tests.training.forks import Forks, forks
from tests.training.runs import PATIENCE, trainer, wait

pytestmark = pytest.mark.usefixtures("one_thread")
FAR = 100_000  # epochs: hours


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[Forks]:
    """Trainers that start at once: those that `launch.start` starts are forked."""
    with forks() as opened:

        def start(command: list[str], **_: Any) -> None:
            opened.start(Path(command[-2]), int(command[-1]))

        popen = {name: getattr(subprocess, name) for name in ("DEVNULL", "CalledProcessError")}
        monkeypatch.setattr(launch, "subprocess", types.SimpleNamespace(run=start, **popen))
        monkeypatch.setattr(turns, "POLL_SECONDS", 0.05)
        yield opened


def sweep_of(vary: dict[str, Choices], net: str = "conv 8 same; relu; gap; linear 10", **baseline: Value) -> Path:
    """A sweep on the digits that is prepared, of one seed."""
    first = {name: next(iter(values.values())) for name, values in vary.items()}
    settings: dict[str, Value] = {"data": "digits", "device": "cpu", "epochs": 2, **first, **baseline}
    return prepare(Design("small", net, (1, 8, 8), (0,), settings, vary).plan())


@contextmanager
def conducted(sweep: Path, slots: int, turn: int = 1) -> Iterator[turns.Turns]:
    """A conductor at work in a thread of this process, until the block ends: then it has ended by itself."""
    conductor = turns.Turns(sweep, turn, slots)
    thread = threading.Thread(target=conductor.conduct)
    thread.start()
    try:
        yield conductor
        thread.join(PATIENCE)
        assert not thread.is_alive()
    finally:
        conductor.stop()
        thread.join()


def until(holds: Callable[[], object], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def runs_of(sweep: Path) -> list[Path]:
    return read_sweep(sweep).directories(sweep)


def view_of(run: Path) -> RunView:
    return RunReader(run).glance()


def table(sweep: Path) -> list[tuple[str, list[float]]]:
    return [(group.label, group.accuracies) for group in Comparing(sweep=sweep).poll(1.0).groups]


def most_at_once(runs: list[Path]) -> int:
    """How many of some runs, of one attempt each, had a trainer at the same time."""
    moments = [(lock_of(run, 1).stat().st_mtime, 1) for run in runs]
    moments += [((run / "exit.json").stat().st_mtime, -1) for run in runs]
    going = most = 0
    for _, change in sorted(moments):
        going += change
        most = max(most, going)
    return most


def told(sweep: Path) -> Conducting:
    found = conducting(sweep)
    assert found is not None
    return found


# -- killed, stopped, conducted again


def test_a_conductor_that_is_killed_half_way_and_conducted_again_comes_to_the_same_table(tmp_path: Path) -> None:
    plan = replace(load_design("depth", {"epochs": 2, "device": "cpu"}), seeds=(0, 1)).plan()
    whole, parts = prepare(plan, tmp_path / "whole"), prepare(plan, tmp_path / "parts")
    runs = runs_of(parts)
    with forks() as started:
        started.conduct(whole, 1, slots=2).wait(PATIENCE)
        first = started.conduct(parts, 1, slots=2)
        until(lambda: sum((run / "exit.json").exists() for run in runs) >= 3)
        until(lambda: any(view_of(run).state == "training" for run in runs))
        first.kill()
        first.wait()
        assert told(parts).state == "gone"
        assert 3 <= sum((run / "exit.json").exists() for run in runs) < 8
        started.conduct(parts, 2, slots=2).wait(PATIENCE)
    assert (told(parts).state, told(parts).message) == ("finished", "")
    assert [len(accuracies) for _, accuracies in table(whole)] == [2, 2, 2, 2]
    assert table(parts) == table(whole)
    assert [last_attempt(run) for run in runs] == [1] * 8, "what was going was waited for, not begun again"
    assert most_at_once(runs) == most_at_once(runs_of(whole)) == 2


def test_the_process_of_a_conductor_refuses_a_second_one_and_leaves_trainers_that_the_next_one_counts() -> None:
    sweep = sweep_of({"lr": {"0.01": 0.01, "0.003": 0.003, "0.001": 0.001}}, epochs=FAR)
    runs = runs_of(sweep)
    conduct(sweep, slots=2)
    with pytest.raises(SweepError, match=f"small is being run by process {told(sweep).pid} on "):
        conduct(sweep)
    views = [wait(RunReader(run), lambda view: view.state == "training") for run in runs[:2]]
    environments = [trainer(view).environ()["OMP_NUM_THREADS"] for view in views]
    assert environments == ["1", "1"]
    conductor = psutil.Process(told(sweep).pid)
    conductor.kill()
    until(lambda: told(sweep).state == "gone")
    assert told(sweep).message == "its process is gone"

    conduct(sweep, slots=2)
    assert told(sweep).turn == 2
    until(lambda: len(told(sweep).going) == 2)
    assert set(told(sweep).going) == {run.name for run in runs[:2]}
    stop(sweep)
    until(lambda: told(sweep).state == "stopped")
    assert [last_attempt(run) for run in runs] == [1, 1, 0], "never more than two"
    for run in runs[:2]:
        view = view_of(run)
        assert view.label == "stopped"
        assert view.status is not None
        assert (run / "checkpoints" / "LAST").read_text() == f"step-{view.status.step}"
    with pytest.raises(SweepError, match="nothing to stop"):
        stop(sweep)


def test_stopped_runs_go_on_from_their_checkpoints(started: Forks) -> None:
    sweep = sweep_of({"epochs": {"60": 60, "1": 1}})
    one, two = runs_of(sweep)
    with conducted(sweep, slots=1):
        wait(RunReader(one), lambda view: bool(view.status and view.status.step > 23))
        stop(sweep)
    assert told(sweep).state == "stopped"
    assert (view_of(one).label, view_of(two).label) == ("stopped", "waiting")
    with conducted(sweep, slots=1, turn=2):
        pass
    assert told(sweep).state == "finished"
    assert all(view_of(run).trained for run in (one, two))
    assert (last_attempt(one), last_attempt(two)) == (2, 1)
    (resumed,) = (event for event in EventReader(one).poll() if isinstance(event, Resume))
    assert resumed.step > 23


def test_without_a_conductor_stop_asks_the_runs_it_has_left(started: Forks) -> None:
    sweep = sweep_of({"lr": {"0.01": 0.01, "0.003": 0.003}}, epochs=FAR)
    one, two = runs_of(sweep)
    launch.start(one)
    wait(RunReader(one), lambda view: view.state == "training")
    stop(sweep)
    assert wait(RunReader(one), lambda view: view.ended and view.exit is not None).label == "stopped"
    assert view_of(two).label == "waiting"


# -- runs that fail


def test_a_run_whose_numbers_are_no_longer_finite_is_ended_and_the_others_go_on(started: Forks) -> None:
    sweep = sweep_of({"lr": {"far too large": 1e30, "0.01": 0.01}}, optimizer="sgd")
    bad, good = runs_of(sweep)
    with conducted(sweep, slots=1):
        pass
    assert last_attempt(bad) == 1
    assert "the loss is nan" in view_of(bad).message
    assert view_of(good).trained
    assert told(sweep).state == "finished"
    assert told(sweep).message.startswith(f"1 of 2 runs failed: {bad.name} (the loss is nan")


def test_a_run_that_fails_by_itself_is_tried_again_once_after_the_others(started: Forks) -> None:
    sweep = sweep_of({"classes": {"5": 5, "10": 10}}, "gap; linear {classes}")
    bad, good = runs_of(sweep)
    for turn, attempts in ((1, 2), (2, 3)):
        with conducted(sweep, slots=1, turn=turn):
            pass
        assert last_attempt(bad) == attempts
        assert "the net ends in 5 scores" in told(sweep).message
    assert view_of(good).trained
    assert last_attempt(good) == 1
    assert (good / "exit.json").stat().st_mtime < (bad / "exit.json").stat().st_mtime


def test_a_run_that_is_killed_goes_on_twice_and_no_more(started: Forks) -> None:
    sweep = sweep_of({"lr": {"0.01": 0.01}}, epochs=FAR)
    (run,) = runs_of(sweep)
    with conducted(sweep, slots=2):
        for attempt in (1, 2, 3):
            until(lambda attempt=attempt: last_attempt(run) == attempt)  # type: ignore[misc]
            trainer(wait(RunReader(run), lambda view: view.state == "training")).send_signal(signal.SIGKILL)
    assert last_attempt(run) == 3
    assert told(sweep).message == f"1 of 1 runs failed: {run.name} (crashed: killed by SIGKILL)"


def test_who_pauses_or_stops_a_run_by_hand_is_obeyed(started: Forks) -> None:
    sweep = sweep_of({"lr": {"0.01": 0.01, "0.003": 0.003}})
    one, two = runs_of(sweep)
    control.send(one, "pause")  # found as soon as it trains
    with conducted(sweep, slots=1) as conductor:
        wait(RunReader(one), lambda view: view.state == "paused")
        time.sleep(0.5)
        assert (list(conductor.going), last_attempt(two)) == ([one], 0), "it keeps its slot"
        control.send(one, "stop")
    assert view_of(two).trained
    assert (view_of(one).label, last_attempt(one)) == ("stopped", 1)
    assert "stopped: stopped at step" in told(sweep).message


def test_a_run_that_somebody_begins_meanwhile_is_not_begun_again(started: Forks) -> None:
    sweep = sweep_of({"lr": {"0.01": 0.01, "0.003": 0.003, "0.001": 0.001}})
    one, _, three = runs_of(sweep)
    control.send(one, "pause")
    with conducted(sweep, slots=1):
        wait(RunReader(one), lambda view: view.state == "paused")
        launch.start(three)
        control.send(one, "resume")
    assert [last_attempt(run) for run in runs_of(sweep)] == [1, 1, 1]
    assert told(sweep).message == ""


# -- what it costs


def test_a_few_steps_of_each_configuration_are_measured_and_what_cannot_be_trained_is_told() -> None:
    nets = ("conv 8 same; relu; gap; linear 10", "gap; linear 5")
    plan = Design(
        "nets",
        nets[0],
        (1, 8, 8),
        (0,),
        {"data": "digits", "device": "cpu"},
        {"net": dict(zip("ab", nets, strict=True))},
    )
    specs = [new_spec(one.network, one.settings) for one in plan.plan().configurations]
    timings = time_all(Question(specs=specs, asked=time.time(), seconds=0.05))
    good, bad = timings.timings
    assert bad.problem == "the net ends in 5 scores, but digits has 10 classes"
    assert bad.epoch_seconds == bad.images_per_second == 0
    assert (good.problem, good.steps_per_epoch, good.pictures) == ("", 23, 1437)
    assert min(good.step_seconds, good.test_seconds, good.save_seconds, good.once_seconds) > 0
    assert good.epoch_seconds == pytest.approx(23 * good.step_seconds + good.test_seconds + good.save_seconds)
    assert timings.alone == pytest.approx(good.images_per_second)
    assert timings.device == "cpu"


def test_the_cost_of_a_sweep_is_measured_and_adds_up(started: Forks) -> None:
    sweep = sweep_of(
        {"lr": {"0.01": 0.01, "0.003": 0.003}, "width": {"8": 8, "16": 16}}, "conv {width} same; gap; linear 10"
    )
    first = runs_of(sweep)[0]
    launch.start(first)
    wait(RunReader(first), lambda view: view.trained and view.over)
    cost = estimate(sweep, slots=2)
    assert (cost.runs, cost.done, cost.todo, cost.slots) == (3, 1, 2, 2)
    assert cost.params == (8 * 9 + 8 + 8 * 10 + 10, 16 * 9 + 16 + 16 * 10 + 10)
    assert cost.measured == 2, "another learning rate takes as long as the baseline"
    baseline, *others = cost.configurations
    assert (baseline.seconds_left, baseline.done) == (0, 1)
    assert all(one.seconds_left == one.seconds > cost.start_seconds for one in others)
    assert cost.seconds == pytest.approx(max(one.seconds for one in others))
    assert cost.together == pytest.approx(cost.gain * cost.alone)
    assert cost.alone > 0
    words = "\n".join(cost_lines(cost))
    assert "3 runs of 3 configurations, 170 to 330 parameters; 1 trained, 2 to do" in words
    assert f"{cost.gain:.2f} times as fast as 1 ({cost.together:,.0f} images/s, not {cost.alone:,.0f})" in words
    assert not list(sweep.glob(".timing-*"))


def test_data_that_is_not_here_is_not_downloaded_to_tell_a_cost(tmp_path: Path) -> None:
    cost = estimate(load_design("depth", {"data": "mnist", "data_dir": str(tmp_path), "device": "cpu"}).plan(), slots=1)
    assert (cost.times, cost.runs) == ({}, 12)
    assert cost_lines(cost)[-1] == (
        "how long it takes is not known: mnist is not here yet: the first run downloads it, and then its cost can be told"
    )
    assert not any(tmp_path.iterdir())
