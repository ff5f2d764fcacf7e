"""The weights of a run at its moments, and its optimizer, read without torch: what torch itself would load."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from cnntui.core.notation import parse
from cnntui.runs import weights
from cnntui.runs.events import Probe
from cnntui.runs.reader import RunReader, RunView
from cnntui.runs.spec import Settings, new_spec
from cnntui.runs.weights import Moment, WeightsError, moments, optimizer_state, read_weights
from cnntui.training import checkpoints
from cnntui.training.data import Fitting, digits
from cnntui.training.model import build
from cnntui.training.optimizers import make_optimizer
from cnntui.training.probes import MOST_WEIGHTS, Prober
from cnntui.training.step import moments_of
from tests.runs.test_checkpoints import flip
from tests.training.forks import forks
from tests.training.runs import over, wait
from tests.training.saved import make_run, save

pytestmark = pytest.mark.usefixtures("one_thread")

NET = parse("conv 4 same; bn; relu; flatten; linear 10", (1, 8, 8), "small")


def agree(read: dict[str, np.ndarray], path: Path) -> bool:
    of_torch = load_file(path)
    return read.keys() == of_torch.keys() and all(
        tensor.dtype == of_torch[name].numpy().dtype and np.array_equal(tensor, of_torch[name].numpy())
        for name, tensor in read.items()
    )


def trained(optimizer: str) -> RunView:
    with forks() as started:
        settings = Settings(data="digits", epochs=3, optimizer=optimizer, device="cpu", lr=0.01)
        view = wait(started.launch(new_spec(NET, settings)), over)
    assert view.trained, view.message
    return view


def check_optimizer(view: RunView, names: set[str]) -> None:
    model = build(view.spec.network)
    optimizer = make_optimizer(view.spec, model)
    checkpoints.restore(view.directory / "checkpoints" / "step-69", model, optimizer)
    read = optimizer_state(view.directory)
    assert (read.step, read.lr, read.checkpoint.name) == (69, 0.01, "step-69")
    assert list(read.tensors) == list(range(len(list(model.parameters()))))
    assert {name for tensors in read.tensors.values() for name in tensors} == names
    expected = moments_of(optimizer)
    told = {f"state.{i}.{name}": tensor for i, tensors in read.tensors.items() for name, tensor in tensors.items()}
    assert told.keys() == expected.keys()
    for name, tensor in told.items():
        np.testing.assert_array_equal(tensor, expected[name].numpy())


def test_every_moment_of_a_run_is_read_as_torch_reads_it() -> None:
    view = trained("adam")
    found = moments(view)
    steps = [moment.step for moment in found]
    assert steps == sorted(set(steps))
    assert (steps[0], steps[-1]) == (0, 69)
    assert {snapshot.step for snapshot in view.snapshots} | {23, 46, 69} == set(steps)
    assert [moment.epoch for moment in found] == [-(-step // 23) for step in steps]
    assert {snapshot.step: snapshot.epoch for snapshot in view.snapshots}.items() <= {
        moment.step: moment.epoch for moment in found
    }.items()
    for moment in found:
        assert moment.kind == ("snapshot" if moment.path.suffix else "checkpoint")
        file = moment.path if moment.path.suffix else moment.path / "model.safetensors"
        assert agree(read_weights(moment.path), file)

    live = view.weights
    assert view.probe is not None
    assert live is not None
    assert (view.probe.step, live.name) == (69, "69-weights.safetensors")
    assert agree(read_weights(live), view.directory / "checkpoints" / "step-69" / "model.safetensors")
    for snapshot in (view.directory / "snapshots").iterdir():
        snapshot.unlink()
    (view.directory / "snapshots" / ".step-5.safetensors").touch()
    (view.directory / "snapshots" / "step-x.safetensors").touch()
    last = moments(view)
    assert [(moment.step, moment.kind) for moment in last] == [(23, "checkpoint"), (46, "checkpoint"), (69, "live")]
    live.unlink()
    assert moments(view)[-1] == Moment(69, 3, view.directory / "checkpoints" / "step-69", "checkpoint")
    with pytest.raises(WeightsError, match=r"69-weights\.safetensors: there is no such file \(any more\)$"):
        read_weights(live)
    check_optimizer(view, {"step", "exp_avg", "exp_avg_sq"})


def test_sgd_has_its_momentum() -> None:
    check_optimizer(trained("sgd"), {"momentum_buffer"})


def test_the_weights_for_viewers_are_the_last_two_and_not_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, model = digits(), build(NET)
    fit = Fitting.of(data, NET.input)
    (tmp_path / "maps").mkdir()
    old = tmp_path / "maps" / "5-weights.safetensors"
    old.touch()  # of an attempt before
    probe = Prober(tmp_path, data, fit, ["conv1"])
    for step in (9, 10, 11):
        told = probe(model, step)
        assert told.weights == f"{step}-weights.safetensors"
        assert agree(read_weights(tmp_path / "maps" / told.weights), tmp_path / "maps" / told.weights)
        with torch.no_grad():
            next(model.parameters()).add_(1)
    assert {path.name for path in (tmp_path / "maps").glob("*.safetensors")} == {
        "10-weights.safetensors",
        "11-weights.safetensors",
    }
    monkeypatch.setattr("cnntui.training.probes.MOST_WEIGHTS", 1000)
    assert MOST_WEIGHTS > sum(tensor.nbytes for tensor in model.state_dict().values()) > 1000
    assert probe(model, 12).weights is None


@pytest.mark.parametrize("name", ["", "/", "..", "../spec.json", "\0", "x" * 5000, "pipe", "none"])
def test_a_log_that_lies_names_no_weights(tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path / "run")
    (run / "maps").mkdir()
    os.mkfifo(run / "maps" / "pipe")
    told = Probe(step=1, pictures=[1], labels=[0], probabilities=[[1.0]], maps={}, scales={}, channels={}, weights=name)
    (run / "events.1.jsonl").write_bytes(msgspec.json.encode(told) + b"\n")
    view = RunReader(run).poll()
    assert view.probe is not None
    assert view.weights is None
    assert moments(view) == ()


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.safetensors"
    with path.open("wb") as file:
        file.truncate(weights.MOST_BYTES + 2**28)  # no byte of which is on the disk
    with pytest.raises(WeightsError, match=r"large\.safetensors is 8\.2 GiB: more than 8 GiB is not read$"):
        read_weights(path)

    def refuse(path: Path) -> None:
        raise MemoryError

    monkeypatch.setattr(weights, "load_file", refuse)
    path.write_bytes(bytes(2**20))
    with pytest.raises(WeightsError, match=r"there is not enough memory to read its 1 MiB$"):
        read_weights(path)


def test_a_damaged_checkpoint_is_not_read(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    save(run, 5)
    save(run, 10)
    (found, damaged) = moments(RunReader(run).poll())
    assert (found.step, found.epoch, found.kind) == (5, None, "checkpoint")
    flip(damaged.path / "model.safetensors")
    with pytest.raises(WeightsError, match=r"step-10: model\.safetensors is not what was saved \(another hash\)$"):
        read_weights(damaged.path)
    assert agree(read_weights(found.path), found.path / "model.safetensors")
    with pytest.raises(WeightsError, match=r"^step-5 of run does not say its learning rate$"):
        optimizer_state(run)
    with pytest.raises(WeightsError, match=r"^run has no checkpoint 'step-7': take best, last, step-5, step-10$"):
        optimizer_state(run, "step-7")


def bfloat16(path: Path) -> None:
    save_file({"conv1.weight": torch.zeros(3, dtype=torch.bfloat16)}, path)


def truncated(path: Path) -> None:
    save_file({"conv1.weight": torch.zeros(3)}, path)
    os.truncate(path, path.stat().st_size - 1)


def complex64(path: Path) -> None:
    save_file({"conv1.weight": torch.zeros(3, dtype=torch.complex64)}, path)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def noise(path: Path) -> None:
    path.write_bytes(b"\xff" * 99)


@pytest.mark.parametrize("plant", [bfloat16, truncated, complex64, os.mkfifo, Path.mkdir, empty, noise])
def test_what_is_no_weights_is_one_line(tmp_path: Path, plant: Callable[[Path], object]) -> None:
    plant(tmp_path / "w.safetensors")
    with pytest.raises(WeightsError) as error:
        read_weights(tmp_path / "w.safetensors")
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(str(tmp_path))
