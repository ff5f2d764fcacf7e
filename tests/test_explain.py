"""`cnntui explain`, as other programs rely on it."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from cnntui.cli import cli
from cnntui.runs.places import runs_root
from tests.core.readding import readd
from tests.training.saved import make_run, save

KEYS = ["value", "terms", "bias", "pre_activation", "equation", "pixels"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["explain", *arguments], catch_exceptions=False)


def document(*arguments: str) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_the_contract() -> None:
    found = document("lenet5", "--layer", "tanh1", "--unit", "3,10,12")
    assert list(found)[: len(KEYS)] == KEYS
    assert len(found["terms"]) == 25
    first = found["terms"][0]
    assert list(first) == ["from", "weight", "value", "product"]
    assert first["from"] == {"node": "input", "unit": [0, 10, 12]}
    total = math.fsum(term["product"] for term in found["terms"]) + found["bias"]
    assert found["pre_activation"] == pytest.approx(total)
    assert found["value"] == pytest.approx(math.tanh(total))
    outer, inner = found["equation"].split("; ")
    assert outer.startswith("tanh(")
    readd(outer)
    readd(inner)
    assert found["pixels"] == {"rows": [10, 14], "columns": [12, 16]}
    assert (found["net"], found["run"], found["weights"], found["label"]) == ("lenet5", None, "untrained, seed 0", None)
    assert found["read"]["name"] in "0123456789"


def test_padding_and_the_whole_image() -> None:
    corner = document("conv 2 same", "--input", "1,6,6", "--layer", "conv1", "--unit", "1,0,0")
    assert [term["from"] is None for term in corner["terms"]] == [True] * 4 + [False] * 2 + [True] + [False] * 2
    assert corner["pixels"] == {"rows": [0, 1], "columns": [0, 1]}
    score = document("lenet5", "--layer", "linear2", "--unit", "7")
    assert score["pixels"] == {"rows": [0, 31], "columns": [0, 31]}
    assert len(score["terms"]) == 84
    blind = document("pad 3,3,3,3; conv 1 k2", "--input", "1,4,4", "--layer", "conv1", "--unit", "0,0,0")
    assert blind["pixels"] is None
    pixel = document("lenet5", "--layer", "input", "--unit", "0,9,9")
    assert (pixel["terms"], pixel["equation"], pixel["steps"]) == ([], "", [])
    assert pixel["value"] == pixel["pre_activation"]


def test_a_run_in_lines() -> None:
    run_directory = make_run(runs_root() / "20260101-120000-small-abcdef")
    save(run_directory, 5, best=True, shape=[1, 8, 8])
    result = run("last", "--layer", "linear1", "--unit", "2", "--input", str(_dot(run_directory)))
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[0] == "20260101-120000-small-abcdef: best checkpoint, step 5"
    assert lines[1].startswith(f"{run_directory / 'dot.png'}, read as ")
    assert lines[3].startswith("linear1[2] = ")
    assert lines[-1] == "moved by pixel rows 0 to 11, columns 0 to 11, the whole picture"
    refused = run("last", "--layer", "linear1", "--unit", "2", "--input", "1,30,30")
    assert refused.exit_code == 1
    assert "--input 1,30,30: 20260101-120000-small-abcdef is a run, and reads 1,12,12: give a picture" in refused.stderr
    assert max(map(len, lines[2:])) <= 110, "the first two name the run and the file"


def _dot(directory: Path) -> Path:
    path = directory / "dot.png"
    Image.new("L", (8, 8), 90).save(path)
    return path


def test_where_the_largest_products_are_from() -> None:
    found = document("lenet5", "--layer", "conv2", "--unit", "3,4,5")
    most = max(found["terms"], key=lambda term: abs(term["product"]))
    text = " ".join(run("lenet5", "--layer", "conv2", "--unit", "3,4,5").stdout.split())
    told = text.split("the largest products: ")[1].split(", (")[0]
    product, _, source = told.partition(" from ")
    readd(product)
    assert source == f"{most['from']['node']}[{','.join(map(str, most['from']['unit']))}]"
    assert text.endswith("moved by pixel rows 8 to 21, columns 10 to 23")
    pixel = run("lenet5", "--layer", "input", "--unit", "0,9,8").stdout.splitlines()
    assert pixel[-1] == "moved by pixel row 9, column 8"
    assert "there are input" in run("lenet5", "--layer", "", "--unit", "0").stderr
    assert "no layer is called ''" in run("lenet5", "--layer", "", "--unit", "0").stderr
    many = " ".join(run("mnist-2conv", "--layer", "conv2", "--unit", "3,4,5").stdout.split())
    assert "the 32 channels and the bias: " in many


def test_very_many_terms_are_folded() -> None:
    result = run("mnist-2conv", "--layer", "relu3", "--unit", "5")
    equation = result.stdout.split("the 12 largest of 3,136 terms: ")[1].split("\n  the largest products")[0]
    folded, rest = equation.rsplit("\n", 1)
    readd(" ".join(folded.split()))
    assert rest.startswith("  … + 3,124 smaller terms = ")
    assert rest.rsplit(" = ")[1] in folded
    assert "mnist-2conv is untrained: its weights are drawn with seed 0" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lenet5", "--layer", "conv9", "--unit", "0,0,0"], "no layer is called 'conv9'; there are input, conv1, tanh1"),
        (["lenet5", "--layer", "conv1", "--unit", "6,0,0"], "conv1 has no unit 6,0,0: it has channels 0 to 5, rows"),
        (["lenet5", "--layer", "conv1", "--unit", "6,0"], "conv1 is 6×28×28: a unit of it is channel, row, column"),
        (["lenet5", "--layer", "conv1", "--unit", "a"], "--unit a is not written like 3,12,7"),
        (["conv 6 k9", "--input", "1,5,5", "--layer", "conv1", "--unit", "0,0,0"], "layer conv1: kernel 9 > 5"),
        (["conv 6 k9", "--layer", "conv1", "--unit", "0,0,0"], "layers need their input: add --input C,H,W"),
        (["lenet5", "--input", "no.png", "--layer", "conv1", "--unit", "0,0,0"], "no.png: "),
        (["lenet5", "--input", "a", "--input", "b", "--layer", "conv1", "--unit", "0,0,0"], "--input is given once"),
        (["lenet5", "--weights", "no.safetensors", "--layer", "conv1", "--unit", "0,0,0"], "no.safetensors: there is no"),
        (["nothing", "--layer", "conv1", "--unit", "0,0,0"], "no run and no net is called 'nothing'"),
        (["resnet152", "--layer", "conv155x", "--unit", "0,0,0"], "more; like it: conv155"),
    ],
)  # fmt: skip
def test_errors_are_one_line(arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_neither_torch_nor_the_screens_are_loaded() -> None:
    code = (
        "import sys; from cnntui.cli import cli;"
        "cli(['explain', 'lenet5', '--layer', 'conv1', '--unit', '0,0,0'], standalone_mode=False);"
        "sys.exit(sorted({'torch', 'textual'} & set(sys.modules)) != [])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=os.environ, check=False)
    assert done.returncode == 0, done.stderr
