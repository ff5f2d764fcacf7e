"""What only a GPU can show: real runs on one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cnntui.core.nets import load_net
from cnntui.core.notation import parse
from cnntui.runs import events
from cnntui.runs.control import send
from cnntui.runs.events import EventReader
from cnntui.runs.launch import launch, resume
from cnntui.runs.reader import RunReader
from cnntui.runs.spec import RECIPES, Settings, new_spec
from tests.training.runs import over, stepping, wait

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]
NET = parse("conv 8 same; bn; relu; maxpool 2; conv 8 same; relu; flatten; dropout 0.3; linear 10", (1, 8, 8), "small")


@pytest.mark.parametrize("changed", [{}, {"cuda_graphs": False}, {"precision": "float32"}, {"compile": True}])
def test_every_way_to_take_a_step_learns_the_digits(changed: dict[str, bool]) -> None:
    settings = Settings(**{"data": "digits", "device": "cuda", **RECIPES["fast"], "epochs": 12, **changed})
    run = launch(new_spec(load_net("mnist-2conv").network, settings))
    view = wait(RunReader(run), over)
    assert view.trained, view.message
    assert view.test_accuracy[-1][1] > 0.9
    notices = [notice.message for notice in view.notices]
    assert any(message.startswith("compiled in") for message in notices), notices
    phases = [event.phase for event in EventReader(run).poll() if isinstance(event, events.Phase)]
    assert phases[:3] == ["loading data", "compiling", "training"]
    assert view.status is not None
    assert view.status.memory
    assert view.status.device
    assert view.status.device.startswith("cuda:0")


def test_a_run_on_the_gpu_is_stopped_and_resumed() -> None:
    settings = Settings(data="digits", device="cuda", epochs=100_000, schedule="constant")
    run = launch(new_spec(NET, settings))
    reader = RunReader(run)
    wait(reader, stepping)
    send(run, "set", lr=0.0005)
    view = wait(reader, lambda view: bool(view.lr) and view.lr[-1][1] == 0.0005)
    send(run, "stop")
    view = wait(reader, over)
    assert view.checkpoint is not None
    step = view.checkpoint.step
    resume(run)
    view = wait(reader, lambda view: view.state == "training" and view.train_loss[-1][0] > step)
    assert view.lr[-1][1] == 0.0005, "the learning rate that was set goes on"
    send(run, "stop")
    wait(reader, over)


def test_a_loss_that_is_not_finite_is_recovered_from_on_the_gpu() -> None:
    """Back to step 0, which was saved before the optimizer had any moments, with a step that was captured."""
    run = launch(new_spec(NET, Settings(data="digits", device="cuda", epochs=100_000, lr=1e30, optimizer="sgd")))
    reader = RunReader(run)
    wait(reader, lambda view: view.state == "paused")
    send(run, "set", lr=0.01)
    send(run, "resume")
    view = wait(reader, lambda view: len(view.test_accuracy) >= 20)
    assert view.test_accuracy[-1][1] > 0.8
    send(run, "stop")
    wait(reader, over)


def test_out_of_memory_names_a_smaller_batch() -> None:
    net = parse("upsample 64; conv 4096 k1; conv 4096 k1; gap; linear 10", (1, 8, 8), "huge")
    run = launch(new_spec(net, Settings(data="digits", device="cuda", batch_size=1024, epochs=1)))
    view = wait(RunReader(run), over)
    assert view.state == "failed"
    assert "out of memory with batches of 1024: try --batch-size 512" in view.message


def test_the_zoos_cifar10_net_reaches_85_percent(cifar10_root: Path) -> None:
    settings = Settings(data="cifar10", data_dir=str(cifar10_root), device="cuda", **{**RECIPES["fast"], "epochs": 20})
    run = launch(new_spec(load_net("cifar10-bn").network, settings))
    view = wait(RunReader(run), over, seconds=900)
    assert view.trained, view.message
    assert view.test_accuracy[-1][1] >= 0.85
