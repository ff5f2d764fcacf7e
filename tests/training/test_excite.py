"""What excites the units of a net most: as torch sees it, from the checkpoint of the same step."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from cnntui.core.nets import load_net
from cnntui.core.network import Network
from cnntui.core.notation import parse
from cnntui.runs.control import send
from cnntui.runs.events import Data, Excited, Resume
from cnntui.runs.excited import Excitement, read_excited
from cnntui.runs.reader import RunReader, RunView
from cnntui.runs.spec import Settings, new_spec
from cnntui.training import excite
from cnntui.training.data import Fitting, digits
from cnntui.training.excite import Exciter, layers_to_watch
from cnntui.training.model import Net, build
from tests.training.forks import forks
from tests.training.runs import over, wait
from tests.training.saved import make_run

pytestmark = pytest.mark.usefixtures("one_thread")

NET = parse(
    "conv 6 same; bn; relu; [ id | conv 6 p1; relu ] add; maxpool 2; conv 70 k1; relu; flatten; linear 12; relu; linear 10",
    (1, 8, 8),
    "small",
)
WATCHED = [
    "conv1", "bn1", "relu1", "id1", "conv2", "relu2", "add1", "maxpool1", "conv3", "relu3", "linear1", "relu4", "linear2",
]  # fmt: skip


def of_torch(model: Net, pictures: np.ndarray) -> dict[str, torch.Tensor]:
    """All that the net makes of test digits of these numbers."""
    data = digits()
    fit = Fitting.of(data, (1, 8, 8))
    with torch.no_grad():
        return dict(model.eval().trace(fit(data.test_images[torch.from_numpy(pictures).long()])))


def check(found: Excitement, model: Net, watched: list[str]) -> None:
    """Against all maps of all pictures."""
    made = of_torch(model, found.pictures)
    place = {int(number): index for index, number in enumerate(found.pictures)}
    assert set(found.layers) == set(watched)
    for node in watched:
        x = made[node] if made[node].dim() == 4 else made[node][..., None, None]
        x = x[:, : excite.MOST_CHANNELS]
        strongest = x.amax((2, 3)).sort(0, descending=True).values[:9]  # (9, C)
        for channel in range(x.shape[1]):
            top = found.top(node, channel)
            np.testing.assert_allclose(
                [each.value for each in top], strongest[:, channel].numpy(), rtol=1e-4, atol=1e-5
            )
            assert len({each.picture for each in top}) == 9, "one a picture"
            for value, picture, row, column in top:
                assert value == pytest.approx(float(x[place[picture], channel, row, column]), rel=1e-4, abs=1e-5)
            smallest, largest = found.range(node, channel) or (0, 0)
            assert smallest == pytest.approx(float(x[:, channel].min()), rel=1e-4, abs=1e-5)
            assert largest == top[0].value
        still = (x == 0).all(0).flatten(1).all(1).nonzero().flatten().tolist()
        assert found.dead(node) == tuple(still)
        assert not found.top(node, x.shape[1])
        assert not found.top(node, -1)


def trained(epochs: int = 2) -> RunView:
    with forks() as started:
        spec = new_spec(NET, Settings(data="digits", epochs=epochs, device="cpu", lr=0.01))
        return wait(started.launch(spec), over)


def test_a_run_tells_what_excites_its_units() -> None:
    view = trained()
    assert view.trained, view.message
    assert view.excited is not None
    assert (view.excited.step, view.excited.epoch, view.excited.file) == (46, 2, "excited-46.safetensors")
    found = read_excited(view)
    assert found is not None
    assert (found.step, found.epoch, len(found.pictures)) == (46, 2, view.excited.count)
    model = build(NET)
    model.load_state_dict(load_file(view.directory / "checkpoints" / "step-46" / "model.safetensors"))
    check(found, model, WATCHED)
    assert found.top("none", 0) == []
    assert found.dead("none") == ()
    assert found.range("none", 0) is None


def test_a_run_that_is_stopped_tells_it_too() -> None:
    with forks() as started:
        reader = started.launch(new_spec(NET, Settings(data="digits", epochs=100_000, device="cpu")))
        wait(reader, lambda view: view.test_loss != ())
        send(reader.directory, "stop")
        view = wait(reader, over)
    assert view.label == "stopped"
    assert view.excited is not None
    assert view.status is not None
    assert view.excited.step == view.status.step
    assert view.excited.epoch == -(-view.status.step // 23)
    found = read_excited(view)
    assert found is not None
    model = build(NET)
    step = f"step-{view.status.step}"
    model.load_state_dict(load_file(view.directory / "checkpoints" / step / "model.safetensors"))
    check(found, model, WATCHED)


# -- the trainer's part alone


def exciter(tmp_path: Path, network: Network = NET) -> Exciter:
    (tmp_path / "maps").mkdir()
    data = digits()
    spec = new_spec(network, Settings(data="digits"))
    return Exciter(tmp_path, data, Fitting.of(data, network.input), spec)


def view_of(run: Path, told: Excited, network: Network = NET) -> RunView:
    return RunView(run, new_spec(network, Settings(data="digits")), excited=told)


def test_dead_units_are_counted(tmp_path: Path) -> None:
    model = build(NET)
    with torch.no_grad():
        model.get_parameter("conv2.bias")[[1, 4]] = -1e4
        model.get_parameter("linear1.bias")[7] = -1e6
    told = exciter(tmp_path)(model, 5, 1, 1000.0, at_end=False)
    assert told is not None
    assert told.count == 360
    assert model.training
    found = read_excited(view_of(tmp_path, told))
    assert found is not None
    check(found, model, WATCHED)
    assert set(found.dead("relu2")) >= {1, 4}
    assert 7 in found.dead("relu4")
    assert found.dead("conv2") == ()


def test_before_the_end_it_is_once_and_within_its_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, now = build(NET), 0.0
    fit = Fitting.__call__

    def slow(self: Fitting, images: torch.Tensor) -> torch.Tensor:
        nonlocal now
        now += 0.01 * len(images)
        return fit(self, images)

    monkeypatch.setattr("cnntui.training.excite.time.monotonic", lambda: now)
    monkeypatch.setattr(Fitting, "__call__", slow)
    gather = exciter(tmp_path)
    assert gather(model, 1, 1, 0.0, at_end=False) is None
    assert now == 0, "it has not even begun"
    assert gather(model, 2, 1, 10.0, at_end=False) is None
    assert now == pytest.approx(0.32), "a small batch told that there is no time for more"
    assert gather(model, 3, 2, 15.0, at_end=False) is None, "that was more than its share of 15 s"
    assert now == pytest.approx(0.32)
    told = gather(model, 4, 3, 200.0, at_end=False)
    assert told is not None
    assert 256 <= told.count < 360
    assert now <= 200 / 50
    assert gather(model, 5, 4, 1e6, at_end=False) is None, "once"
    last = gather(model, 6, 5, 1e6, at_end=True)
    assert last is not None
    assert last.count == 360
    assert gather(model, 6, 5, 1e6, at_end=True) is None, "the same again"
    assert gather(model, 7, 5, 0.0, at_end=True) is not None, "half a second there is always"


def test_the_newest_two_files_are_kept(tmp_path: Path) -> None:
    model, gather = build(NET), exciter(tmp_path)
    for age, step in enumerate((900, 30, 1)):
        path = tmp_path / "maps" / f"excited-{step}.safetensors"
        path.touch()
        os.utime(path, (1000 - age, 1000 - age))
    for step in (10, 20):
        assert gather(model, step, 1, 100.0, at_end=True) is not None
        left = {path.name for path in (tmp_path / "maps").iterdir()}
        assert f"excited-{step}.safetensors" in left
        assert len(left) == 2
    assert left == {"excited-10.safetensors", "excited-20.safetensors"}


def test_bad_numbers_are_not_told(tmp_path: Path) -> None:
    model = build(NET)
    with torch.no_grad():
        model.get_parameter("conv2.bias")[1] = torch.nan
    assert exciter(tmp_path)(model, 5, 1, 1000.0, at_end=True) is None
    assert not list((tmp_path / "maps").iterdir())


def test_a_large_net_is_watched_in_part() -> None:
    watched = layers_to_watch(load_net("vgg16").network)
    assert [name for name in watched if not name.startswith(("conv", "relu"))] == ["linear1", "linear2", "linear3"]
    assert len(watched) == 16 + 5
    assert {"conv1", "relu13"} <= set(watched)
    small = layers_to_watch(load_net("mnist-2conv").network)
    assert small == ["conv1", "relu1", "maxpool1", "conv2", "relu2", "maxpool2", "linear1", "relu3", "linear2"]


# -- the viewer's part alone


@pytest.fixture
def run(tmp_path: Path) -> Path:
    made = make_run(tmp_path / "run")
    told = exciter(made, NET)(build(NET), 5, 1, 100.0, at_end=True)
    assert told is not None
    assert read_excited(view_of(made, told)) is not None
    return made


def with_other(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        tensors = load_file(path)
        tensors[name] = change(tensors[name]).contiguous()
        save_file(tensors, path)

    return damage


def without(name: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        save_file({key: tensor for key, tensor in load_file(path).items() if key != name}, path)

    return damage


DAMAGES: dict[str, Callable[[Path], None]] = {
    "gone": Path.unlink,
    "torn": lambda path: os.truncate(path, path.stat().st_size - 1),
    "of no layer": lambda path: save_file(load_file(path) | {"other.values": torch.zeros(1, 1)}, path),
    "no name": lambda path: save_file(load_file(path) | {"values": torch.zeros(1, 1)}, path),
    "no places": without("conv1.places"),
    "no pictures": without("pictures"),
    "more channels than there are": with_other("conv1.values", lambda x: torch.cat([x, x])),
    "a place outside": with_other("conv1.places", lambda x: x + 8),
    "a place before": with_other("conv1.places", lambda x: -x - 1),
    "a picture that was not looked at": with_other("pictures", lambda x: x[:5]),
    "no picture at all": with_other("pictures", lambda x: x[:0]),
    "doubles": with_other("conv1.largest", lambda x: x.double()),
    "not finite": with_other("linear1.smallest", lambda x: x / 0),
    "one dimension": with_other("linear1.values", lambda x: x.flatten()),
    "one number": with_other("linear1.largest", lambda x: x[0]),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_is_damaged_is_not_shown(run: Path, damage: Callable[[Path], None]) -> None:
    damage(run / "maps" / "excited-5.safetensors")
    assert read_excited(view_of(run, Excited(step=5, epoch=1, file="excited-5.safetensors", count=360))) is None


@pytest.mark.parametrize("file", ["", "..", "../spec.json", "\0", "x" * 5000])
def test_a_log_that_lies_names_no_file(run: Path, file: str) -> None:
    assert read_excited(view_of(run, Excited(step=5, epoch=1, file=file, count=360))) is None


def test_what_came_after_the_step_that_is_gone_back_to_does_not_count(run: Path) -> None:
    data = Data(step=0, name="digits", train=9, test=9, shape=(1, 8, 8), classes=["0"], sha256="", steps=9)
    early, late = (Excited(step=step, epoch=1, file=f"excited-{step}.safetensors", count=9) for step in (3, 5))
    for log, expected in (
        ((data, early, Resume(step=3, checkpoint="step-3")), early),
        ((data, early, late, Resume(step=4, checkpoint="step-4")), None),
        ((data, late, Resume(step=4, checkpoint="step-4"), early), early),
    ):
        (run / "events.1.jsonl").write_bytes(b"".join(msgspec.json.encode(event) + b"\n" for event in log))
        assert RunReader(run).poll().excited == expected
