"""A run of a day, a thousand attempts, ten thousand files: a viewer opens at once and its memory stays flat."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import msgspec
import psutil
import pytest

from cnntui.core.nets import load_net
from cnntui.runs.events import EventReader, Train
from cnntui.runs.launch import create
from cnntui.runs.reader import CURVE_POINTS, PIECE_BYTES, RECENT, RECENT_POINTS, RunReader, RunView
from cnntui.runs.spec import Settings, new_spec
from tests.runs.days import write_day

DAY = 1_000_000
A_POLL = PIECE_BYTES  # bytes


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return create(new_spec(load_net("lenet5").network, Settings()), tmp_path / "run")


def assert_bounded(view: RunView) -> None:
    for curve in (view.train_loss, view.test_loss, view.test_accuracy, view.lr, view.images_per_second):
        assert len(curve) <= CURVE_POINTS + 1
    assert len(view.recent_loss) <= RECENT_POINTS
    for few in (view.tests, view.notices, view.answers):
        assert len(few) <= RECENT
    assert len(view.snapshots) <= 1000
    assert (
        len(msgspec.json.encode([view.train_loss, view.tests, view.classes, view.probe, view.snapshots])) < PIECE_BYTES
    )


def test_a_million_events_are_read_in_bounded_pieces_and_flat_memory(run: Path) -> None:
    write_day(run, DAY)
    size = (run / "events.1.jsonl").stat().st_size
    assert size > 100 << 20
    reader = RunReader(run)
    view = reader.poll()
    assert view.train_loss[0] == (1, 1.0), "the first look shows something"
    assert 0 < view.read <= A_POLL / size
    polls = 1
    while view.read < 0.1:
        polls, view = polls + 1, reader.poll()
    early = psutil.Process().memory_info().rss
    while view.read < 1:
        polls, view = polls + 1, reader.poll()
    assert psutil.Process().memory_info().rss - early < 16 << 20, "of 150 MiB"
    assert polls <= size / A_POLL + 2
    assert view.skipped == 0
    assert_bounded(view)
    assert (view.train_loss[0], view.train_loss[-1]) == ((1, 1.0), (DAY, 1 / DAY))
    assert all(loss == 1 / step for step, loss in view.train_loss)
    steps = [step for step, _ in view.train_loss]
    gaps = {b - a for a, b in pairwise(steps[:-1])}
    assert len(gaps) == 1, "evenly thinned"
    assert view.recent_loss[0][0] == DAY - RECENT_POINTS + 1
    assert view.test_loss[-1][0] == view.tests[-1].step == DAY
    assert view.probe is not None
    assert view.classes is not None
    assert (view.probe.step, view.classes.step, view.snapshots[-1].step) == (DAY, DAY, DAY)


def test_a_thousand_attempts_and_ten_thousand_maps(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each attempt is opened once; ten thousand maps are never even listed."""
    for attempt in range(1, 1001):
        write_day(run, 20, attempt, first=20 * attempt)
        (run / f"attempt-{attempt}.lock").touch()
    for number in range(10_000):
        (run / "maps" / f"{number}-conv1.npy").touch()
    opened: list[Path] = []
    real = EventReader._read

    def counted(self: EventReader, path: Path, *rest: object) -> int:
        opened.append(path)
        return real(self, path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(EventReader, "_read", counted)
    reader = RunReader(run)
    view = reader.poll()
    while view.read < 1:
        view = reader.poll()
    assert len(opened) <= 1000 + (run / "events.1.jsonl").stat().st_size * 1000 // A_POLL + 2
    assert (view.train_loss[0][0], view.train_loss[-1][0]) == (20, 20 * 1000 + 19)
    assert_bounded(view)
    opened.clear()
    reader.poll()
    assert not opened, "nothing is new, nothing is opened"
    with (run / "events.1000.jsonl").open("ab") as file:
        file.write(msgspec.json.encode(Train(step=30_000, epoch=1, loss=0.5, lr=0.1, images_per_second=1.0)) + b"\n")
    assert reader.poll().train_loss[-1] == (30_000, 0.5)
    assert opened == [run / "events.1000.jsonl"]
