"""Weights of a run in other hands: exported, and taken over by another net."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from cnntui.core.nets import NetFile
from cnntui.core.notation import parse
from cnntui.labs.program import pytorch
from cnntui.runs.checkpoints import MODEL, State
from cnntui.runs.export import ExportError, export
from cnntui.runs.spec import Settings, Spec, new_spec, read_json
from cnntui.training.model import build
from cnntui.training.weights import WeightsError, read, take_over
from cnntui.training.weights_writer import metadata, named_as_in
from tests.labs.test_program import BLOCKS, TABLES, WRITTEN, executed
from tests.training.saved import SMALL, make_run, network, save, trained

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:Using padding='same'"),
]

SCORES = """
import sys, torch
from net import *
net = {name}().eval()
net.load_state_dict(torch.load(sys.argv[1], weights_only=True), strict=True)
with torch.no_grad():
    torch.save(net(torch.load(sys.argv[2], weights_only=True)), sys.argv[3])
"""


def program_of(run: Path) -> str:
    spec = read_json(run / "spec.json", Spec)
    assert spec is not None
    return pytorch(NetFile(spec.network))


# -- exported


@pytest.mark.parametrize("suffix", [".pt", ".pth"])
def test_a_state_dict_fits_the_printed_program_and_scores_the_same(tmp_path: Path, suffix: str) -> None:
    """All of it as a user does: the program in a process of its own, which knows nothing of cnntui."""
    run = make_run(tmp_path / "run")
    model = save(run, 1, best=True)
    save(run, 2)
    source = program_of(run)
    assert export(run, tmp_path / f"net{suffix}", program=source).checkpoint == "step-1"
    (tmp_path / "net.py").write_text(source)
    (tmp_path / "scores.py").write_text(SCORES.format(name="Small"))
    x = torch.rand(4, 1, 12, 12)
    torch.save(x, tmp_path / "x")
    subprocess.run([sys.executable, "scores.py", f"net{suffix}", "x", "y"], cwd=tmp_path, check=True)
    with torch.no_grad():
        torch.testing.assert_close(torch.load(tmp_path / "y", weights_only=True), model(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
def test_every_kind_of_net_has_the_names_of_its_program(text: str) -> None:
    given = parse(text, (3, 13, 12), "net", BLOCKS, TABLES)
    net = new_spec(given, Settings()).network
    source = pytorch(NetFile(net))
    theirs, mine = trained(net), executed(source)
    assert list(executed(pytorch(NetFile(given))).state_dict()) == list(mine.state_dict()), "as inspect NET prints it"
    mine.load_state_dict(named_as_in(source, theirs), strict=True)
    x = torch.rand(2, *net.input)
    with torch.no_grad():
        torch.testing.assert_close(mine(x), theirs(x), rtol=1e-4, atol=1e-4, equal_nan=True)


def test_safetensors_carry_the_names_of_the_layers_and_say_what_they_are_of(tmp_path: Path) -> None:
    run, out = make_run(tmp_path / "run"), tmp_path / "net.safetensors"
    model = save(run, 7)
    assert export(run, out, "last").checkpoint == "step-7"
    tensors = load_file(out)
    assert tensors.keys() == model.state_dict().keys()
    assert all(torch.equal(tensors[name], tensor) for name, tensor in model.state_dict().items())
    with safe_open(out, "pt") as file:
        told = file.metadata()
    assert (told["net"], told["data"], told["step"]) == ("small", "digits", "7")
    assert json.loads(told["mean"]) + json.loads(told["deviation"]) == [0.25, 0.5]
    again = parse("\n".join(json.loads(told["layers"])), tuple(json.loads(told["input"])), told["net"])
    build(again).load_state_dict(tensors, strict=True)


def test_what_is_not_known_is_not_said() -> None:
    plain = new_spec(parse("flatten; linear 3", (1, 4, 4)), Settings())
    assert metadata(plain, State()).keys() == {"net", "data", "step", "input", "layers", "prepare"}


def test_a_damaged_checkpoint_is_passed_over_and_told(tmp_path: Path) -> None:
    run, out = make_run(tmp_path / "run"), tmp_path / "net.safetensors"
    model = save(run, 1)
    save(run, 2, best=True)
    (run / "checkpoints" / "step-2" / MODEL).write_bytes(b"no tensors")
    written = export(run, out)
    assert written.checkpoint == "step-1"
    assert written.refused == (f"step-2: {MODEL} is not what was saved (another hash)",)
    assert torch.equal(load_file(out)["linear1.weight"], model.state_dict()["linear1.weight"])


@pytest.mark.parametrize(
    ("name", "which", "message"),
    [
        ("nowhere/net.pt", "best", r"nowhere/net\.pt: there is no such directory$"),
        ("net.pt", "step-9", r"^run has no checkpoint 'step-9': take best, last, step-1$"),
        ("run.pt", "best", r"run\.pt is a directory$"),
    ],
)
def test_a_file_that_cannot_be_is_told_in_one_line(tmp_path: Path, name: str, which: str, message: str) -> None:
    run = make_run(tmp_path / "run")
    save(run, 1)
    (tmp_path / "run.pt").mkdir()
    with pytest.raises(ExportError, match=message):
        export(run, tmp_path / name, which, program_of(run))


# -- taken over


def test_a_new_head_keeps_what_it_began_with(tmp_path: Path) -> None:
    """Ten classes instead of three: all but the last layer is taken over."""
    run = make_run(tmp_path / "run")
    theirs = save(run, 46, best=True).state_dict()
    model = build(network(SMALL.replace("linear 3", "linear 10")))
    began = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    taken = take_over(model, run)
    new = {"linear1.weight", "linear1.bias"}
    assert set(taken.kept) == began.keys() - new
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, began[name] if name in new else theirs[name]), name
    assert taken.summary == (
        "11 of 13 tensors taken over from run step-46; new: linear1.weight 10×36 (there 3×36), linear1.bias 10 (there 3)"
    )
    assert model.training


def test_layers_more_and_layers_less_are_told(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "conv 4; conv 8; flatten; linear 3")
    save(run, 1, model=trained(network("conv 4; conv 8; flatten; linear 3")))
    model = build(network("conv 4; bn; flatten; linear 3"))
    taken = take_over(model, run)
    assert taken.kept == ("conv1.weight", "conv1.bias", "linear1.bias")
    assert taken.summary == (
        "3 of 9 tensors taken over from run step-1; new: bn1.weight 4, bn1.bias 4, bn1.running_mean 4 and 3 more; "
        "left: conv2.bias 8, conv2.weight 8×4×3×3"
    )


def test_nothing_that_fits_is_an_error_which_says_why(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    save(run, 1)
    model = build(network("conv 5 k3; bn; flatten; linear 9"))
    began = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(WeightsError) as error:
        take_over(model, run)
    assert str(error.value).startswith(
        "no layer of run step-1 has the name and the size of one here; new here: conv1.weight 5×1×3×3 (there 4×1×5×5), "
    )
    assert all(torch.equal(tensor, began[name]) for name, tensor in model.state_dict().items())


def test_a_damaged_best_gives_its_weights_to_nobody(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    first = save(run, 1)
    save(run, 2, best=True)
    weights = run / "checkpoints" / "step-2" / MODEL
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x55")
    model = build(network())
    taken = take_over(model, run)
    assert taken.source == "run step-1"
    assert taken.refused == (f"step-2: {MODEL} is not what was saved (another hash)",)
    assert torch.equal(model.state_dict()["conv1.weight"], first.state_dict()["conv1.weight"])


def test_a_run_without_weights_says_so(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"^run has no checkpoint yet: one is saved after each epoch$"):
        read(make_run(tmp_path / "run"))
