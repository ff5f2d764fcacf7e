"""A trained net as an ONNX file computes what it computes in torch; every failure is one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator

from cnntui.core.notation import parse
from cnntui.runs.checkpoints import State
from cnntui.runs.export import HOW_TO_GET_ONNX, ExportError, export
from cnntui.runs.spec import Settings, new_spec
from cnntui.training.onnx_writer import exported
from tests.labs.test_program import BLOCKS, TABLES, WRITTEN
from tests.training.saved import make_run, save, trained

pytestmark = [
    pytest.mark.filterwarnings("ignore:Using padding='same'"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # what torch's exporter calls of Python and of torch
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def computed(document: Any, x: torch.Tensor) -> torch.Tensor:
    """What the reference implementation makes of a batch."""
    (scores,) = ReferenceEvaluator(document).run(None, {"image": x.numpy()})
    return torch.from_numpy(scores)


def test_the_best_checkpoint_becomes_a_file_that_computes_the_same(tmp_path: Path) -> None:
    run, out = make_run(tmp_path / "run"), tmp_path / "net.onnx"
    model = save(run, 1, best=True)
    save(run, 2)
    assert export(run, out).checkpoint == "step-1"
    document = onnx.load(out)
    onnx.checker.check_model(document, full_check=True)
    assert "batch×1×12×12" in document.doc_string
    assert "by channel: mean 0.25, deviation 0.5." in document.doc_string
    for batch in (1, 2, 5):
        x = torch.rand(batch, 1, 12, 12)
        with torch.no_grad():
            torch.testing.assert_close(computed(document, x), model(x), rtol=1e-4, atol=1e-4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx", "run"]


# Not in groups: the reference implementation cannot transpose such a convolution.
TRANSPOSED = "tconv 6 k3x2 s2 p1x0 op1 nobias d1x2; dwconv s2; adaptiveavgpool 5x4; subsample 2; adaptiveavgpool 2"


@pytest.mark.parametrize("text", [TRANSPOSED, *map(WRITTEN.get, ("table", "gates", "same", "pictures"))])
def test_every_kind_of_layer_can_be_written(text: str) -> None:
    net = parse(text, (3, 13, 12), "net", BLOCKS, TABLES)
    model = trained(net)
    document = exported(new_spec(net, Settings()), model, State())
    x = torch.rand(3, *net.input)
    with torch.no_grad():
        torch.testing.assert_close(computed(document, x), model(x), rtol=1e-4, atol=1e-4)


def test_a_run_without_a_checkpoint_or_a_spec_says_so(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"holds no readable spec\.json$"):
        export(tmp_path, tmp_path / "net.onnx")
    run = make_run(tmp_path / "run")
    with pytest.raises(ExportError, match=r"^run has no checkpoint yet: one is saved after each epoch$"):
        export(run, tmp_path / "net.onnx")


def test_a_file_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    save(run, 1)
    with pytest.raises(ExportError, match=r"nowhere/net.onnx: there is no such directory$"):
        export(run, tmp_path / "nowhere" / "net.onnx")
    (tmp_path / "there.onnx").mkdir()
    with pytest.raises(ExportError, match=r"there.onnx is a directory$"):
        export(run, tmp_path / "there.onnx")


def test_weights_of_another_net_are_refused_in_one_line(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "flatten; linear 3")
    save(run, 1)
    with pytest.raises(ExportError, match=r"model.safetensors does not fit the layers of small$"):
        export(run, tmp_path / "net.onnx")


def test_a_process_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    run, out = make_run(tmp_path / "run"), tmp_path / "net.onnx"
    save(run, 1)
    out.write_text("earlier")
    with pytest.raises(ExportError, match=r"net.onnx not written within 0.1 s; its process was ended$"):
        export(run, out, seconds=0.1)
    assert out.read_text() == "earlier"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx", "run"]


def test_a_missing_package_is_named_with_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "onnxscript" else object())
    with pytest.raises(ExportError) as error:
        export(make_run(tmp_path / "run"), tmp_path / "net.onnx")
    assert str(error.value) == HOW_TO_GET_ONNX
