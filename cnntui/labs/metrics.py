"""What a run measured, as CSV: a row an event, whole attempts, the ones that a resumed run went back behind as well."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from cnntui.runs.events import EventReader, Test, Train, from_number

COLUMNS = ("attempt", "step", "epoch", "t", "kind", "loss", "lr", "images_per_second", "accuracy")


def metrics(run: Path) -> Iterator[str]:
    """The lines of the table in pieces, the names of the columns first; the log is read a bounded part at a time.

    `t` is in seconds since its attempt began, accuracy from 0 to 1. What an event does not have is empty; a loss may be nan.
    """
    yield _lines([COLUMNS])
    reader = EventReader(run)
    while True:
        rows = [_row(event) for event in reader.poll() if isinstance(event, Train | Test)]
        if rows:
            yield _lines(rows)
        if not reader.more:
            return


def _row(event: Train | Test) -> tuple[object, ...]:
    common = (event.attempt, event.step, event.epoch, event.t)
    if isinstance(event, Train):
        return *common, "train", from_number(event.loss), event.lr, event.images_per_second, ""
    return *common, "test", from_number(event.loss), "", "", event.accuracy


def _lines(rows: Sequence[tuple[object, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
