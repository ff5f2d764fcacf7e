"""Runs and nets opened: whose weights, how pictures become inputs, and one line where that cannot be."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from cnntui.core.axis import ImpossibleError
from cnntui.core.explanation import explain
from cnntui.core.forward import forward
from cnntui.core.network import INPUT
from cnntui.core.notation import parse
from cnntui.core.vocabulary import NotationError
from cnntui.labs.opened import Opened, OpenError, Picture, at_moment, open_model, open_picture
from cnntui.runs.places import runs_root
from cnntui.runs.reader import RunReader
from cnntui.runs.spec import Settings, new_spec
from cnntui.runs.test_pictures import gallery_of
from cnntui.runs.weights import moments
from cnntui.training.model import build
from tests.training.forks import forks
from tests.training.runs import over, wait
from tests.training.saved import SMALL, make_run, save

pytestmark = pytest.mark.usefixtures("one_thread")
NET = parse("conv 4 same; bn; relu; [ conv 4 same; tanh | id ] add; maxpool 2; flatten; linear 10", (1, 8, 8), "tiny")


def input_of(opened: Opened, picture: Picture) -> np.ndarray:
    return opened.preparation.prepared(picture.pixels)


def _cache_in(place: str) -> None:
    os.environ["XDG_CACHE_HOME"] = place


def test_a_run_that_was_trained() -> None:
    with forks() as started:
        spec = new_spec(NET, Settings(data="digits", epochs=2, device="cpu"))
        view = wait(started.launch(spec, partial(_cache_in, os.environ["XDG_CACHE_HOME"])), over)
    assert view.trained, view.message
    run = view.directory
    opened = open_model(str(run))
    assert (opened.title, opened.run, opened.notes) == (run.name, run, ())
    assert opened.classes == tuple("0123456789")
    best = (run / "checkpoints" / "BEST").read_text().strip()
    assert opened.moment == f"best checkpoint, step {int(best[5:]):,}"
    picture = open_picture(opened, "test:3")
    gallery = gallery_of(run)
    assert gallery is not None
    assert picture.label == gallery.label(3)
    assert (picture.pixels == gallery.picture(3)).all()
    trace = forward(opened.analysis, opened.parameters, input_of(opened, picture))
    model = build(NET).double().eval()
    model.load_state_dict(load_file(run / "checkpoints" / best / "model.safetensors"))
    x = torch.tensor(input_of(opened, picture))[None]
    with torch.no_grad():
        values = {INPUT: x, **dict(model.trace(x))}
    for node, value in values.items():
        unit = tuple(size // 2 for size in value.shape[1:])
        assert explain(trace, node, unit).value == pytest.approx(float(value[(0, *unit)]), rel=1e-5, abs=1e-9)
    first, *_, last = moments(RunReader(run).poll())
    earlier, later = at_moment(opened, first), at_moment(opened, last)
    assert earlier.moment.endswith(f", step {first.step:,}")
    assert (earlier.parameters["conv1"]["weight"] != later.parameters["conv1"]["weight"]).any()
    file = run / "checkpoints" / best / "model.safetensors"
    of_net = open_model("conv 4 same; bn; relu; [ conv 4 same; tanh | id ] add; maxpool 2; flatten; linear 10",
                        file, (1, 8, 8))  # fmt: skip
    assert (of_net.run, of_net.preparation) == (run, opened.preparation)
    assert (of_net.parameters["conv1"]["weight"] == opened.parameters["conv1"]["weight"]).all()
    with pytest.raises(OpenError, match=r"the weights are not of this net: conv1\.weight is 4×1×3×3, not 6×1×5×5"):
        open_model("lenet5", file)
    with pytest.raises(OpenError, match=r"^test picture 9999: there are 0 to"):
        open_picture(opened, "test:9999")


def test_which_weights() -> None:
    run = make_run(runs_root() / "20260101-120000-small-abcdef")
    none = open_model("last")
    assert none.moment == "untrained, seed 0"
    assert "has no weights yet" in none.notes[0]
    with pytest.raises(OpenError, match=r"how the pictures become inputs of the net is not known"):
        open_picture(none, str(_digit(run)))
    save(run, 5, best=True, shape=[1, 8, 8])
    model = save(run, 10, shape=[1, 8, 8])
    for word in ("last", run.name, str(run), "20260101"):
        assert open_model(word).moment == "best checkpoint, step 5"
    opened = open_model("last", run / "checkpoints" / "step-10")
    assert opened.moment == f"weights of {run / 'checkpoints' / 'step-10'}"
    assert np.allclose(opened.parameters["conv1"]["weight"], model.state_dict()["conv1.weight"].numpy())
    assert opened.classes == ("a", "b", "c")
    picture = open_picture(opened, str(_digit(run)))
    assert input_of(opened, picture).shape == (1, 12, 12)
    assert picture.label is None
    assert input_of(opened, picture).max() == pytest.approx((200 / 255 - 0.25) / 0.5)
    (run / "checkpoints" / "step-5" / "model.safetensors").write_bytes(b"torn")
    torn = open_model("last")
    assert torn.moment == "best checkpoint, step 10"
    assert torn.notes[0].startswith("passed over step-5: ")


def test_what_a_run_calls_things_is_no_command_to_a_terminal() -> None:
    run = make_run(runs_root() / "20260101-120000-small-abcdef")
    save(run, 5, best=True, shape=[1, 8, 8])
    path = run / "checkpoints" / "step-5" / "state.json"
    assert b'"b"' in path.read_bytes()
    state = path.read_bytes().replace(b'"b"', rb'"\u001b[2Jcat\u202e"').replace(b'"c"', rb'"\u0007\u009b"')
    path.write_bytes(state)
    assert open_model("last", path.parent / "model.safetensors").classes == ("a", "[2Jcat", "2")


def _digit(directory: Path) -> Path:
    path = directory / "digit.png"
    pixels = np.zeros((8, 8), np.uint8)
    pixels[2:6, 3:5] = 200
    Image.fromarray(pixels).save(path)
    return path


def test_a_word_that_is_a_run_and_a_net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(runs_root() / "lenet5-mine", SMALL)
    assert open_model("lenet5").run is None, "the beginning of a run's name is the net"
    assert open_model("lenet5-m").run == runs_root() / "lenet5-mine"
    make_run(runs_root() / "lenet5", SMALL)
    assert open_model("lenet5").run == runs_root() / "lenet5"
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "vgg11", SMALL)
    assert open_model("vgg11").run == tmp_path / "vgg11"


def test_a_net_without_a_run(tmp_path: Path) -> None:
    opened = open_model("lenet5", seed=4)
    assert (opened.moment, opened.run) == ("untrained, seed 4", None)
    assert opened.notes == (
        "lenet5 is untrained: its weights are drawn with seed 4",
        "pictures are scaled to 0..1 and no more: how others were prepared is known of runs alone",
    )
    seven = open_picture(opened)
    x = input_of(opened, seven)
    assert (x.shape, x.min(), x.max()) == ((1, 32, 32), 0, 1)
    assert np.allclose(input_of(opened, open_picture(opened, str(_digit(tmp_path)))).max(), 200 / 255)
    assert open_model("conv 2; relu", shape=(3, 5, 5)).classes == ()
    coloured = open_model("conv 2; relu", shape=(3, 5, 5))
    assert input_of(coloured, open_picture(coloured)).shape == (3, 5, 5)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("nothing-of-that-name", r"^no run and no net is called 'nothing-of-that-name'"),
        ("last", r"^there is no run yet"),
        ("conv 6 k9", r"^conv 6 k9: layer conv1: kernel 9 > 5$|layer conv1: kernel 9 > 5$"),
    ],
)
def test_what_cannot_be_opened(word: str, message: str) -> None:
    with pytest.raises(OpenError, match=message):
        open_model(word, shape=(1, 5, 5) if " " in word else None)


def test_errors_of_notation_keep_their_place() -> None:
    with pytest.raises(NotationError) as caught:
        open_model("conv 6; konv 3", shape=(1, 5, 5))
    assert caught.value.excerpt
    with pytest.raises(ImpossibleError):
        open_model("conv 6", shape=(0, 5, 5))


@pytest.mark.parametrize("content", [None, b"", b"no weights"])
def test_weights_that_are_none(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "weights.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OpenError, match=rf"^{path}"):
        open_model("lenet5", path)


@pytest.mark.parametrize("word", ["missing.png", "test:0"])
def test_pictures_that_are_none(word: str) -> None:
    with pytest.raises(OpenError, match=rf"^{word}"):
        open_picture(open_model("lenet5"), word)
