"""A run as lines of text."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from cnntui.core.notation import parse
from cnntui.labs.plain import maps, spread
from cnntui.runs.events import Data, EventWriter, Probe
from cnntui.runs.reader import RunReader, RunView
from cnntui.runs.spec import Settings, new_spec

CLASSES = ["eight", "four", "one"]


def probed(directory: Path, layers: int, classes: list[str] = CLASSES) -> RunView:
    """A run that has looked at test pictures 11, 26 and 40, one of each class; it takes the last for the first."""
    (directory / "maps").mkdir(parents=True)
    spec = new_spec(parse("flatten; linear 3", (1, 4, 4)), Settings())
    (directory / "spec.json").write_bytes(msgspec.json.encode(spec))
    names = ["input", *(f"conv{index}" for index in range(1, layers + 1))]
    for name in names:
        np.save(directory / "maps" / f"{name}.npy", np.full((3, 2, 4, 4), 255, dtype=np.uint8))
    log = EventWriter(directory)
    log.emit(Data(step=0, name="d", train=9, test=50, shape=(1, 4, 4), classes=classes, sha256="", steps=9))
    log.emit(
        Probe(
            step=1,
            pictures=[11, 26, 40],
            labels=[0, 1, 2],
            probabilities=[[1.0, 0, 0], [0, 1.0, 0], [0.75, 0, 0.25]],
            maps={name: f"{name}.npy" for name in names},
            scales=dict.fromkeys(names, 1.5),
            channels=dict.fromkeys(names, 2),
        )
    )
    log.close()
    return RunReader(directory).poll()


def test_classes_are_called_by_their_names(tmp_path: Path) -> None:
    assert next(maps(probed(tmp_path / "a", 1))) == "test picture 40, a one, read as eight (75.00 %)"
    assert next(maps(probed(tmp_path / "b", 1, []))) == "test picture 40, a 2, read as 0 (75.00 %)"


def test_of_many_layers_a_few_are_printed(tmp_path: Path) -> None:
    lines = list(maps(probed(tmp_path / "run", 20)))
    assert [line.split(":")[0] for line in lines if ", full shade" in line] == [
        "input", "conv1", "conv7", "conv14", "conv20",
    ]  # fmt: skip
    assert lines[-1] == f"16 more layers have maps: cnntui attach {tmp_path / 'run'} shows them in a terminal"
    few = list(maps(probed(tmp_path / "few", 4)))
    assert sum(", full shade" in line for line in few) == 5
    assert few[-1].startswith("from zero up")


def test_what_is_spread_has_both_ends() -> None:
    assert spread("abcdef", 2) == ["a", "f"]
    assert spread("abc", 4) == ["a", "b", "c"]
    assert spread("abcde", 4)[0::3] == ["a", "e"]
