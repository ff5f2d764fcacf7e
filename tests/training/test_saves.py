"""Saving is all or nothing: killed at every write boundary, on a full disk, with damaged files, with planted pickles."""

from __future__ import annotations

import json
import os
import pickle
import resource
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cnntui.core.nets import load_net
from cnntui.runs.checkpoints import search
from cnntui.runs.launch import create
from cnntui.runs.reader import RunReader
from cnntui.runs.spec import Settings, new_spec
from cnntui.training import checkpoints
from cnntui.training.checkpoints import forget_after, newest, read_saved, restore, save, snapshot
from tests.training.forks import in_a_fork

FILES = ("model.safetensors", "optimizer.safetensors", "state.json", "MANIFEST.json")
CHANGES = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "shutil.rmtree"}


def made(step: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A model whose weights tell its step."""
    model = nn.Linear(40, 30)
    nn.init.constant_(model.weight, step)
    return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def saved(run: Path, step: int, best: bool = False) -> Path:
    (run / "checkpoints").mkdir(parents=True, exist_ok=True)
    nothing: dict[str, Any] = {"data": "", "data_sha256": "", "classes": [], "mean": [], "deviation": [], "spec": {}}
    state = checkpoints.Saved(step=step, epoch=1, lr=0.1, best=0.0, device="cpu", **nothing)
    return save(run, *made(step), state, best)


def is_whole(checkpoint: Path) -> bool:
    return search(checkpoint.parents[1], checkpoint.name)[0] is not None


def loads(run: Path) -> int:
    """The step that the run goes on from, its weights loaded and looked at."""
    whole = newest(run, lambda _: None)
    assert whole is not None
    model, optimizer = made(-1)
    state = read_saved(whole)
    restore(whole, model, optimizer)
    assert isinstance(model.weight, Tensor)
    assert (model.weight == state.step).all()
    return state.step


def assert_pointers_hold(run: Path) -> None:
    for pointer in ("LAST", "BEST"):
        if (run / "checkpoints" / pointer).exists():
            assert is_whole(run / "checkpoints" / (run / "checkpoints" / pointer).read_text()), pointer


def die_before_change(number: int) -> None:
    """SIGKILL before this process changes a file for the `number`th time, or puts one on the disk."""
    left = number

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event in CHANGES and (event != "open" or arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
            count()

    sync = os.fsync

    def fsync(fd: Any) -> None:
        count()
        sync(fd)

    os.fsync = fsync
    sys.addaudithook(audit)


def die_at_byte(number: int) -> None:
    """The kernel ends this process in the middle of the first write that would make a file longer than this."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (number, number))


def killed(prepare: Callable[[int], None], number: int, work: Callable[[], object]) -> bool:
    """Whether a child that does this work was killed."""
    pid = os.fork()
    if pid == 0:
        try:
            prepare(number)
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, -signal.SIGKILL, -signal.SIGXFSZ), code
    return code < 0


def save_step_4(run: Path) -> None:
    saved(run, 4, best=True)


def go_back_to_step_2(run: Path) -> None:
    forget_after(run, 2)


def kill_everywhere(
    home: Path, work: Callable[[Path], None], prepare: Callable[[int], None], numbers: list[int], loaded: list[int]
) -> set[int]:
    """Do the work and be killed in it, at each place; returns the steps that were there afterwards."""
    torch.set_num_threads(1)
    before = home / "before"
    for step in (1, 2, 3):
        saved(before, step, best=step in (1, 3))
    snapshot(before, made(3)[0], 3)
    found = set()
    for number in numbers:
        run = home / str(number)
        shutil.copytree(before, run)
        went_down = killed(prepare, number, lambda run=run: work(run))  # type: ignore[misc]
        found.add(loads(run))
        assert found <= set(loaded), (number, found)
        assert_pointers_hold(run)
        saved(run, 5)
        snapshot(run, made(5)[0], 5)
        assert loads(run) == 5
        assert_pointers_hold(run)
        assert not list(run.rglob(".*")), "leftovers are cleaned"
        shutil.rmtree(run)
        if not went_down:
            return found
    raise AssertionError("it never came to its end")


def test_a_save_killed_at_any_write_boundary_leaves_the_old_or_the_new_checkpoint(tmp_path: Path) -> None:
    numbers = list(range(1, 200))
    assert in_a_fork(kill_everywhere, tmp_path, save_step_4, die_before_change, numbers, [3, 4]) == {3, 4}


def test_a_save_killed_in_the_middle_of_a_write_leaves_the_old_or_the_new_checkpoint(tmp_path: Path) -> None:
    numbers = [0, 1, 5, 100, 200, 400, 2000, 4900, 5100, 5300, 10_000, 20_000]
    assert in_a_fork(kill_everywhere, tmp_path, save_step_4, die_at_byte, numbers, [3, 4]) == {3, 4}


def test_going_back_killed_at_any_write_boundary_leaves_pointers_to_what_is_there(tmp_path: Path) -> None:
    numbers = list(range(1, 200))
    assert in_a_fork(kill_everywhere, tmp_path, go_back_to_step_2, die_before_change, numbers, [2, 3]) == {2, 3}


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", [flip, cut, lambda path: os.truncate(path, 0), Path.unlink])
def test_a_damaged_newest_checkpoint_is_refused_and_told_and_the_one_before_is_used(
    tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    saved(tmp_path, 1)
    saved(tmp_path, 2, best=True)
    damage(tmp_path / "checkpoints" / "step-2" / name)
    told: list[str] = []
    found = newest(tmp_path, told.append)
    assert found is not None
    assert found.name == "step-1"
    (line,) = told
    assert line.startswith("step-2: ")
    assert name in line or name == "MANIFEST.json", "whose damage shows in the hash of another"
    assert line.endswith(": not used")
    forget_after(tmp_path, 1)
    assert_pointers_hold(tmp_path)
    saved(tmp_path, 2)
    assert loads(tmp_path) == 2, "it comes by step 2 again, and saves it anew"


def test_damaged_pointers_are_no_reason_to_fail(tmp_path: Path) -> None:
    saved(tmp_path, 1)
    for pointer in ("LAST", "BEST"):
        (tmp_path / "checkpoints" / pointer).write_bytes(b"\xff\xfe")
    assert checkpoints.last_step(tmp_path) == 0
    for step in (2, 3, 4, 5):
        saved(tmp_path, step)
    assert (tmp_path / "checkpoints" / "LAST").read_text() == "step-5"


def test_a_refused_write_keeps_the_old_checkpoint_and_leaves_nothing(tmp_path: Path) -> None:
    in_a_fork(refuse_saves, tmp_path)


def refuse_saves(run: Path) -> None:
    """A limit on the size of files stands in for a disk that is full, at several places of a save."""
    saved(run, 1, best=True)
    size = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    for limit in (0, 3, 50, 1000, 4900):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, size))
        try:
            with pytest.raises(OSError, match=r"."):
                saved(run, 2, best=True)
            with pytest.raises(OSError, match=r"."):
                snapshot(run, made(2)[0], 2)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["BEST", "LAST", "step-1"]
        assert not list((run / "snapshots").iterdir())
        assert loads(run) == 1
    saved(run, 2, best=True)
    assert loads(run) == 2


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.sprung,)


def test_pickles_planted_anywhere_are_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "KEEP", 10)
    sprung = tmp_path / "sprung"
    payload = pickle.dumps(Trap(sprung))
    pickle.loads(payload)
    assert sprung.exists(), "the trap works"
    sprung.unlink()

    run = create(new_spec(load_net("lenet5").network, Settings()), tmp_path / "run")
    saved(run, 1)
    for name in FILES:
        planted = saved(run, 2 + FILES.index(name)) / name
        if name == "model.safetensors":
            torch.save(Trap(sprung), planted)
        else:
            planted.write_bytes(payload)
        if name != "MANIFEST.json":  # with the hash that it should have
            hashes = {path: checkpoints._synced_sha256(planted.with_name(path)) for path in FILES[:3]}
            planted.with_name("MANIFEST.json").write_text(json.dumps(hashes))
    refused = []
    for checkpoint in sorted((run / "checkpoints").glob("step-*")):
        (checkpoint / "more.pkl").write_bytes(payload)
        model, optimizer = made(0)
        if is_whole(checkpoint) and checkpoint.name != "step-1":
            refused.append(checkpoint.name)
            with pytest.raises(ValueError, match=r"not of this net|not understood"):
                read_saved(checkpoint)
                restore(checkpoint, model, optimizer)
    assert refused == ["step-2", "step-3", "step-4"], "their hashes are right, and yet"
    for name in ("spec.pkl", "status.json", "exit.json", "control/in/1.json", "checkpoints/LAST", "checkpoints/BEST"):
        (run / name).write_bytes(payload)
    np.save(run / "maps" / "1-conv1.npy", np.array([Trap(sprung)], dtype=object), allow_pickle=True)
    (run / "maps" / "1-conv2.npy").write_bytes(payload)
    probe = {
        "pictures": [1], "labels": [0], "probabilities": [[1.0]], "scales": {"a": 1.0, "b": 1.0},
        "channels": {"a": 1, "b": 1}, "maps": {"a": "1-conv1.npy", "b": "1-conv2.npy"},
    }  # fmt: skip
    line = msgspec.json.encode({"kind": "probe", "step": 1, **probe})
    (run / "events.1.jsonl").write_bytes(payload + b"\n" + line + b"\n")
    view = RunReader(run).poll()
    assert view.probe is not None
    assert (view.maps("a"), view.maps("b"), view.skipped) == (None, None, payload.count(b"\n") + 1)
    assert newest(run, lambda _: None) is not None
    assert not sprung.exists()
