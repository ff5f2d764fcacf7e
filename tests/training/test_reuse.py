"""What one run leaves is what another begins with; and TensorBoard is told as it trains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cnntui.core.notation import parse
from cnntui.runs.launch import launch
from cnntui.runs.reader import RunReader
from cnntui.runs.spec import Settings, new_spec
from tests.training.runs import over, wait
from tests.training.test_board import read

NET = parse("conv 8 same; relu; maxpool 2; flatten; linear 10", (1, 8, 8), "small")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ImportWarning")


def test_a_run_begins_with_the_weights_of_another_and_tensorboard_sees_it(tmp_path: Path) -> None:
    first = launch(new_spec(NET, Settings(data="digits", epochs=12, lr=0.01, device="cpu")))
    before = wait(RunReader(first), over)
    assert before.trained, before.message

    settings = Settings(
        data="digits", epochs=1, device="cpu", weights_from=str(first), tensorboard=str(tmp_path / "board")
    )
    second = wait(RunReader(launch(new_spec(NET, settings))), over)
    assert second.trained, second.message
    assert "4 of 4 tensors taken over from" in second.notices[0].message
    assert second.train_loss[0][1] < 0.2 < before.train_loss[0][1], "it knows already"
    assert second.test_accuracy[-1][1] > 0.95

    told = read(tmp_path / "board")
    assert [step for step, _ in told["test/accuracy"]] == [23]
    assert told["train/loss"][-1][1] == float(np.float32(second.train_loss[-1][1])), "in single precision"
    assert {"learning_rate", "images_per_second", "test/loss"} <= told.keys()
