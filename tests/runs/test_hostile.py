"""Whatever stands in a run directory, a viewer does not fall over: garbage, lies, giants, links, clocks that jump."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from cnntui.core.nets import load_net
from cnntui.runs import events, listing
from cnntui.runs.events import Classes, Event, EventReader, Misread, Phase, Resume, Snapshot
from cnntui.runs.excited import read_excited
from cnntui.runs.launch import create
from cnntui.runs.reader import RunReader, RunView
from cnntui.runs.spec import Settings, Status, boot_id, new_spec, process_facts
from tests.runs.days import write_day

ONE_OF_EACH: list[Event] = [
    events.StateChange(step=0, state="starting"),
    Phase(step=0, phase="loading data"),
    events.Notice(step=0, message="«ä» \n \" '"),
    events.Data(step=0, name="digits", train=9, test=9, shape=(1, 8, 8), classes=["0"], sha256="", steps=9),
    events.Train(step=1, epoch=1, loss="NaN", lr=0.1, images_per_second=9.0),
    events.Test(step=1, epoch=1, loss=0.5, accuracy=0.5, count=9),
    Classes(step=1, epoch=1, counts=[2, 2], right=[1, 2], confusion=[[1, 1], [0, 2]], misread=[Misread(5, 0, 1, 0.9)]),
    Snapshot(step=1, epoch=1, file="step-1.safetensors"),
    events.Probe(
        step=1, pictures=[1], labels=[0], probabilities=[[0.5, 0.5]], maps={"conv1": "1-conv1.npy"},
        scales={"conv1": 1.0}, channels={"conv1": 1}, weights="1-weights.safetensors",
    ),
    events.Excited(step=1, epoch=1, file="excited-1.safetensors", count=9),
    events.Checkpoint(step=1, directory="step-1", epoch=1),
    events.Answer(step=1, id="a", command="stop", accepted=True, message=""),
    Resume(step=1, checkpoint="step-1"),
]  # fmt: skip
KINDS = pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: type(event).__name__)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return create(new_spec(load_net("lenet5").network, Settings()), tmp_path / "run")


def look(view: RunView) -> None:
    """Everything that a screen asks of a view."""
    assert view.label
    assert 0 <= view.progress <= 1
    assert 0 <= view.read <= 1
    assert view.seconds_left is None or isinstance(view.seconds_left, float)
    for layer in ("conv1", "", "/", "../spec.json", "\0", "x" * 5000, "\ud800"):
        assert view.maps(layer) is None or view.maps(layer).ndim == 4  # type: ignore[union-attr]
        assert view.shades(layer) is None
    if view.classes is not None:
        view.shades(view.classes.pictures)
        count = len(view.classes.counts)
        assert all(0 <= each.label < count and 0 <= each.read < count for each in view.classes.misread)
    if view.probe is not None:
        assert len(view.probe.probabilities) == len(view.probe.pictures) == len(view.probe.labels)
        for layer in view.probe.maps:
            view.maps(layer)
        assert view.weights is None
    assert read_excited(view) is None


@KINDS
def test_every_kind_is_unseen_while_torn_and_then_seen_exactly_once(tmp_path: Path, event: Event) -> None:
    line = msgspec.json.encode(event) + b"\n"
    path, reader = tmp_path / "events.1.jsonl", EventReader(tmp_path)
    for cut in (1, len(line) // 2, len(line) - 1):
        with path.open("ab") as file:
            file.write(line[:cut])
        assert reader.poll() == []
        with path.open("ab") as file:
            file.write(line[cut:])
        assert reader.poll() == [event]
    assert reader.skipped == 0


@KINDS
def test_every_kind_that_is_newer_unknown_or_incomplete_is_skipped_and_counted(tmp_path: Path, event: Event) -> None:
    whole: dict[str, Any] = json.loads(msgspec.json.encode(event))
    broken: list[Any] = [
        {**whole, "v": 2},
        {**whole, "kind": f"{whole['kind']}2"},
        {**whole, "step": -1},
        {**whole, "step": 1 << 60},
        {**whole, "step": None},
        {name: value for name, value in whole.items() if name != "step"},
        [whole],
    ]
    lines = [json.dumps(each) for each in (whole, *broken, {**whole, "more": {"from": ["the", "future"]}})]
    (tmp_path / "events.1.jsonl").write_text("\n".join(lines) + "\n")
    reader = EventReader(tmp_path)
    assert reader.poll() == [event, event]
    assert reader.skipped == len(broken)


def lie(luck: random.Random, value: Any) -> Any:
    """Valid JSON of the same shape with something in it that is not so."""
    others: list[Any] = [
        None, True, -1, 0, 1, 2**31, 2**53, 10**40, 1e300, -0.5, "", "NaN", "-Infinity", "../../x", "\0", [], {}, [[]],
        [1] * 300, ["NaN"], {"": ""}, [[[[[]]]]], "x" * 3000,
    ]  # fmt: skip
    if isinstance(value, dict) and value and luck.random() < 0.8:
        key = luck.choice(list(value))
        if luck.random() < 0.1:
            return {name: inner for name, inner in value.items() if name != key}
        return {**value, key: lie(luck, value[key])}
    if isinstance(value, list) and value and luck.random() < 0.7:
        index = luck.randrange(len(value))
        return luck.choice([value[:-1], value * 2, [], [*value[:index], lie(luck, value[index]), *value[index + 1 :]]])
    return luck.choice(others)


def test_logs_that_lie_are_read_without_an_exception(run: Path) -> None:
    """4,000 events with something wrong in each, in any order."""
    luck = random.Random(5)
    whole = [json.loads(msgspec.json.encode(event)) for event in ONE_OF_EACH]
    reader, seen = RunReader(run), 0
    for _ in range(40):
        with (run / "events.1.jsonl").open("a") as file:
            for _ in range(100):
                told = luck.choice(whole)
                for _ in range(luck.randrange(1, 4)):
                    told = lie(luck, told)
                file.write(json.dumps(told) + "\n")
        view = reader.poll()
        look(view)
        seen = view.skipped
    assert 400 < seen < 4000, "some are refused, some are not"


def test_logs_with_damaged_bytes_are_read_without_an_exception(run: Path, tmp_path: Path) -> None:
    luck = random.Random(6)
    write_day(tmp_path, 3000)
    each_kind = b"".join(msgspec.json.encode(each) + b"\n" for each in ONE_OF_EACH)
    real = each_kind + (tmp_path / "events.1.jsonl").read_bytes()
    for _ in range(20):
        data = bytearray(real)
        for _ in range(luck.randrange(1, 200)):
            at = luck.randrange(len(data))
            change = luck.randrange(4)
            if change == 0:
                data[at] = luck.randrange(256)
            elif change == 1:
                del data[at : at + luck.randrange(1000)]
            elif change == 2:
                data[at:at] = bytes(luck.randrange(256) for _ in range(luck.randrange(20)))
            else:
                data[at:at] = b"\n"
        (run / "events.1.jsonl").write_bytes(data)
        view = RunReader(run).poll()
        look(view)
        assert view.skipped > 0
        assert len(view.train_loss) > 100, "what is whole is still read"


def test_giants_are_passed_over(run: Path) -> None:
    last = msgspec.json.encode(events.Train(step=7, epoch=1, loss=1.0, lr=0.1, images_per_second=1.0))
    giants = [b'{"kind":"notice","step":1,"message":"' + b"x" * 10_000_000 + b'"}', b"[" * 3_000_000, b"\0" * 2_000_000]
    (run / "events.1.jsonl").write_bytes(b"\n".join([*giants, last]) + b"\n")
    reader = RunReader(run)
    view = reader.poll()
    while view.read < 1:
        view = reader.poll()
    assert view.train_loss == ((7, 1.0),)
    assert not view.notices


def test_status_and_exit_that_lie_are_read_without_an_exception(run: Path) -> None:
    luck = random.Random(7)
    status = json.loads(msgspec.json.encode(Status(**process_facts(), state="training", step=1, steps=2)))
    ended = {"attempt": 1, "code": None, "signal": "SIGKILL", "ended": "", "peak_memory": 1}
    for number in range(600):
        (run / "status.json").write_text(json.dumps(lie(luck, status)))
        (run / "exit.json").write_text(json.dumps(lie(luck, ended)))
        if number % 3 == 0:
            (run / "exit.json").unlink()
        look(RunReader(run).poll())
        assert listing.row(run).run


GARBAGE = {
    "bytes": b"\xff\xfe", "not utf-8": b'{"message":"\xff"}', "deep": b"[" * 100_000, "null": b"null", "empty": b"",
    "impossible": b'{"pid":-1}',
}  # fmt: skip


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE.keys())
def test_small_files_that_are_garbage_are_as_if_they_were_not_there(run: Path, data: bytes) -> None:
    for name in ("status.json", "exit.json"):
        (run / name).write_bytes(data)
    view = RunReader(run).poll()
    look(view)
    assert (view.state, view.status, view.exit) == ("starting", None, None)
    (run / "spec.json").write_bytes(data)
    assert listing.run_directories(run.parent) == []


def truncated(path: Path) -> None:
    np.save(path, np.zeros((1, 2, 3, 4), np.uint8))
    os.truncate(path, path.stat().st_size - 5)


def boasting(path: Path) -> None:
    """A header that promises terabytes."""
    header = str({"descr": "|u1", "fortran_order": False, "shape": (1, 10**12, 1, 1)}).encode()
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)


def zipped(path: Path) -> None:
    np.savez(path.with_suffix(".npz"), np.zeros(3))
    path.with_suffix(".npz").replace(path)


@pytest.mark.parametrize(
    "plant",
    [
        truncated,
        boasting,
        zipped,
        lambda path: path.write_bytes(b"\x93NUMPY\x01\x00\x10\x00{'descr': ((((("),
        lambda path: path.write_bytes(b"\x93NUMPY\x03\x00\xff\xff\xff\x7f"),
        lambda path: path.write_bytes(b""),
        lambda path: np.save(path, np.zeros((1, 2, 3, 4), np.float64)),
        lambda path: np.save(path, np.zeros((0, 2, 3, 4), np.uint8)),
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("/dev/zero"),
        os.mkfifo,
    ],
)
def test_maps_that_are_none_are_not_shown(run: Path, plant: Callable[[Path], object]) -> None:
    plant(run / "maps" / "1-conv1.npy")
    view = RunReader(run).poll()
    assert view.shades("1-conv1.npy") is None


# -- clocks


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_jumps_does_not_make_a_run_stale_or_dead(
    run: Path, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, wall = 0.0, time.time
    reader = RunReader(run, now=lambda: now)
    assert reader.poll().state == "starting"
    monkeypatch.setattr(time, "time", lambda: wall() + 3600 * hours)
    assert reader.poll().state == "starting", "not «it never started»"
    status = Status(state="training", host="a-cluster-node", boot_id=boot_id())
    (run / "status.json").write_bytes(msgspec.json.encode(status))
    os.utime(run / "status.json", (time.time(),) * 2)
    assert reader.poll().alive == "alive"
    monkeypatch.setattr(time, "time", wall)
    assert reader.poll().alive == "alive"
    now = 59.0
    assert reader.poll().alive == "alive"
    now = 61.0
    assert reader.poll().alive == "stale", "a minute in which nothing was written"
    os.utime(run / "status.json", (wall() + 5, wall() + 5))
    view = reader.poll()
    assert (view.alive, view.state) == ("alive", "training"), "it revived"


@pytest.mark.parametrize("skew", [3600.0, -3600.0])
def test_a_host_whose_clock_is_an_hour_off_is_alive_as_long_as_it_writes(run: Path, skew: float) -> None:
    now = 0.0
    reader = RunReader(run, now=lambda: now)
    status = Status(state="training", host="a-cluster-node")
    (run / "status.json").write_bytes(msgspec.json.encode(status))
    for now in (0.0, 30.0, 60.0, 90.0, 120.0):
        os.utime(run / "status.json", (time.time() + skew + now,) * 2)
        view = reader.poll()
        assert view.alive == ("stale" if now == 0 and skew < 0 else "alive"), now
    now = 181.0
    assert reader.poll().alive == "stale"


def test_a_run_that_is_launched_and_never_starts_is_told_a_minute_later_whatever_the_clock(run: Path) -> None:
    now = 0.0
    os.utime(run / "spec.json", (time.time() + 3600,) * 2)
    reader = RunReader(run, now=lambda: now)
    assert reader.poll().state == "starting"
    now = 61.0
    view = reader.poll()
    assert view.state == "crashed"
    assert "it never started" in view.message
