"""The event log: what is written is read once, and nothing that goes wrong with the file stops a reader."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from cnntui.runs.events import EventReader, EventWriter, Notice, Train, from_number, to_number
from cnntui.runs.reader import CURVE_POINTS, Curve


def notices(reader: EventReader) -> list[str]:
    return [event.message for event in reader.poll() if isinstance(event, Notice)]


def write(path: Path, *lines: str, mode: str = "a") -> None:
    with path.open(mode, encoding="utf-8") as file:
        file.write("".join(lines))


def line(message: str, **extra: object) -> str:
    return json.dumps({"v": 1, "kind": "notice", "step": 1, "message": message, **extra}) + "\n"


def test_events_are_numbered_and_read_once(tmp_path: Path) -> None:
    writer, reader = EventWriter(tmp_path), EventReader(tmp_path)
    writer.emit(Notice(step=1, message="a"))
    writer.emit(Notice(step=2, message="b"))
    assert not reader.poll(), "nothing is there before it is flushed"
    writer.flush()
    events = reader.poll()
    assert [(event.seq, event.step) for event in events] == [(1, 1), (2, 2)]
    assert not reader.poll()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.5])
def test_every_line_is_json_whatever_the_loss(tmp_path: Path, value: float) -> None:
    writer = EventWriter(tmp_path)
    writer.emit(Train(step=1, epoch=1, loss=to_number(value), lr=0.1, images_per_second=1.0))
    writer.close()
    text = (tmp_path / "events.1.jsonl").read_text()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    (event,) = EventReader(tmp_path).poll()
    assert isinstance(event, Train)
    assert repr(from_number(event.loss)) == repr(value)


def test_a_torn_last_line_is_unseen_then_seen_exactly_once(tmp_path: Path) -> None:
    path, reader = tmp_path / "events.1.jsonl", EventReader(tmp_path)
    whole = line("whole") + line("torn")
    write(path, whole[:-20])
    assert notices(reader) == ["whole"]
    assert notices(reader) == []
    write(path, whole[-20:])
    assert notices(reader) == ["torn"]
    assert reader.skipped == 0


def test_garbage_unknown_kinds_and_newer_versions_are_skipped_and_counted(tmp_path: Path) -> None:
    path, reader = tmp_path / "events.1.jsonl", EventReader(tmp_path)
    write(
        path, line("a"), "garbage\n", '{"kind":"from the future","step":1}\n', line("new", v=2), "\x00\xff\n", line("b")
    )
    assert notices(reader) == ["a", "b"]
    assert reader.skipped == 4


def test_a_short_write_leaves_the_next_record_a_line_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, reader = EventWriter(tmp_path), EventReader(tmp_path)
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:-10]))
    writer.emit(Notice(step=1, message="cut short"))
    writer.flush()
    monkeypatch.setattr(os, "write", real)
    writer.emit(Notice(step=2, message="whole"))
    writer.flush()
    assert notices(reader) == ["whole"]
    assert reader.skipped == 1


def test_a_replaced_or_shrunken_file_is_read_again(tmp_path: Path) -> None:
    path, reader = tmp_path / "events.1.jsonl", EventReader(tmp_path)
    write(path, line("a"), line("b"))
    assert notices(reader) == ["a", "b"]
    write(path, line("c"), mode="w")
    assert notices(reader) == ["c"]
    assert reader.restarted
    replacement = tmp_path / "other"
    write(replacement, line("d"), line("e"), line("f"))
    replacement.replace(path)
    assert notices(reader) == ["d", "e", "f"]


def test_attempts_are_read_in_their_order(tmp_path: Path) -> None:
    for attempt in (10, 2, 1):
        write(tmp_path / f"events.{attempt}.jsonl", line(str(attempt)))
    assert notices(EventReader(tmp_path)) == ["1", "2", "10"]


def test_reads_are_bounded(tmp_path: Path) -> None:
    write(tmp_path / "events.1.jsonl", *(line(f"{i:05}") for i in range(1000)))
    reader = EventReader(tmp_path)
    first = reader.poll(max_bytes=10_000)
    assert 0 < len(first) < 1000
    seen = len(first)
    while events := reader.poll(max_bytes=10_000):
        seen += len(events)
    assert seen == 1000


def test_a_line_longer_than_a_read_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "events.1.jsonl", "x" * 5000 + "\n", line("after"))
    reader = EventReader(tmp_path)
    found: list[str] = []
    for _ in range(10):
        found += [event.message for event in reader.poll(max_bytes=1000) if isinstance(event, Notice)]
    assert found == ["after"]


def test_a_curve_stays_bounded_and_keeps_its_ends() -> None:
    curve = Curve()
    for x in range(1_000_000):
        curve.add(x, -x)
    points = curve.points
    assert len(points) <= CURVE_POINTS + 1
    assert points[0] == (0, 0)
    assert points[-1] == (999_999, -999_999)
    assert points == tuple(sorted(points))


def test_a_budget_that_ends_between_two_attempts_loses_nothing(tmp_path: Path) -> None:
    first, second = line("first"), line("second")
    write(tmp_path / "events.1.jsonl", first)
    write(tmp_path / "events.2.jsonl", second)
    for room in range(len(first), len(first) + len(second) + 2):
        reader = EventReader(tmp_path)
        found: list[str] = []
        for _ in range(5):
            found += [event.message for event in reader.poll(max_bytes=room) if isinstance(event, Notice)]
        assert found == ["first", "second"], room


def test_a_reader_says_whether_there_is_more(tmp_path: Path) -> None:
    write(tmp_path / "events.1.jsonl", *(line(f"{i:05}") for i in range(100)))
    reader = EventReader(tmp_path)
    reader.poll(max_bytes=1000)
    assert reader.more
    while reader.more:
        reader.poll(max_bytes=1000)
    assert not reader.poll()
