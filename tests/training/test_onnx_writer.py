"""A trained net as an ONNX file computes what it computes in torch; every failure is one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator

from cnntui.core.network import Network
from cnntui.core.notation import parse
from cnntui.runs.onnx import HOW_TO_GET_ONNX, OnnxError, best_checkpoint, export_onnx
from cnntui.runs.spec import Settings, new_spec
from cnntui.training import checkpoints
from cnntui.training.model import Net, build
from cnntui.training.onnx_writer import exported
from tests.labs.test_program import BLOCKS, TABLES, WRITTEN

SMALL = "conv 4 k5 same; bn; relu; [ id | conv 4 p1; relu ] add; maxpool 2; subsample 2; flatten; linear 3"

pytestmark = [
    pytest.mark.filterwarnings("ignore:Using padding='same'"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # what torch's exporter calls of Python and of torch
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def network(text: str = SMALL) -> Network:
    return parse(text, (1, 12, 12), "small", tables=TABLES)


def trained(net: Network) -> Net:
    """As if trained: statistics of batch norms as well."""
    torch.manual_seed(3)
    model = build(net)
    with torch.no_grad():
        model(torch.randn(16, *net.input))
    return model.eval()


def make_run(directory: Path, text: str = SMALL) -> Path:
    (directory / "checkpoints").mkdir(parents=True)
    spec = new_spec(network(text), Settings(data="digits"))
    (directory / "spec.json").write_bytes(msgspec.json.encode(spec))
    return directory


def save(run: Path, step: int, best: bool = False) -> Net:
    """A checkpoint of random weights, other ones for each step."""
    model = trained(network())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1 + step / 10)
    optimizer = torch.optim.Adam(model.parameters())
    state = checkpoints.State(
        step=step,
        epoch=1,
        lr=0.001,
        best=0.0,
        device="cpu",
        data="digits",
        data_sha256="",
        classes=list("0123456789"),
        mean=[0.1],
        deviation=[0.3],
        spec={},
    )
    checkpoints.save(run, model, optimizer, state, best)
    return model


def computed(document: Any, x: torch.Tensor) -> torch.Tensor:
    """What the reference implementation makes of a batch."""
    (scores,) = ReferenceEvaluator(document).run(None, {"image": x.numpy()})
    return torch.from_numpy(scores)


def test_the_best_checkpoint_becomes_a_file_that_computes_the_same(tmp_path: Path) -> None:
    run, out = make_run(tmp_path / "run"), tmp_path / "net.onnx"
    model = save(run, 1, best=True)
    save(run, 2)
    assert export_onnx(run, out) == "step-1"
    document = onnx.load(out)
    onnx.checker.check_model(document, full_check=True)
    assert "batch×1×12×12" in document.doc_string
    for batch in (1, 2, 5):
        x = torch.rand(batch, 1, 12, 12)
        with torch.no_grad():
            torch.testing.assert_close(computed(document, x), model(x), rtol=1e-4, atol=1e-4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx", "run"]


def test_the_checkpoint_is_the_best_else_the_last_and_never_a_damaged_one(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    assert best_checkpoint(run) is None
    for step in (5, 10, 15):
        save(run, step, best=step == 5)
    directory = run / "checkpoints"

    def found() -> str:
        best = best_checkpoint(run)
        return best.name if best else ""

    assert found() == "step-5"
    weights = directory / "step-5" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    assert found() == "step-15"
    (directory / "step-15" / "MANIFEST.json").unlink()
    assert found() == "step-10"
    (directory / "LAST").write_text("../../elsewhere")
    (directory / "BEST").write_bytes(b"\xff")
    assert found() == "step-10"


# Not in groups: the reference implementation cannot transpose such a convolution.
TRANSPOSED = "tconv 6 k3x2 s2 p1x0 op1 nobias d1x2; dwconv s2; adaptiveavgpool 5x4; subsample 2; adaptiveavgpool 2"


@pytest.mark.parametrize("text", [TRANSPOSED, *map(WRITTEN.get, ("table", "gates", "same", "pictures"))])
def test_every_kind_of_layer_can_be_written(text: str) -> None:
    net = parse(text, (3, 13, 12), "net", BLOCKS, TABLES)
    model = trained(net)
    document = exported(new_spec(net, Settings()), model)
    x = torch.rand(3, *net.input)
    with torch.no_grad():
        torch.testing.assert_close(computed(document, x), model(x), rtol=1e-4, atol=1e-4)


def test_a_run_without_a_checkpoint_or_a_spec_says_so(tmp_path: Path) -> None:
    with pytest.raises(OnnxError, match=r"holds no readable spec\.json$"):
        export_onnx(tmp_path, tmp_path / "net.onnx")
    run = make_run(tmp_path / "run")
    with pytest.raises(OnnxError, match=r"^run has no checkpoint yet: one is saved after each epoch$"):
        export_onnx(run, tmp_path / "net.onnx")


def test_a_file_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    save(run, 1)
    with pytest.raises(OnnxError, match=r"nowhere/net.onnx: there is no such directory$"):
        export_onnx(run, tmp_path / "nowhere" / "net.onnx")
    (tmp_path / "there.onnx").mkdir()
    with pytest.raises(OnnxError, match=r"there.onnx is a directory$"):
        export_onnx(run, tmp_path / "there.onnx")


def test_weights_of_another_net_are_refused_in_one_line(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "flatten; linear 3")
    save(run, 1)
    with pytest.raises(OnnxError, match=r"model.safetensors does not fit the layers of small$"):
        export_onnx(run, tmp_path / "net.onnx")


def test_a_process_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    run, out = make_run(tmp_path / "run"), tmp_path / "net.onnx"
    save(run, 1)
    out.write_text("earlier")
    with pytest.raises(OnnxError, match=r"net.onnx not written within 0.1 s; its process was ended$"):
        export_onnx(run, out, seconds=0.1)
    assert out.read_text() == "earlier"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx", "run"]


def test_a_missing_package_is_named_with_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "onnxscript" else object())
    with pytest.raises(OnnxError) as error:
        export_onnx(make_run(tmp_path / "run"), tmp_path / "net.onnx")
    assert str(error.value) == HOW_TO_GET_ONNX
