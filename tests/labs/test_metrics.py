"""What a run measured, as a table for others."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from cnntui.labs.metrics import COLUMNS, metrics
from cnntui.runs import events
from cnntui.runs.events import EventWriter, Notice, Resume, Train, to_number

LINE = 1 << 20  # what the log is read by


def train(step: int, loss: float) -> Train:
    return Train(step=step, epoch=1, loss=to_number(loss), lr=0.001, images_per_second=1234.5)


def rows(run: Path) -> list[dict[str, str]]:
    return list(csv.DictReader("".join(metrics(run)).splitlines()))


def test_one_row_an_event_of_every_attempt(tmp_path: Path) -> None:
    first = EventWriter(tmp_path)
    for event in (train(1, 2.5), Notice(step=1, message="a, b"), train(2, math.nan)):
        first.emit(event)
    first.emit(events.Test(step=2, epoch=1, loss=0.5, accuracy=0.9375, count=16))
    first.close()
    second = EventWriter(tmp_path, attempt=2)
    second.emit(Resume(step=1, checkpoint="step-1"))
    second.emit(train(2, 0.25))
    second.close()
    found = rows(tmp_path)
    assert tuple(found[0]) == COLUMNS
    assert [(row["attempt"], row["step"], row["kind"]) for row in found] == [
        ("1", "1", "train"), ("1", "2", "train"), ("1", "2", "test"), ("2", "2", "train"),
    ]  # fmt: skip
    assert float(found[0]["loss"]) == 2.5
    assert math.isnan(float(found[1]["loss"]))
    assert (found[2]["accuracy"], found[2]["lr"], found[2]["images_per_second"]) == ("0.9375", "", "")
    assert (found[3]["lr"], found[3]["images_per_second"], found[3]["accuracy"]) == ("0.001", "1234.5", "")


def test_a_run_that_has_measured_nothing_has_only_the_names_of_the_columns(tmp_path: Path) -> None:
    assert "".join(metrics(tmp_path)) == ",".join(COLUMNS) + "\n"


def test_a_long_log_comes_in_pieces_and_whole(tmp_path: Path) -> None:
    count = 30_000
    log = EventWriter(tmp_path)
    for step in range(count):
        log.emit(train(step, step / 7))
    log.flush()
    (path,) = tmp_path.iterdir()
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(b"garbage\n" + b'{"kind":"train","step":9')  # the last line is still being written
    assert size > 3 * LINE
    pieces = list(metrics(tmp_path))
    assert len(pieces) > size // LINE
    assert max(map(len, pieces)) < LINE
    found = list(csv.DictReader("".join(pieces).splitlines()))
    assert [int(row["step"]) for row in found] == list(range(count))
    assert float(found[-1]["loss"]) == (count - 1) / 7
    log.close()
