"""Which checkpoint of a run is used: what was asked for, unless it is damaged; and nothing else is opened."""

from __future__ import annotations

import json
import os
import pickle
import sys
from pathlib import Path

import pytest

from cnntui.runs.checkpoints import (
    MANIFEST,
    WEIGHTS,
    WHOLE,
    CheckpointError,
    State,
    demand,
    names,
    read_state,
    search,
)
from cnntui.runs.events import Data, EventWriter, Train
from tests.training.saved import make_run, save


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Steps 5, 10 and 15; the best is the first."""
    made = make_run(tmp_path / "run")
    for step in (5, 10, 15):
        save(made, step, best=step == 5)
    return made


def found(run: Path, which: str, files: tuple[str, ...] = WHOLE) -> tuple[str, tuple[str, ...]]:
    path, refused = search(run, which, files)
    return (path.name, refused) if path else ("", ())


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_each_is_found_by_what_it_is_called(run: Path) -> None:
    assert found(run, "best") == ("step-5", ())
    assert found(run, "last") == ("step-15", ())
    assert found(run, "step-10") == ("step-10", ())
    assert found(run, "step-1") == ("", ())
    assert found(run, "../run/checkpoints/step-5") == ("", ())
    assert names(run) == ["step-15", "step-10", "step-5"]


def test_without_the_pointers_it_is_the_newest(run: Path) -> None:
    (run / "checkpoints" / "LAST").write_text("../../elsewhere")
    (run / "checkpoints" / "BEST").write_bytes(b"\xff")
    assert found(run, "best") == found(run, "last") == ("step-15", ())


@pytest.mark.parametrize("name", WHOLE)
def test_a_flipped_bit_makes_it_the_one_before_with_a_warning(run: Path, name: str) -> None:
    flip(run / "checkpoints" / "step-15" / name)
    assert found(run, "last") == ("step-10", (f"step-15: {name} is not what was saved (another hash)",))
    whole_for_its_weights = found(run, "last", WEIGHTS)[0] == "step-15"
    assert whole_for_its_weights == (name not in WEIGHTS)
    assert found(run, "step-15") == ("", ()), "nothing takes the place of one that was asked for by name"


def test_what_is_truncated_or_missing_is_passed_over(run: Path) -> None:
    os.truncate(run / "checkpoints" / "step-15" / "optimizer.safetensors", 10)
    (run / "checkpoints" / "step-10" / MANIFEST).unlink()
    (run / "checkpoints" / "step-5" / "state.json").unlink()
    assert search(run)[0] is None
    with pytest.raises(CheckpointError) as error:
        demand(run, "best", WHOLE)
    assert str(error.value) == (
        "run has no checkpoint that can be used: step-5: state.json: No such file or directory; "
        "step-15: optimizer.safetensors is not what was saved (another hash); step-10: no readable MANIFEST.json"
    )


def test_why_there_is_none_is_one_line(run: Path, tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"^run has no checkpoint 'step-7': take best, last, step-5, step-10, step-15$"
    ):
        demand(run, "step-7")
    with pytest.raises(CheckpointError, match=r"^empty has no checkpoint yet: one is saved after each epoch$"):
        demand(make_run(tmp_path / "empty"))


class Planted:
    """Unpickled, it leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (str(self.trace),)


def test_a_planted_pickle_is_never_opened(run: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    newest = run / "checkpoints" / "step-15"
    for name in ("model.pt", "optimizer.pkl"):
        (newest / name).write_bytes(pickle.dumps(Planted(trace)))
    opened: list[str] = []
    sys.addaudithook(lambda event, told: opened.append(Path(str(told[0])).name) if event == "open" else None)
    assert found(run, "last") == ("step-15", ())
    assert sorted(opened) == sorted([*WHOLE, "LAST", MANIFEST])
    manifest = json.loads((newest / MANIFEST).read_text())
    (newest / MANIFEST).write_text(json.dumps({**manifest, "model.pt": "0"}))
    assert found(run, "last") == (
        "step-10",
        ("step-15: MANIFEST.json lists 'model.pt', which is neither safetensors nor JSON",),
    )
    assert "model.pt" not in opened
    assert not trace.exists()


def test_an_older_run_says_what_its_log_knows(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    save(run, 1, mean=[], deviation=[], classes=[])
    checkpoint = run / "checkpoints" / "step-1"
    assert read_state(run, checkpoint) == State(step=1, epoch=1, net="small", data="digits")
    log = EventWriter(run)
    log.emit(Train(step=1, epoch=1, loss=1.0, lr=0.1, images_per_second=1.0))
    log.emit(
        Data(
            step=0, name="digits", train=9, test=3, shape=(1, 8, 8), classes=["x", "y"], sha256="", steps=9, mean=[0.3]
        )
    )
    log.close()
    state = read_state(run, checkpoint)
    assert (state.classes, state.mean, state.shape) == (["x", "y"], [0.3], (1, 8, 8))


def test_a_state_that_is_no_state_is_an_empty_one(run: Path) -> None:
    (run / "checkpoints" / "step-5" / "state.json").write_text('{"step": "five"}')
    assert read_state(run, run / "checkpoints" / "step-5") == State()
