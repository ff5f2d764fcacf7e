"""The main job on the real digits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from cnntui.runs import events
from cnntui.runs.events import EventReader
from cnntui.runs.listing import find_run


def test_the_small_net_reaches_99_percent_in_one_command(mnist_root: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "cnntui", "train", "mnist-2conv", "--recipe", "fast", "--epochs", "3"),
            *("--data-dir", str(mnist_root), "--device", "cpu", "--plain"),
        ],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"},
    )
    assert done.returncode == 0, done.stderr
    (test,) = [event for event in EventReader(find_run("last")).poll() if isinstance(event, events.Test)][-1:]
    assert test.count == 10_000
    assert test.accuracy >= 0.99


def test_one_epoch_of_lenet_reads_most_of_the_ten_thousand(mnist_root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cnntui", "train", "lenet5", "--data-dir", str(mnist_root), "--epochs", "1", "--plain"],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    assert "of 10,000 test pictures" in done.stdout
    run = find_run("last")
    (test,) = [event for event in EventReader(run).poll() if isinstance(event, events.Test)]
    assert test.count == 10_000
    assert test.accuracy > 0.95
    listed = subprocess.run(
        [sys.executable, "-m", "cnntui", "runs", "--json"], capture_output=True, text=True, check=True
    )
    (row,) = json.loads(listed.stdout)
    assert (row["data"], row["test_accuracy"], row["state"]) == ("mnist", test.accuracy, "finished")
