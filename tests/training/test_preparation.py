"""What is exported tells how its input is made: a program without cnntui reads the test set as well as the run did."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from safetensors import safe_open

from cnntui.core.layers import Shape
from cnntui.core.nets import NetFile
from cnntui.core.notation import parse
from cnntui.labs.program import pytorch
from cnntui.labs.program.prepare import prepare
from cnntui.labs.program.text import WIDTH
from cnntui.runs import events
from cnntui.runs.checkpoints import State
from cnntui.runs.events import EventReader
from cnntui.runs.preparation import Preparation
from cnntui.runs.spec import Settings, new_spec
from cnntui.training.data import Fitting, digits
from tests.training.saved import make_run, save

pytestmark = pytest.mark.usefixtures("one_thread")

ACCURACY = """
import torch, net
model = net.{name}()
model.load_state_dict(torch.load("net.pt", weights_only=True))
images, labels = torch.load("test", weights_only=True)
with torch.no_grad():
    print(int((model.eval()(net.prepare(images)).argmax(1) == labels).sum()) / len(labels))
"""
SHAPES: dict[str, tuple[tuple[int, int, int], Shape]] = {
    "as it is": ((1, 8, 8), (1, 8, 8)),
    "padded": ((1, 28, 28), (1, 32, 32)),
    "padded oddly": ((3, 5, 6), (3, 8, 7)),
    "grown": ((1, 8, 8), (1, 16, 16)),
    "grown and padded": ((1, 8, 8), (3, 28, 29)),
    "shrunk": ((3, 32, 32), (3, 13, 10)),
    "too high and too narrow": ((1, 40, 9), (1, 28, 28)),
}


def how(picture: tuple[int, int, int] | None, shape: Shape, data: str = "mnist", **more: Any) -> Preparation:
    spec = new_spec(parse("flatten; linear 10", shape), Settings(data=data))
    channels = picture[0] if picture else 1
    known = {"mean": [0.0, 0.4, 0.3][-channels:], "deviation": [0.123456789, 1 / 3, 0.5][:channels], **more}
    return Preparation.of(spec, State(data=data, shape=picture, **known))


def made(of: Preparation) -> Any:
    names: dict[str, Any] = {}
    source = pytorch(NetFile(parse("flatten; linear 10", of.input)), prepare(of))
    assert max(map(len, source.splitlines())) <= WIDTH
    exec(compile(source, "program.py", "exec"), names)
    return names["prepare"]


@pytest.mark.parametrize(("picture", "shape"), SHAPES.values(), ids=SHAPES)
def test_the_program_prepares_as_the_trainer_does(picture: tuple[int, int, int], shape: Shape) -> None:
    of = how(picture, shape)
    images = torch.randint(0, 256, (3, *picture), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    expected = Fitting.restored(shape, of.mean, of.deviation)(images)
    torch.testing.assert_close(made(of)(images), expected, rtol=1e-5, atol=1e-5)


def test_pictures_of_another_size_are_refused_by_the_program() -> None:
    for wrong in (torch.zeros(2, 1, 32, 32, dtype=torch.uint8), torch.zeros(2, 1, 28, 28)):
        with pytest.raises(ValueError, match=r"are not uint8 \(batch, 1, 28, 28\)$"):
            made(how((1, 28, 28), (1, 32, 32)))(wrong)


def test_in_words() -> None:
    rest = "scaled to 0..1, then less the mean and over the deviation of the training pictures, by channel"
    assert how((1, 28, 28), (1, 32, 32), mean=[0.1307], deviation=[0.3081]).words == (
        f"pictures of 28×28, padded with zeros to 32×32, {rest}: mean 0.1307, deviation 0.3081"
    )
    grown = how((1, 8, 8), (3, 28, 28), mean=[0.5], deviation=[0.25]).words
    assert grown.startswith("pictures of 8×8, grown 3 times (bilinear), padded with zeros to 28×28, scaled")
    assert grown.endswith("; grey, the same in all 3 channels")
    assert "shrunk to 13×10 (averaging areas), scaled" in how((3, 32, 32), (3, 13, 10)).words
    assert how(None, (1, 8, 8), mean=[], deviation=[]).words == f"pictures, {rest}"


def test_what_is_not_known_is_not_written() -> None:
    assert prepare(how(None, (1, 8, 8))) == ""
    assert prepare(how((1, 8, 8), (1, 8, 8), mean=[])) == ""


def test_pictures_from_files_are_told_how_they_were_cut() -> None:
    spec = new_spec(parse("flatten; linear 2", (3, 16, 16)), Settings(data="/pets"))
    of = Preparation.of(spec, State(data='pe"""ts\\', shape=(3, 16, 16), mean=[0.5] * 3, deviation=[0.5] * 3))
    assert "ImageOps.fit" in made(of).__doc__
    assert 'Pictures like those of pe"""ts\\' in made(of).__doc__


def test_every_file_tells_how_its_input_is_made(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    save(run, 1, shape=[1, 5, 5])
    words = "pictures of 5×5, grown 2 times (bilinear), padded with zeros to 12×12, scaled to 0..1, "
    for suffix in ("pt", "safetensors", "onnx"):
        said = command("export", str(run), str(tmp_path / f"net.{suffix}"), "--checkpoint", "last").stdout
        assert said.splitlines()[1].startswith(f"input: {words}")
    with safe_open(tmp_path / "net.safetensors", "pt") as file:
        assert file.metadata()["prepare"] == said.splitlines()[1].removeprefix("input: ")
        assert file.metadata()["shape"] == "[1,5,5]"
    assert f"batch×1×12×12: {words}" in onnx.load(tmp_path / "net.onnx").doc_string


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "cnntui", *arguments],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize(
    ("net", "name", "size"),
    [
        (("conv 8 p1; relu; maxpool 2; flatten; linear 10", "--input", "1,8,8"), "Network", "pictures of 8×8, scaled"),
        (("lenet5",), "Lenet5", "pictures of 8×8, grown 4 times (bilinear), scaled"),
        (
            ("conv 6 k5; relu; maxpool 2; flatten; linear 10", "--input", "1,28,28"),
            "Network",
            "pictures of 8×8, grown 3 times (bilinear), padded with zeros to 28×28, scaled",
        ),
    ],
    ids=["8×8", "lenet5", "grown and padded"],
)
def test_the_exported_program_is_as_good_as_the_run(tmp_path: Path, net: tuple[str, ...], name: str, size: str) -> None:
    options = ("--data", "digits", "--epochs", "4", "--lr", "0.003", "--device", "cpu", "--plain")
    run = Path(command("train", *net, *options).stdout.splitlines()[1])
    said = command("export", str(run), str(tmp_path / "net.py")).stdout
    assert said.endswith(", with prepare(pictures)\n")
    said = command("export", str(run), str(tmp_path / "net.pt"), "--checkpoint", "last").stdout
    assert said.splitlines()[1].startswith(f"input: {size} to 0..1, ")
    data = digits()
    torch.save((data.test_images, data.test_labels), tmp_path / "test")
    (tmp_path / "accuracy.py").write_text(ACCURACY.format(name=name))
    done = subprocess.run([sys.executable, "accuracy.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    *_, own = (event.accuracy for event in EventReader(run).poll() if isinstance(event, events.Test))
    assert float(done.stdout) == own > 0.5
