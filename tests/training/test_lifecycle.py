"""A run from its start to its end, with real processes on the bundled digits: trained, steered, stopped, killed."""

from __future__ import annotations

import hashlib
import json
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from cnntui.core.nets import load_net
from cnntui.core.network import Network
from cnntui.core.notation import parse
from cnntui.runs import events
from cnntui.runs.control import send
from cnntui.runs.events import EventReader
from cnntui.runs.launch import create, launch
from cnntui.runs.reader import RunReader, RunView
from cnntui.runs.spec import REFUSED, Exit, Settings, Spec, Status, new_spec, read_json
from cnntui.training.__main__ import work
from cnntui.training.desk import Desk
from tests.training.forks import Forks, forks
from tests.training.runs import over, stepping, trainer, wait

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = "conv 8 same; relu; maxpool 2; flatten; linear 10"


def small() -> Network:
    return parse(SMALL, (1, 8, 8), "small")


@pytest.fixture
def started() -> Iterator[Forks]:
    with forks() as opened:
        yield opened


@pytest.fixture
def long_run() -> Iterator[RunReader]:
    """A run that would go on for hours."""
    with forks() as started:
        yield started.launch(
            new_spec(small(), Settings(data="digits", epochs=100_000, schedule="constant", device="cpu"))
        )


def trained_here(spec: Spec) -> RunView:
    """A run from its start to its end in this process."""
    directory = create(spec)
    before = signal.getsignal(signal.SIGTERM)
    with Desk(directory, 1) as desk:
        code = work(directory, spec, desk, 1)
    assert signal.getsignal(signal.SIGTERM) == before
    view = RunReader(directory).poll()
    assert code == (view.state != "finished")
    return view


def test_a_trained_run_leaves_everything_behind() -> None:
    directory = launch(new_spec(load_net("mnist-2conv").network, Settings(data="digits", epochs=3, device="cpu")))
    view = wait(RunReader(directory), over)
    assert view.trained, view.message
    assert view.exit is not None
    assert (view.exit.code, view.exit.signal) == (0, None)

    log = EventReader(directory).poll()
    assert [event.seq for event in log] == list(range(1, len(log) + 1))
    tests = [event for event in log if isinstance(event, events.Test)]
    assert [event.epoch for event in tests] == [1, 2, 3]
    assert all(event.count == 360 for event in tests)
    assert tests[-1].accuracy > 0.8
    assert view.train_loss[-1][1] < view.train_loss[0][1]
    assert view.train_loss[-1][0] == tests[-1].step == 3 * -(-1437 // 64)

    status = read_json(directory / "status.json", Status)
    assert status is not None
    assert (status.state, status.epoch, status.data, status.device) == ("finished", 3, "digits", "cpu")
    assert status.test_accuracy == tests[-1].accuracy

    assert view.probe is not None
    assert view.probe.labels == list(range(10))
    for layer in ("input", "conv1", "maxpool2"):
        shades = view.maps(layer)
        assert shades is not None
        assert shades.shape[0] == 10
        assert np.ptp(shades) > 0
    assert view.maps("conv1").shape[2:] == (28, 28)  # type: ignore[union-attr]
    assert min(map(sum, view.probe.probabilities)) == pytest.approx(1, abs=1e-3)
    last = load_file(directory / "checkpoints" / f"step-{status.step}" / "model.safetensors")
    filters = view.filters()
    assert filters is not None
    np.testing.assert_array_equal(filters, last["conv1.weight"])
    assert view.probe.filters_scale == np.abs(filters).max()

    for path in directory.rglob("*"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_a_checkpoint_is_whole_and_loads_without_torch() -> None:
    directory = trained_here(new_spec(small(), Settings(data="digits", epochs=5, device="cpu"))).directory
    checkpoints = directory / "checkpoints"
    kept = sorted(path.name for path in checkpoints.glob("step-*"))
    last = (checkpoints / "LAST").read_text()
    assert last == "step-115"
    assert last in kept
    assert (checkpoints / "BEST").read_text() in kept
    assert 1 <= len(kept) <= 4, "the newest three and the best"
    assert not list(checkpoints.glob(".*")), "no leftovers"
    saved = [e.directory for e in EventReader(directory).poll() if isinstance(e, events.Checkpoint)]
    assert (saved[0], saved[-1]) == ("step-0", "step-115")

    folder = checkpoints / last
    manifest = json.loads((folder / "MANIFEST.json").read_text())
    assert set(manifest) == {"model.safetensors", "optimizer.safetensors", "state.json"}
    for name, digest in manifest.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    weights = load_file(folder / "model.safetensors")
    assert {name: array.shape for name, array in weights.items()} == {
        "conv1.weight": (8, 1, 3, 3),
        "conv1.bias": (8,),
        "linear1.weight": (10, 128),
        "linear1.bias": (10,),
    }
    assert json.loads((folder / "state.json").read_text())["step"] == 115


def test_the_same_seed_gives_the_same_run() -> None:
    losses = []
    for seed in (1, 1, 2):
        view = trained_here(new_spec(small(), Settings(data="digits", epochs=1, seed=seed, device="cpu")))
        losses.append(view.test_loss)
    assert losses[0] == losses[1] != losses[2]


def test_pause_resume_set_and_stop_are_answered_with_their_step(long_run: RunReader) -> None:
    wait(long_run, stepping)
    send(long_run.directory, "pause")
    paused = wait(long_run, lambda view: view.state == "paused")
    time.sleep(0.6)
    assert long_run.poll().train_loss[-1] == paused.train_loss[-1], "nothing is trained while it is paused"
    send(long_run.directory, "set", lr=0.0005)
    send(long_run.directory, "set", lr=-1.0)
    send(long_run.directory, "resume")
    wait(long_run, lambda view: view.train_loss[-1][0] > paused.train_loss[-1][0])
    lrs = [e.lr for e in EventReader(long_run.directory).poll() if isinstance(e, events.Train)]
    assert (lrs[0], lrs[-1]) == (0.001, 0.0005)
    (long_run.directory / "control" / "in" / "1-x.json").write_text("garbage")
    send(long_run.directory, "checkpoint")
    wait(long_run, lambda view: any(a.command == "checkpoint" for a in view.answers))
    send(long_run.directory, "stop")
    view = wait(long_run, over)
    assert (view.state, view.trained) == ("finished", False)
    assert "stopped at step" in view.message
    answers = {(a.command, a.accepted) for a in view.answers}
    assert answers == {
        ("pause", True),
        ("set", True),
        ("set", False),
        ("resume", True),
        ("?", False),
        ("checkpoint", True),
        ("stop", True),
    }
    assert all(answer.step > 0 for answer in view.answers)
    assert not list((long_run.directory / "control" / "in").iterdir())
    step = int(view.message.split()[3])
    assert (long_run.directory / "checkpoints" / "LAST").read_text() == f"step-{step}"


def test_sigterm_leaves_a_checkpoint(long_run: RunReader) -> None:
    trainer(wait(long_run, stepping)).terminate()
    view = wait(long_run, over)
    assert view.state == "finished"
    assert (long_run.directory / "checkpoints" / "LAST").exists()


def test_sigkill_is_told_by_its_name(long_run: RunReader) -> None:
    view = wait(long_run, stepping)
    trainer(view).kill()
    view = wait(long_run, lambda view: view.state == "crashed" and view.exit is not None)
    assert view.message == "killed by SIGKILL"
    assert view.train_loss, "its curve is still there"
    assert read_json(long_run.directory / "exit.json", Exit) == view.exit


def test_a_killed_supervisor_does_not_take_the_trainer_along(long_run: RunReader) -> None:
    process = trainer(wait(long_run, stepping))
    parent = process.parent()
    assert parent is not None
    parent.kill()
    parent.wait(5)
    before = long_run.poll().train_loss[-1][0]
    wait(long_run, lambda view: view.train_loss[-1][0] > before)
    process.kill()
    view = wait(long_run, lambda view: view.ended)
    assert view.message == "its process is gone, and nobody saw how"


def test_a_stopped_process_is_stalled_and_revives(long_run: RunReader) -> None:
    process = trainer(wait(long_run, stepping))
    process.send_signal(signal.SIGSTOP)
    wait(long_run, lambda view: view.alive == "stalled" and view.state == "training")
    process.send_signal(signal.SIGCONT)
    wait(long_run, lambda view: view.alive == "alive")


def test_a_second_trainer_is_refused(long_run: RunReader) -> None:
    wait(long_run, stepping)
    second = subprocess.run(
        [sys.executable, "-m", "cnntui.training", str(long_run.directory)], capture_output=True, text=True, check=False
    )
    assert second.returncode == REFUSED
    assert "is being trained, by process" in second.stderr
    before = long_run.poll().train_loss[-1][0]
    wait(long_run, lambda view: view.train_loss[-1][0] > before)


def test_a_loss_that_is_not_finite_pauses_the_run(started: Forks) -> None:
    settings = Settings(data="digits", epochs=50, lr=1e30, optimizer="sgd", device="cpu")
    reader = started.launch(new_spec(small(), settings))
    directory = reader.directory
    view = wait(reader, lambda view: view.state == "paused")
    assert "a smaller learning rate may help" in view.message
    assert any(np.isnan(loss) or np.isinf(loss) for _, loss in view.train_loss)
    for line in (directory / "events.1.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert "resume goes back to step 0" in view.message
    send(directory, "set", lr=0.1)
    send(directory, "resume")
    view = wait(reader, lambda view: len(view.test_loss) >= 1)
    assert np.isfinite([loss for _, loss in view.train_loss]).all(), "the curve was cut where it went back to"
    send(directory, "stop")
    view = wait(reader, over)
    assert view.label == "stopped"
    last = (directory / "checkpoints" / "LAST").read_text()
    for name, weights in load_file(directory / "checkpoints" / last / "model.safetensors").items():
        assert np.isfinite(weights).all(), name


@pytest.mark.parametrize(
    ("network", "settings", "message"),
    [
        (parse("flatten; linear 10", (3, 8, 8)), {}, None),
        (parse("flatten; linear 10", (2, 8, 8)), {}, "the net takes 2×8×8, but the pictures of digits have 1 channel"),
        (parse("flatten; linear 5", (1, 8, 8)), {}, "the net ends in 5 scores, but digits has 10 classes"),
        (parse("flatten; linear 10", (1, 8, 8)), {"device": "cuda:7"}, "no device cuda:7"),
        (parse("gap; bn; linear 10", (1, 8, 8)), {"batch_size": 4}, None),
        (parse("train: flatten; eval: linear 10", (1, 8, 8)), {}, None),
    ],
)
def test_what_cannot_be_trained_fails_in_one_line(
    network: Network, settings: dict[str, object], message: str | None
) -> None:
    view = trained_here(new_spec(network, Settings(**{"data": "digits", "epochs": 1, "device": "cpu", **settings})))  # type: ignore[arg-type]
    if message is None:
        assert view.trained, view.message
        return
    assert view.state == "failed"
    assert message in view.message
    assert "\n" not in view.message


def test_without_mnist_and_without_network_auto_falls_back_to_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    root = tmp_path / "data"
    for data in ("auto", "mnist"):
        settings = Settings(data=data, data_dir=str(root), epochs=1, device="cpu")
        view = trained_here(new_spec(small(), settings))
        if data == "auto":
            assert view.trained
            assert view.status is not None
            assert view.status.data == "digits"
            assert "training on scikit-learn's bundled 8×8 digits instead" in view.notices[-1].message
        else:
            assert view.state == "failed"
            assert f"mnist is not in {root} and could not be downloaded" in view.message
        assert not list(root.iterdir()), "nothing half-downloaded is left"


def test_the_trainers_own_prints_go_to_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a module of the user's that has the name of one of Python's is not imported."""
    (tmp_path / "sitecustomize.py").write_text("print('hello from the trainer')")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "random.py").write_text("raise SystemExit('the wrong random')")
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    directory = launch(new_spec(small(), Settings(data="digits", epochs=1, device="cpu")))
    view = wait(RunReader(directory), over)
    assert view.trained
    assert (directory / "stdout.log").read_text() == "hello from the trainer\n"
    assert (directory / "stderr.log").read_text() == ""


def test_a_command_that_cannot_be_moved_away_is_no_reason_to_fail(long_run: RunReader) -> None:
    wait(long_run, stepping)
    (long_run.directory / "control" / "in" / "0.json").mkdir()
    send(long_run.directory, "stop")
    view = wait(long_run, over)
    assert (view.state, view.label) == ("finished", "stopped")
    assert [(a.command, a.accepted) for a in view.answers] == [("?", False), ("stop", True)]


def test_a_command_that_comes_too_late_is_told_so(tmp_path: Path) -> None:
    with Desk(tmp_path, 1) as desk:
        send(tmp_path, "pause")
        desk.end("finished", "")
    (answer,) = [event for event in EventReader(tmp_path).poll() if isinstance(event, events.Answer)]
    assert (answer.command, answer.accepted, answer.message) == ("pause", False, "the run has ended")
    assert len(list((tmp_path / "control" / "done").iterdir())) == 1


def test_a_learning_rate_that_is_set_is_the_next_steps_whatever_the_schedule(started: Forks) -> None:
    settings = Settings(data="digits", epochs=2000, schedule="cosine", device="cpu", lr=0.01)
    reader = started.launch(new_spec(small(), settings))
    wait(reader, lambda view: bool(view.train_loss) and view.train_loss[-1][0] > 2000)
    sent = send(reader.directory, "set", lr=0.004)
    view = wait(reader, lambda view: any(answer.id == sent for answer in view.answers))
    (answer,) = [answer for answer in view.answers if answer.id == sent]
    view = wait(reader, lambda view: view.lr[-1][0] > answer.step)
    after = next(rate for step, rate in view.lr if step > answer.step)
    assert after == pytest.approx(0.004, rel=0.02), "not a share of it"
    send(reader.directory, "stop")
    wait(reader, over)
