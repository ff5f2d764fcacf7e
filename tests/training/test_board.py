"""Event files for TensorBoard, read back by tensorboard itself."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest

from cnntui.training.board import HOW_TO_GET_TENSORBOARD, Board, BoardError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ImportWarning")


def read(directory: Path) -> dict[str, list[tuple[int, float]]]:
    """Every curve that TensorBoard shows of a directory."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(directory)).Reload()
    curves: dict[str, list[tuple[int, float]]] = {
        tag: [(each.step, each.value) for each in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]
    }
    return curves


def test_tensorboard_reads_what_was_written(tmp_path: Path) -> None:
    board = Board(tmp_path / "deep" / "board")
    for step in range(1, 101):
        board.scalars(step, train_loss=1 / step, images_per_second=0.5)
    board.scalars(100, test_accuracy=0.75)
    board.close()
    curves = read(tmp_path / "deep" / "board")
    assert set(curves) == {"train/loss", "images_per_second", "test/accuracy"}
    assert curves["test/accuracy"] == [(100, 0.75)]
    assert [step for step, _ in curves["train/loss"]] == list(range(1, 101))
    assert curves["train/loss"][3] == (4, 0.25)


def test_a_loss_that_is_no_number_is_written_as_one(tmp_path: Path) -> None:
    board = Board(tmp_path)
    board.scalars(1, train_loss=math.nan, test_loss=math.inf)
    board.close()
    curves = read(tmp_path)
    assert math.isnan(curves["train/loss"][0][1])
    assert curves["test/loss"] == [(1, math.inf)]


def test_a_run_that_goes_on_hides_what_lies_beyond(tmp_path: Path) -> None:
    first = Board(tmp_path)
    for step in (10, 20, 30):
        first.scalars(step, train_loss=1)
    first.close()
    (older,) = tmp_path.iterdir()
    older.rename(tmp_path / "events.out.tfevents.0000000001.before")  # files are read in the order of their seconds
    second = Board(tmp_path, after=20)
    second.scalars(25, train_loss=2)
    second.close()
    assert read(tmp_path) == {"train/loss": [(10, 1), (20, 1), (25, 2)]}


def test_a_process_that_ends_without_closing_does_not_hang(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from cnntui.training.board import Board;"
        "Board(pathlib.Path(sys.argv[1])).scalars(1, train_loss=0.5)"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(tmp_path)], check=True, timeout=120)


def test_a_directory_that_cannot_be_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BoardError, match=r"^no event files for TensorBoard in .*file/board: Not a directory$"):
        Board(tmp_path / "file" / "board")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_full_disk_is_told_once_and_training_goes_on(tmp_path: Path) -> None:
    """A file-size limit stands for it; it holds for a process of its own."""
    code = """
import resource, signal, sys, pathlib
from cnntui.training.board import Board, BoardError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
board = Board(pathlib.Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
told = 0
for step in range(20_000):
    try:
        board.scalars(step, train_loss=1.0)
    except BoardError as error:
        told += 1
        print(error)
try:
    board.close()
except BoardError as error:
    told += 1
    print(error)
assert told == 1, told
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(tmp_path)],
        check=True, timeout=120, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == f"no event files for TensorBoard in {tmp_path}: File too large\n"


def test_without_tensorboard_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(BoardError) as error:
        Board(tmp_path)
    assert str(error.value) == HOW_TO_GET_TENSORBOARD
