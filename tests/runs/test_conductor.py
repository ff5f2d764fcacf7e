"""Who may conduct a sweep, what becomes of runs that cannot be started, where there is room, what it all costs."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cnntui.labs.plain import duration
from cnntui.labs.sweep_words import cost_lines
from cnntui.runs import launch
from cnntui.runs.spec import Exit, Status, last_attempt, lock_of, process_facts
from cnntui.runs.sweeps import conductor, cost, slots, turns
from cnntui.runs.sweeps.conductor import CONDUCTOR, Conducting, conduct, conducting, stop, stop_of
from cnntui.runs.sweeps.cost import Cost, estimate
from cnntui.runs.sweeps.directory import prepare, read_sweep
from cnntui.runs.sweeps.plan import Choices, Design, Plan, SweepError, Value
from cnntui.runs.sweeps.slots import Gpu, Machine, default_slots, fitting, slot_for, this_machine, threads
from cnntui.runs.sweeps.timings import Timing, Timings
from cnntui.runs.sweeps.todo import Estimate, makespan
from cnntui.runs.sweeps.turns import Turns

GIB = 1 << 30


def plan_of(vary: dict[str, Choices] | None = None, seeds: tuple[int, ...] = (0,), **baseline: Value) -> Plan:
    vary = vary or {"width": {"4": 4, "8": 8, "16": 16}}
    first = {name: next(iter(values.values())) for name, values in vary.items()}
    net = "conv {width} same; gap; linear 10" if "width" in vary else "conv 4 same; gap; linear 10"
    return Design("small", net, (1, 8, 8), seeds, {"data": "digits", "epochs": 2, **first, **baseline}, vary).plan()


@pytest.fixture
def sweep(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of three runs that wait."""
    for name, seconds in (("POLL_SECONDS", 0.01), ("AGAIN_SECONDS", 0.0)):
        monkeypatch.setattr(turns, name, seconds)
    return prepare(plan_of())


def runs_of(sweep: Path) -> list[Path]:
    return read_sweep(sweep).directories(sweep)


def write_conductor(sweep: Path, **facts: Any) -> None:
    told = Conducting(**{**process_facts(), **facts})
    (sweep / CONDUCTOR).write_bytes(msgspec.json.encode(told))


def end(run: Path, attempt: int = 1) -> None:
    """As a trainer leaves a run that it has trained."""
    lock_of(run, attempt).touch()
    status = Status(state="finished", attempt=attempt, step=46, steps=46)
    (run / "status.json").write_bytes(msgspec.json.encode(status))
    (run / "exit.json").write_bytes(msgspec.json.encode(Exit(attempt=attempt, code=0, signal=None, ended="")))


def trains_at_once(run: Path, attempt: int, environment: Mapping[str, str]) -> None:
    """A trainer that needs no time."""
    end(run, attempt)


def test_what_a_sweep_has_grown_by_while_it_goes_has_its_turn_too(sweep: Path) -> None:
    last = runs_of(sweep)[-1]
    trained: list[str] = []

    def grows_at_last(run: Path, attempt: int, environment: Mapping[str, str]) -> None:
        trains_at_once(run, attempt, environment)
        trained.append(run.name)
        if run == last:
            prepare(plan_of(seeds=(0, 1)))

    Turns(sweep, slots=1, start=grows_at_last).conduct()
    assert sorted(trained) == sorted(run.name for run in runs_of(sweep))
    assert len(trained) == 6


# -- who conducts


def test_a_conductor_is_known_by_its_process(sweep: Path) -> None:
    assert conducting(sweep) is None
    write_conductor(sweep)
    assert conducting(sweep) == Conducting(**process_facts())
    write_conductor(sweep, process_started=1.0)
    gone = conducting(sweep)
    assert gone is not None
    assert (gone.state, gone.message, gone.alive) == ("gone", "its process is gone", False)
    write_conductor(sweep, process_started=1.0, state="finished")
    ended = conducting(sweep)
    assert ended is not None
    assert ended.state == "finished"


def test_on_another_host_silence_is_all_there_is_to_see(sweep: Path) -> None:
    write_conductor(sweep, host="a-cluster-node")
    with pytest.raises(SweepError, match=rf"small is being run by process {os.getpid()} on a-cluster-node"):
        conduct(sweep)
    os.utime(sweep / CONDUCTOR, (time.time() - 90,) * 2)
    silent = conducting(sweep)
    assert silent is not None
    assert (silent.state, silent.message) == ("gone", "nothing was heard from a-cluster-node for 90 s")


def test_of_many_that_conduct_at_the_same_moment_exactly_one_does(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []
    monkeypatch.setattr(conductor, "_start", lambda _directory, turn, *_: begun.append(turn))
    together = threading.Barrier(8)
    refused: list[str] = []

    def begin() -> None:
        together.wait()
        try:
            conduct(sweep)
        except SweepError as error:
            refused.append(str(error))

    all_of_them = [threading.Thread(target=begin) for _ in range(8)]
    for thread in all_of_them:
        thread.start()
    for thread in all_of_them:
        thread.join()
    assert begun == [1]
    assert refused == ["small was begun just now by another"] * 7
    lock = conductor.lock_of(sweep, 1)
    os.utime(lock, (time.time() - 90,) * 2)  # it never told of itself: it died before
    conduct(sweep)
    assert begun == [1, 2]


def test_a_conductor_that_cannot_begin_says_so_and_is_no_hindrance(sweep: Path) -> None:
    (sweep / CONDUCTOR).mkdir()  # a disk that refuses
    with pytest.raises(SweepError, match=r"small (was not begun|is being run)"):
        conduct_for(sweep, seconds=1.5)
    (sweep / CONDUCTOR).rmdir()
    for run in runs_of(sweep):
        end(run)
    conduct(sweep)  # nothing is left to train
    deadline = time.monotonic() + 30
    while (now := conducting(sweep)) is None or now.alive:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert (now.state, now.message, now.turn) == ("finished", "", 1)
    assert "finished" in (sweep / "conductor.log").read_text()


def conduct_for(sweep: Path, seconds: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conductor, "START_SECONDS", seconds)
        conduct(sweep)


def test_what_is_no_sweep_or_has_no_slot_is_refused(sweep: Path, tmp_path: Path) -> None:
    for function in (conduct, stop, estimate):
        with pytest.raises(SweepError, match="holds no sweep"):
            function(tmp_path)
    with pytest.raises(SweepError, match="slots 0 < 1"):
        conduct(sweep, 0)
    with pytest.raises(SweepError, match="small is not being run: there is nothing to stop"):
        stop(sweep)


def test_a_conductor_that_was_taken_for_dead_lets_go(sweep: Path) -> None:
    first = Turns(sweep, 1, 1, start=trains_at_once)
    conductor.lock_of(sweep, 2).touch()
    write_conductor(sweep, turn=2)
    first.conduct()
    assert [last_attempt(run) for run in runs_of(sweep)] == [0, 0, 0]
    second = conducting(sweep)
    assert second is not None
    assert second.turn == 2, "it no longer tells of itself"


def test_an_earlier_request_to_stop_is_not_for_the_next_conductor(sweep: Path) -> None:
    stop_of(sweep, 1).touch()
    Turns(sweep, 2, 1, start=trains_at_once).conduct()
    assert [last_attempt(run) for run in runs_of(sweep)] == [1, 1, 1]


def test_a_run_on_another_host_is_waited_for_but_takes_no_slot(sweep: Path) -> None:
    foreign, *others = runs_of(sweep)
    lock_of(foreign, 1).touch()
    status = Status(state="training", host="a-cluster-node", step=1, steps=46)
    (foreign / "status.json").write_bytes(msgspec.json.encode(status))

    def train(run: Path, attempt: int, environment: Mapping[str, str]) -> None:
        end(run, attempt)
        if run == others[-1]:
            end(foreign)

    Turns(sweep, 1, 1, start=train).conduct()
    assert ended(sweep).message == ""
    assert [last_attempt(run) for run in runs_of(sweep)] == [1, 1, 1]


# -- runs that cannot be


def ended(sweep: Path) -> Conducting:
    found = conducting(sweep)
    assert found is not None
    return found


def test_runs_that_vanish_or_cannot_be_read_do_not_keep_the_others_from_training(sweep: Path) -> None:
    gone, broken, good = runs_of(sweep)
    (broken / "spec.json").write_bytes(b'{"run": "half')

    def train(run: Path, attempt: int, environment: Mapping[str, str]) -> None:
        if run == gone:
            shutil.rmtree(run)
            raise launch.LaunchError(f"{run}: No such file or directory")
        end(run, attempt)

    Turns(sweep, 1, 1, start=train).conduct()
    assert (good / "exit.json").exists()
    told = ended(sweep)
    assert told.state == "finished"
    assert told.message.startswith("2 of 3 runs failed: ")
    assert "no readable spec.json" in told.message


def test_a_run_that_vanishes_while_it_trains_has_failed(sweep: Path) -> None:
    gone = runs_of(sweep)[0]

    def train(run: Path, attempt: int, environment: Mapping[str, str]) -> None:
        lock_of(run, attempt).touch()
        if run == gone:
            shutil.rmtree(run)
        else:
            end(run, attempt)

    Turns(sweep, 1, 1, start=train).conduct()
    assert ended(sweep).message == f"1 of 3 runs failed: {gone.name} (crashed: its directory is gone)"


def test_where_nothing_can_be_started_it_gives_up_and_says_why(sweep: Path) -> None:
    tried: list[Path] = []

    def refuse(run: Path, attempt: int, environment: Mapping[str, str]) -> None:
        tried.append(run)
        raise launch.LaunchError("No space left on device")

    Turns(sweep, 1, 2, start=refuse).conduct()
    assert tried == runs_of(sweep) * 2, "each once more, after the others"
    assert "No space left on device" in ended(sweep).message
    assert [last_attempt(run) for run in runs_of(sweep)] == [0, 0, 0]


def test_a_sweep_that_vanishes_ends_its_conductor(sweep: Path) -> None:
    turn = Turns(sweep, 1, 1, start=launch.start)
    shutil.rmtree(sweep)
    turn.conduct()
    assert len(turn.failed) == 3
    assert not sweep.exists()


# -- room


def test_cores_are_shared_by_the_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [threads(8, n) for n in (1, 2, 3, 8, 16)] == [8, 4, 2, 1, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert [threads(8, n) for n in (1, 2, 8)] == [2, 2, 1]
    machine = Machine(8, 64 * GIB)
    assert [default_slots("auto", machine, runs) for runs in (100, 3, 0)] == [8, 3, 1]
    assert default_slots("auto", Machine(64, 12 * GIB), 100) == 10, "and each wants memory"
    assert slot_for("cpu", 0, 4, machine) == slots.Slot("cpu", {"OMP_NUM_THREADS": "2"})
    here = this_machine()
    assert 1 <= here.cores <= len(os.sched_getaffinity(0))
    assert here.memory > 0


def test_free_memory_decides_how_many_runs_a_gpu_has_room_for() -> None:
    assert [fitting(free * GIB, 3 * GIB) for free in (0, 3, 4, 7, 24, 80)] == [0, 0, 1, 2, 7, 8]
    machine = Machine(16, 64 * GIB, (Gpu("GPU-a", 10 * GIB, 24 * GIB), Gpu("GPU-b", 22 * GIB, 24 * GIB)))
    assert default_slots("auto", machine, 100) == default_slots("cuda", machine, 100) == 16
    assert default_slots("cpu", machine, 100) == 16
    assert default_slots("auto", Machine(4, 64 * GIB, machine.gpus), 100) == 4, "each trainer wants a core"

    taken: dict[str, int] = {}
    places = []
    while slot := slot_for("auto", 4 * GIB, 16, machine, taken, {p: n * 4 * GIB for p, n in taken.items()}):
        taken[slot.place] = taken.get(slot.place, 0) + 1
        places.append(slot.place)
        assert slot.environment == {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": slot.place}
    assert places == [f"GPU-{name}" for name in "bbbabab"], "where most is free"
    assert slot_for("auto", GIB, 99, machine, {"GPU-a": 8, "GPU-b": 8}) is None, "no more than eight on one"


def test_a_gpu_that_is_asked_for_by_its_number_stays_it_and_one_that_is_too_small_is_tried_when_empty() -> None:
    machine = Machine(4, 64 * GIB, (Gpu("GPU-a", 23 * GIB, 24 * GIB), Gpu("GPU-b", 20 * GIB, 24 * GIB)))
    one = slot_for("cuda:1", 2 * GIB, 4, machine)
    assert one == slots.Slot("GPU-b", {"OMP_NUM_THREADS": "1"})
    none = slot_for("cuda:7", 2 * GIB, 4, machine)
    assert none is not None, "its trainer says that there is none"
    assert none.place == "cpu"
    empty = slot_for("auto", 200 * GIB, 4, machine)
    assert empty is not None
    assert empty.place == "GPU-a"
    assert slot_for("auto", 200 * GIB, 4, machine, promised={"GPU-a": 4 * GIB}) is None


def test_several_ranks_have_a_gpu_each() -> None:
    gpus = tuple(Gpu(f"GPU-{name}", free * GIB, 24 * GIB) for name, free in (("a", 10), ("b", 22), ("c", 2)))
    machine = Machine(16, 64 * GIB, gpus)
    pair = slot_for("cuda", 4 * GIB, 8, machine, ranks=2)
    assert pair is not None
    assert pair.place == pair.environment["CUDA_VISIBLE_DEVICES"] == "GPU-b,GPU-a"
    assert slot_for("cuda", 4 * GIB, 8, machine, ranks=3) is None, "until the third has room"
    none = slot_for("cuda", 4 * GIB, 8, machine, ranks=4)
    assert none is not None, "its trainer says that there are not so many"
    assert none.place == "cpu"


class NVMLError(Exception):
    pass


def fake_nvml(free: dict[str, int], cut: dict[str, list[str]] | None = None) -> types.ModuleType:
    """What of pynvml is used, for GPUs of so many free bytes; those in `cut` are in slices."""
    nvml = types.ModuleType("pynvml")
    cut = cut or {}

    def by_index(index: int) -> str:
        return [name for name in free if name.startswith("GPU")][index]

    def by_name(name: str) -> str:
        return next(each for each in free if each.startswith(name))

    def mig_mode(handle: str) -> tuple[int, int]:
        if handle.startswith("MIG"):
            raise NVMLError
        return int(handle in cut), 0

    def slice_of(handle: str, index: int) -> str:
        if index >= len(cut[handle]):
            raise NVMLError
        return cut[handle][index]

    facts = {
        "NVMLError": NVMLError,
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: sum(name.startswith("GPU") for name in free),
        "nvmlDeviceGetHandleByIndex": by_index,
        "nvmlDeviceGetHandleByUUID": by_name,
        "nvmlDeviceGetMigMode": mig_mode,
        "nvmlDeviceGetMaxMigDeviceCount": lambda handle: 7,
        "nvmlDeviceGetMigDeviceHandleByIndex": slice_of,
        "nvmlDeviceGetUUID": lambda handle: handle,
        "nvmlDeviceGetMemoryInfo": lambda handle: types.SimpleNamespace(free=free[handle], total=24 * GIB),
    }
    for name, value in facts.items():
        setattr(nvml, name, value)
    return nvml


def test_gpus_are_those_that_nvml_and_the_environment_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "_torch_knows_cuda", lambda: True)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    nvml = fake_nvml(
        {"GPU-a1": GIB, "GPU-b2": 2 * GIB, "MIG-c": 3 * GIB, "MIG-d": 4 * GIB}, {"GPU-b2": ["MIG-c", "MIG-d"]}
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    assert [gpu.name for gpu in this_machine().gpus] == ["GPU-a1", "MIG-c", "MIG-d"]
    for visible, names in (
        ("0", ["GPU-a1"]),
        ("GPU-a", ["GPU-a1"]),
        ("MIG-d", ["MIG-d"]),
        ("", []),
        ("-1", []),
        ("9", []),
    ):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert [gpu.name for gpu in this_machine().gpus] == names
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert this_machine().gpus == ()


def test_what_a_gpu_has_no_room_for_waits_until_it_has(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "ROOM_SECONDS", 0.0)
    rooms = iter([GIB, GIB, 20 * GIB])
    waited: list[str] = []

    def machine() -> Machine:
        return Machine(4, 64 * GIB, (Gpu("GPU-a", next(rooms, 20 * GIB), 24 * GIB),))

    def train(run: Path, attempt: int, environment: Mapping[str, str]) -> None:
        waited.append(environment["CUDA_VISIBLE_DEVICES"])
        end(run, attempt)

    monkeypatch.setattr(turns, "this_machine", machine)
    turn = Turns(sweep, 1, 1, need=4 * GIB, start=train)
    turn.fill()
    assert (waited, turn.state.message) == ([], "waits for 4.0 GiB of free memory on a GPU")
    turn.conduct()
    assert waited == ["GPU-a"] * 3
    assert (ended(sweep).state, ended(sweep).message) == ("finished", "")


# -- what it costs


def test_jobs_begin_in_their_order_as_slots_become_free() -> None:
    def until_done(seconds: list[float], slots: int) -> float:
        return makespan([(each, 1) for each in seconds], slots)

    assert until_done([], 2) == 0
    assert until_done([3, 2, 2], 1) == 7
    assert until_done([3, 2, 2], 2) == 4
    assert until_done([1, 1, 1, 9], 3) == 10, "the longest one began last"
    assert makespan([(3, 1), (2, 2), (1, 1)], 2) == 6, "one of two ranks waits until both are free"
    assert makespan([(3, 4)], 2) == 3, "of more ranks than slots: it has them all"


@dataclass
class Measured:
    """What was asked for, net by its first layer; how many times as fast several are together as one alone."""

    asked: list[list[str]] = field(default_factory=list)
    gain: float = 1.6


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measured:
    """Made-up timings: a step takes 1 ms, and 1 ms more for each channel."""
    made = Measured()

    def time_trainings(specs: Any, environment: Any, *_: Any) -> Timings:
        made.asked.append([spec.layers[0] for spec in specs])
        timings = [
            Timing(problem="too wide")
            if spec.layers[0].startswith("conv 99 ")
            else Timing(
                step_seconds=0.001 * (1 + int(spec.layers[0].split()[1])),
                test_seconds=0.01,
                save_seconds=0.005,
                once_seconds=0.5,
                steps_per_epoch=10,
                pictures=640,
            )
            for spec in specs
        ]
        return Timings(timings, 4.0, timings[0].images_per_second, "cpu")

    def time_together(spec: Any, environments: Any, *_: Any) -> list[Timings]:
        (one,) = time_trainings([spec], None).timings
        slow = msgspec.structs.replace(one, step_seconds=one.step_seconds * len(environments) / made.gain)
        return [Timings([slow], 5.0, 0.0, "cpu")] * len(environments)

    monkeypatch.setattr(cost, "time_trainings", time_trainings)
    monkeypatch.setattr(cost, "time_together", time_together)
    return made


def test_the_seconds_of_a_sweep_add_up(measured: Measured) -> None:
    found = estimate(plan_of(seeds=(0, 1), device="cpu"), slots=2)
    # 0.8 s between two runs, 5 s to start; what comes then takes 2 / 1.6 times as long as alone.
    each = [5.8 + 1.25 * (0.5 + 2 * (10 * 0.001 * (1 + width) + 0.015)) for width in (4, 8, 16)]
    assert [one.seconds for one in found.configurations] == pytest.approx(each)
    assert found.seconds == pytest.approx(makespan([(one, 1) for one in each * 2], 2))
    assert found.times == {1: pytest.approx(2 * sum(4.8 + (one - 5.8) / 1.25 for one in each)), 2: found.seconds}
    assert found.gain == pytest.approx(1.6)
    assert (found.measured, found.runs, found.todo, found.slots) == (3, 6, 6, 2)
    assert cost_lines(found) == [
        "6 runs of 3 configurations, 90 to 330 parameters",
        "about 0:20 with 2 slots on cpu; a run 0:07, 0:05 of it to start",
        "2 slots pay: they learn 1.60 times as fast as 1 (20,480 images/s, not 12,800); with 1 it would take about 0:33",
    ]


def test_on_a_cpu_it_takes_a_slot_a_core_and_says_where_fewer_are_done_sooner(
    measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost, "this_machine", lambda: Machine(8, 64 * GIB))
    plan = plan_of(seeds=(0, 1, 2, 3), device="cpu", epochs=10_000)
    eight = estimate(plan, slots=8)
    assert sorted(eight.times) == [1, 4, 8], "so crowded that half as many are measured too"
    assert eight.slots == 8, "those that were asked for"
    measured.gain = 0.9
    for found in (estimate(plan), estimate(prepare(plan))):
        assert found.slots == 8, "the same each time, for the numbers that come out follow from it"
        assert found.times[1] < found.seconds
        assert cost_lines(found)[-1] == (
            "8 slots do not pay here: they learn 0.90 times as fast as 1 (11,520 images/s, not 12,800); "
            f"with 1 it would take about {duration(found.times[1])}"
        )
    few = estimate(plan_of(device="cpu"), slots=8)
    assert few.slots == 3, "there are no more runs"


def test_where_the_baseline_cannot_be_trained_the_others_are_told_all_the_same(measured: Measured) -> None:
    found = estimate(plan_of({"width": {"99": 99, "4": 4, "8": 8}}, device="cpu"), slots=2)
    assert (found.slots, found.alone, found.gain) == (2, 0, 1)
    each = [0.8 + 4 + 0.5 + 2 * (10 * 0.001 * (1 + width) + 0.015) for width in (4, 8)]
    assert [one.seconds for one in found.configurations] == pytest.approx([4.8, *each])
    assert found.seconds == pytest.approx(4.8 + each[1])
    assert cost_lines(found)[1].startswith("about 0:10 with 2 slots on cpu; a run 0:05")
    assert cost_lines(found)[2:] == ["width 99: too wide"]


@pytest.mark.parametrize(
    ("slots", "speeds", "times", "start", "words"),
    [
        (2, {1: 1000, 2: 1600}, {1: 900, 2: 600}, 5,
         ["2 slots pay: they learn 1.60 times as fast as 1 (1,600 images/s, not 1,000); with 1 it would take about 15:00"]),
        (2, {1: 1000, 2: 1000}, {1: 900, 2: 600}, 30,
         [("2 slots pay: they learn 1.00 times as fast as 1 (1,000 images/s, not 1,000), but start beside each other; "
          "with 1 it would take about 15:00")]),
        (2, {1: 1000, 2: 1550}, {1: 465, 2: 442}, 60,
         [("2 slots gain little in all: they learn 1.55 times as fast as 1 (1,550 images/s, not 1,000), "
          "but a run is mostly its start; with 1 it would take about 7:45")]),
        (2, {1: 1000, 2: 1550}, {1: 400, 2: 442}, 5,
         [("2 slots lose in all: they learn 1.55 times as fast as 1 (1,550 images/s, not 1,000), "
          "but that is not all they do; with 1 it would take about 6:40")]),
        (2, {1: 1000, 2: 1100}, {1: 465, 2: 442}, 5,
         [("2 slots hardly pay here: they learn 1.10 times as fast as 1 (1,100 images/s, not 1,000); "
          "with 1 it would take about 7:45")]),
        (8, {1: 1000, 4: 1600, 8: 1500}, {1: 900, 4: 500, 8: 550}, 5,
         [("8 slots do not pay here: they learn 0.94 times as fast as 4 (1,500 images/s, not 1,600); "
          "with 4 it would take about 8:20")]),
        (4, {1: 1000, 4: 1600, 8: 1500}, {1: 900, 4: 500, 8: 550}, 5,
         ["4 slots pay: they learn 1.60 times as fast as 1 (1,600 images/s, not 1,000); with 1 it would take about 15:00",
          ("8 slots would not be done sooner, in about 9:10, as they learn 0.94 times as fast as 4 "
          "(1,500 images/s, not 1,600)")]),
        (1, {1: 1000, 2: 1550}, {1: 442, 2: 465}, 60,
         [("2 slots would not be done sooner, in about 7:45, though they learn 1.55 times as fast as 1 "
          "(1,550 images/s, not 1,000)")]),
        (1, {1: 1000}, {1: 442}, 5, []),
    ],
)  # fmt: skip
def test_what_is_said_of_slots_never_contradicts_itself(
    slots: int, speeds: dict[int, float], times: dict[int, float], start: float, words: list[str]
) -> None:
    rows = tuple(Estimate(label, 90, 900, 4, 0, seconds=100, measured=True) for label in "ab")
    lines = cost_lines(Cost(rows, slots, "cpu", start, speeds, times, measured=2))
    assert lines[2:] == words
    assert lines[1].startswith(f"about {duration(times[slots])} with {slots} slot")


def test_of_many_configurations_some_are_measured_and_the_others_lie_between(measured: Measured) -> None:
    widths: Choices = {str(width): width for width in range(1, 41)}
    found = estimate(plan_of({"width": widths, "lr": {"0.1": 0.1, "0.01": 0.01}}, epochs=1, device="cpu"), slots=1)
    (layers,) = measured.asked
    assert len(layers) == 12
    assert {"conv 1 same", "conv 40 same"} <= set(layers)
    assert found.measured == 13, "another learning rate takes as long"
    seconds = [one.seconds for one in found.configurations if one.label.startswith(("baseline", "width"))]
    assert seconds == pytest.approx([4.8 + 0.5 + 10 * 0.001 * (1 + width) + 0.015 for width in range(1, 41)])
    assert "measured: 13 of 41 configurations; the others by their multiply-accumulates" in cost_lines(found)


def test_what_is_done_costs_nothing_more_and_what_cannot_be_is_told(measured: Measured) -> None:
    directory = prepare(plan_of({"width": {"4": 4, "99": 99, "8": 8}}, device="cpu"))
    first, _, last = runs_of(directory)
    end(first)
    lock_of(last, 1).touch()
    half = Status(state="finished", message="stopped", step=10, steps=20)
    (last / "status.json").write_bytes(msgspec.json.encode(half))
    (last / "exit.json").write_bytes(msgspec.json.encode(Exit(attempt=1, code=0, signal=None, ended="")))
    found = estimate(directory, slots=1)
    assert (found.runs, found.done, found.todo) == (3, 1, 2)
    assert [one.done for one in found.configurations] == [1, 0, 0]
    assert found.configurations[2].seconds_left == pytest.approx(4.8 + 0.5 + (10 * 0.009 + 0.015))
    assert "width 99: too wide" in cost_lines(found)
    for run in runs_of(directory):
        end(run)
    assert cost_lines(estimate(directory)) == ["3 runs of 3 configurations, 90 to 1,990 parameters; 3 trained, 0 to do"]
