"""A run that was stopped, killed or damaged goes on as if nothing had happened: on the CPU to the last bit."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import msgspec
import numpy as np
import pytest
from safetensors.numpy import load_file

from cnntui.core.notation import parse
from cnntui.runs import events
from cnntui.runs.control import send
from cnntui.runs.events import EventReader
from cnntui.runs.launch import LaunchError, create, launch, resume
from cnntui.runs.reader import RunReader
from cnntui.runs.spec import Settings, Spec, lock_of, new_spec, read_json
from cnntui.training import loop
from cnntui.training.__main__ import work
from cnntui.training.desk import Desk
from tests.training.runs import over, stepping, trainer, wait

# Two convolutions: only a weight over several channels has another order in memory than it is saved in.
NET = parse("conv 8 same; bn; relu; maxpool 2; conv 8 same; relu; flatten; dropout 0.3; linear 10", (1, 8, 8), "small")
SETTINGS = {"data": "digits", "device": "cpu", "batch_size": 16, "augment": "shift", "label_smoothing": 0.1}


def spec(**changed: object) -> Spec:
    return new_spec(NET, Settings(**{**SETTINGS, "epochs": 6, **changed}))  # type: ignore[arg-type]


def final_tensors(run: Path) -> dict[str, np.ndarray]:
    last = run / "checkpoints" / (run / "checkpoints" / "LAST").read_text()
    return load_file(last / "model.safetensors") | load_file(last / "optimizer.safetensors")


def assert_same(one: Path, two: Path) -> None:
    first, second = final_tensors(one), final_tensors(two)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert value.tobytes() == second[name].tobytes(), name


class Impatient(Desk):
    """Tells the trainer to stop when it comes to a step."""

    stop_at = -1

    def obey(self) -> bool:
        return self.status.step != self.stop_at and super().obey()


def train_here(run: Path, attempt: int, stop_at: int = -1) -> str:
    """One attempt at a run in this process, reported at each step; the message that it ends with."""
    spec = read_json(run / "spec.json", Spec)
    assert spec is not None
    before = signal.getsignal(signal.SIGTERM)
    lock_of(run, attempt).touch()
    try:
        with Impatient(run, attempt) as desk:
            desk.stop_at = stop_at
            assert work(run, spec, desk, attempt) == 0, desk.status.message
        return desk.status.message
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    "changed", [{}, {"optimizer": "sgd", "schedule": "onecycle"}, {"optimizer": "adamw", "schedule": "constant"}]
)
def test_stopped_at_any_step_and_resumed_is_bit_equal_to_never_stopped(
    changed: dict[str, object], monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> None:
    monkeypatch.setattr(loop, "REPORT_SECONDS", 0.0)
    whole, parts = create(spec(epochs=2, **changed)), create(spec(epochs=2, **changed))
    assert not train_here(whole, 1)
    stops = [1, 2, 37, 89, 91, 150]  # of 2 × 90
    for attempt, step in enumerate(stops, start=1):
        assert f"stopped at step {step} of 180" in train_here(parts, attempt, step)
    assert not train_here(parts, len(stops) + 1)
    assert_same(whole, parts)
    one, two = RunReader(whole).poll(), RunReader(parts).poll()
    assert one.train_loss == two.train_loss, "one curve, through all attempts"
    assert one.test_accuracy == two.test_accuracy
    assert [s.step for s in one.snapshots] == [s.step for s in two.snapshots]


def test_killed_and_resumed_is_bit_equal_and_its_curve_has_no_loop() -> None:
    whole, killed = launch(spec(epochs=30)), launch(spec(epochs=30))
    reader = RunReader(killed)
    process = trainer(wait(reader, lambda view: len(view.test_loss) >= 2))
    process.kill()
    view = wait(reader, lambda view: view.state == "crashed" and view.exit is not None)
    assert view.resumable
    assert resume(killed) == 2
    view = wait(reader, over)
    assert view.trained, view.message
    wait(RunReader(whole), over)
    assert_same(whole, killed)
    (back,) = [event for event in EventReader(killed).poll() if isinstance(event, events.Resume)]
    assert back.step % 90 == 0, "the last checkpoint was at the end of an epoch"
    steps = [step for step, _ in view.train_loss]
    assert steps == sorted(set(steps))


def test_a_damaged_checkpoint_is_refused_by_its_hash_and_the_one_before_is_used() -> None:
    run = launch(spec(epochs=100_000))
    reader = RunReader(run)
    wait(reader, lambda view: len(view.test_loss) >= 1)
    send(run, "checkpoint")
    wait(reader, lambda view: any(answer.command == "checkpoint" for answer in view.answers))
    trainer(reader.poll()).kill()
    wait(reader, over)
    newest, before = sorted((run / "checkpoints").glob("step-*"), key=lambda p: -int(p.name[5:]))[:2]
    weights = newest / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    (before / "planted.pkl").write_bytes(b"cos\nsystem\n(S'touch planted'\ntR.")
    resume(run)
    view = wait(reader, lambda view: any(isinstance(e, events.Resume) for e in EventReader(run).poll()))
    (back,) = [event for event in EventReader(run).poll() if isinstance(event, events.Resume)]
    assert back.checkpoint == before.name
    view = wait(reader, lambda view: len(view.notices) >= 1)
    assert f"{newest.name}: model.safetensors is not what was saved" in view.notices[0].message
    assert not newest.exists() or newest.stat().st_mtime > before.stat().st_mtime
    send(run, "stop")
    wait(reader, over)


def test_a_spec_that_was_edited_is_refused_with_the_difference() -> None:
    run = launch(spec(epochs=100_000))
    reader = RunReader(run)
    wait(reader, stepping)
    send(run, "stop")
    wait(reader, over)
    path = run / "spec.json"
    path.write_text(path.read_text().replace('"lr": 0.001', '"lr": 0.1').replace('"conv 8 same"', '"conv 9 same"'))
    edited = read_json(path, Spec)
    assert edited is not None
    assert edited.lr == 0.1
    resume(run)
    view = wait(RunReader(run), lambda view: over(view) and view.exit is not None and view.exit.attempt == 2)
    assert view.state == "failed"
    assert "lr was 0.001, spec.json says 0.1" in view.message
    assert "conv 9 same" in view.message


def test_what_is_going_or_done_is_not_resumed() -> None:
    run = launch(spec(epochs=100_000))
    reader = RunReader(run)
    wait(reader, stepping)
    with pytest.raises(LaunchError, match="is training: there is nothing to resume"):
        resume(run)
    send(run, "stop")
    wait(reader, over)
    (run / "attempt-2.lock").touch()  # somebody else is just beginning
    with pytest.raises(LaunchError, match="is starting: there is nothing to resume"):
        resume(run)

    done = launch(spec(epochs=1))
    wait(RunReader(done), over)
    with pytest.raises(LaunchError, match="was trained to its end"):
        resume(done)


def test_a_run_without_a_checkpoint_begins_anew(tmp_path: Path) -> None:
    run = launch(spec(epochs=1))
    wait(RunReader(run), over)
    copy = tmp_path / run.name
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "checkpoints")
    (copy / "checkpoints").mkdir()
    end = json.loads((copy / "exit.json").read_text())
    (copy / "exit.json").write_bytes(msgspec.json.encode({**end, "code": None, "signal": "SIGKILL"}))
    resume(copy)
    view = wait(RunReader(copy), lambda view: over(view) and view.exit is not None and view.exit.attempt == 2)
    assert view.trained, view.message
    assert_same(run, copy)


def test_commands_of_an_earlier_attempt_are_not_obeyed() -> None:
    run = launch(spec(epochs=100_000))
    reader = RunReader(run)
    view = wait(reader, stepping)
    process = trainer(view)
    process.suspend()
    send(run, "stop")
    process.kill()
    wait(reader, over)
    resume(run)
    view = wait(reader, lambda view: any(answer.command == "stop" for answer in view.answers))
    (answer,) = [answer for answer in view.answers if answer.command == "stop"]
    assert not answer.accepted
    assert "of an attempt before this one" in answer.message
    wait(reader, lambda view: view.state == "training")
    send(run, "stop")
    wait(reader, over)
