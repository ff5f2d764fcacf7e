"""Logs as runs of a day leave them behind, written at once."""

from __future__ import annotations

from pathlib import Path

import msgspec

from cnntui.runs.events import Classes, Event, Misread, Probe, Snapshot, Test, Train

STEPS_A_TEST = 1000


def write_day(directory: Path, count: int, attempt: int = 1, first: int = 1) -> None:
    """`events.<attempt>.jsonl` with `count` reports, one a step, and a test, classes and a probe every 1,000 of them.

    The loss of step n is 1/n.
    """
    encoder = msgspec.json.Encoder()
    misread = [Misread(i, 3, 8, 0.9) for i in range(24)]
    with (directory / f"events.{attempt}.jsonl").open("wb") as file:
        for step in range(first, first + count):
            written: list[Event] = [
                Train(step=step, seq=step, t=step / 10, epoch=1, loss=1 / step, lr=0.001, images_per_second=12345.6)
            ]
            if step % STEPS_A_TEST == 0:
                written += [
                    Test(step=step, epoch=1, loss=1 / step, accuracy=0.99, count=10_000),
                    Classes(
                        step=step,
                        epoch=1,
                        counts=[1000] * 10,
                        right=[990] * 10,
                        confusion=[[100] * 10] * 10,
                        misread=misread,
                    ),
                    Probe(
                        step=step,
                        pictures=list(range(10)),
                        labels=list(range(10)),
                        probabilities=[[0.1] * 10] * 10,
                        maps={f"conv{i}": f"{step}-conv{i}.npy" for i in range(16)},
                        scales={f"conv{i}": 1.0 for i in range(16)},
                        channels={f"conv{i}": 64 for i in range(16)},
                    ),
                    Snapshot(step=step, epoch=1, file=f"step-{step}.safetensors"),
                ]
            file.write(encoder.encode_lines(written))
