"""The commands and their contracts, as other programs rely on them."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import psutil
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from click.testing import CliRunner, Result

from cnntui import __version__
from cnntui.cli import cli
from cnntui.commands.training import train
from cnntui.core.images import picture
from cnntui.core.kernels import load_kernels
from cnntui.runs.checkpoints import names
from cnntui.runs.reader import SILENT_SECONDS, RunReader, RunView
from cnntui.runs.spec import RECIPES
from tests.training.saved import make_run

KEYS = {"name", "op", "text", "inputs", "output", "params", "macs", "rf", "error", "buffers", "memory", "gated"}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), catch_exceptions=False)


def document(*arguments: str) -> Any:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def process(*arguments: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cnntui", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        check=False,
    )


# -- inspect


def test_inspect_vgg16() -> None:
    found = document("inspect", "vgg16", "--json")
    assert (found["params"], found["macs"]) == (138_357_544, 15_470_264_320)
    assert (found["name"], found["input"], found["error"]) == ("vgg16", [3, 224, 224], None)
    assert all(set(layer) == KEYS for layer in found["layers"])
    pools = [layer for layer in found["layers"] if layer["op"] == "maxpool"]
    assert pools[-1]["rf"] == {"size": [212, 212], "jump": [32, 32], "start": [15.5, 15.5]}
    assert found["layers"][-1]["rf"] is None, "the whole image"
    assert found["layers"][0] | {"rf": None} == {
        "name": "conv1",
        "op": "conv",
        "text": "conv 64 p1",
        "inputs": ["input"],
        "output": [64, 224, 224],
        "params": 1792,
        "macs": 86_704_128,
        "buffers": 0,
        "memory": 0,
        "gated": False,
        "rf": None,
        "error": None,
    }
    assert sum(layer["params"] for layer in found["layers"]) == found["params"]


def test_inspect_prints_a_table() -> None:
    result = run("inspect", "lenet5")
    assert result.exit_code == 0
    for text in ("conv 6 k5", "6×28×28", "61,706", "416,520"):
        assert text in result.output


def test_a_broken_net_keeps_its_facts_and_exits_1() -> None:
    result = run("inspect", "conv 6; conv 8 k9; relu", "--input", "1,8,8", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["error"] == "layer conv2: kernel 9 > 6"
    first, second, third = found["layers"]
    assert (first["output"], first["params"], first["error"]) == ([6, 6, 6], 60, None)
    assert second["output"] is None
    assert second["error"] == {"message": "kernel 9 > 6", "fix": ["conv 8 k6", "conv 8 k9 p2"]}
    assert (third["output"], third["error"]) == (None, None)
    plain = run("inspect", "conv 6; conv 8 k9; relu", "--input", "1,8,8")
    assert plain.exit_code == 1
    assert "layer conv2: kernel 9 > 6 (works: conv 8 k6, or conv 8 k9 p2)" in plain.stderr
    assert "6×6×6" in plain.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["inspect", "lenet6"], "no net is called 'lenet6'"),
        (["inspect", "conv 6"], "--input"),
        (["inspect", "conv 6", "--input", "8,8"], "is not channels,height,width"),
        (["inspect", "nowhere.toml"], "nowhere.toml: No such file"),
        (["convolve", "--input", "[[1]]"], "give both --input and --kernel"),
        (["convolve", "--input", "[[1]]", "--kernel", "nope"], "no kernel is called 'nope'"),
        (["convolve", "--input", "[[1],[1,2]]", "--kernel", "box"], "not all of one length"),
        (["convolve", "--input", "nowhere.png", "--kernel", "box"], "nowhere.png: No such file"),
        (["convolve", "--input", "[[1]]", "--kernel", "box"], "kernel 3 > 1 (works: kernel 1, or padding 1)"),
        (["convolve", "--input", "[[1,2]]", "--kernel", "2", "--op", "max", "--padding", "5"], "padding 5 > 1"),
        (["convolve", "--input", "[[1]]", "--kernel", "[[1]]", "--op", "fft"], "none of conv, true-conv"),
        (["convolve", "--input", "[[1]]", "--kernel", "[[1]]", "--at", "5,5"], "outside the output of 1×1×1"),
        (["convolve", "--input", "[[1]]", "--kernel", "[[1]]", "--stride", "0"], "whole number from 1"),
        (["convolve", "--input", "[[1]]", "--kernel", "[[1]]", "--stride", "²"], "whole number from 1"),
        (["convolve", "--input", "[[1,2", "--kernel", "box"], "is not written like [[1,2],[3,4]]"),
        (["convolve", "--stride", "2"], "give both --input and --kernel"),
        (["convolve", "--input", "plus", "--kernel", "box", "--padding", "some"], "--padding 'some' is none of valid"),
        (["convolve", "--input", "plus", "--kernel", "box", "--activation", "tan"], "--activation 'tan' is none of"),
        (["convolve", "--input", "plus", "--kernel", "box", "--do", "fly"], "--do 'fly': no move is called 'fly'"),
        (["convolve", "--input", "plus", "--kernel", "2", "--op", "max", "--show", "kernel"], "a pool has no kernel"),
        (["convolve", "--input", "plus", "--kernel", "2", "--op", "max", "--show", "matrix"], "a pool is no product"),
        (["runs", "--root", "/nowhere"], "/nowhere is no directory"),
        (["train", "lenet5", "--data-dir", "/nowhere"], "data directory /nowhere does not exist"),
        (
            ["convolve", "--input", "[[1]]", "--kernel", "[[1]]", "--bias", "[1,2]"],
            "2 numbers, but there are 1 filters",
        ),
        (["train", "lenet5", "--epochs", "0"], "epochs 0 is not from 1 to"),
        (["train", "lenet5", "--data", "imagenet"], "data 'imagenet' is none of"),
        (["train", "conv 3", "--input", "1,8,8"], "not in one score a class"),
        (["attach", "last"], "there is no run yet"),
        (["stop", "nothing"], "no run is called 'nothing'"),
        (["set", "last", "lr=fast"], "lr=fast: 'fast' is not a number: write one like 0.0005"),
        (["set", "last", "lr=0"], "lr=0: a learning rate is above 0"),
        (["set", "last", "lr=11"], "lr=11: 11 is too large"),
        (["set", "last", "speed=3"], "write lr=0.0005, layer=conv1, or picture=7"),
        (["set", "last", "picture=-1"], "picture=7, a number of the test set"),
        (["set", "last", "layer="], "'layer=' is not understood"),
        (["checkpoint", "last"], "there is no run yet"),
        (["resume", "last"], "there is no run yet"),
        (["predict", "last"], "give a picture file, or --test N"),
        (["predict", "last", "x.png"], "there is no run yet"),
        (["train", "--from", "last"], "there is no run yet"),
        (["train", "lenet5", "--label-smoothing", "1"], "label smoothing 1.0 is not from 0 to below 1"),
        (["train", "lenet5", "--weight-decay", "-1"], "weight decay -1.0 is below 0"),
        (
            ["train", "lenet5", "--augment", "flip", "--data", "mnist"],
            "augment 'flip' would mirror the digits of mnist",
        ),
        (["train", "lenet5", "--precision", "float16"], "precision 'float16' is none of auto, float32, bfloat16"),
        (["learn", "nope"], "no lesson is called 'nope'"),
        (["build", "nope"], "no net is called 'nope'"),
        ([], "the screens need a terminal"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


# -- convolve


def test_convolve_agrees_with_torch() -> None:
    kernels, _ = load_kernels()
    x = picture("seven")
    for name, kernel in kernels.items():
        found = document(
            "convolve", "--input", "seven", "--kernel", name, "--padding", "2", "--stride", "2x1", "--json"
        )
        weight = torch.tensor(kernel.weights, dtype=torch.float64)[None, None] / kernel.divisor
        expected = F.conv2d(torch.from_numpy(x)[None], weight, padding=2, stride=(2, 1))[0, 0]
        np.testing.assert_allclose(found["output"], expected, atol=1e-9)
        assert found["shape"] == list(expected.shape)


def test_a_cell_is_taken_apart() -> None:
    found = document(
        "convolve",
        "--input",
        "square",
        "--kernel",
        "sobel-x",
        "--padding",
        "1",
        "--at",
        "0,0",
        "--bias",
        "0.5",
        "--json",
    )
    assert set(found) == {"output", "shape", "taps", "bias", "sum", "equation"}
    assert len(found["taps"]) == 9
    assert found["taps"][0] == {"input": None, "value": 0, "weight": -1, "product": 0}
    assert found["taps"][4]["input"] == [0, 0, 0]
    assert sum(tap["product"] for tap in found["taps"]) + 0.5 == found["sum"] == found["output"][0][0]
    assert found["equation"].endswith("+ 0.5 = 0.5")


@pytest.mark.parametrize(("kernel", "op"), [("box", "conv"), ("gaussian-3", "true-conv"), ("3", "avg")])
def test_the_products_add_up_to_the_sum_whatever_divides_them(kernel: str, op: str) -> None:
    found = document("convolve", "--input", "seven", "--kernel", kernel, "--op", op, "--at", "2,2", "--json")
    assert sum(tap["product"] for tap in found["taps"]) == pytest.approx(found["sum"])


def test_every_operation() -> None:
    grid = [[1, 2, 3], [4, 5, 6], [7, 8, 10]]
    x = torch.tensor(grid, dtype=torch.float64)[None, None]
    w = torch.tensor([[1.0, 2], [3, -1]], dtype=torch.float64)[None, None]
    cases = {
        ("conv", "[[1,2],[3,-1]]"): F.conv2d(x, w),
        ("true-conv", "[[1,2],[3,-1]]"): F.conv2d(x, w.flip(2, 3)),
        ("transposed", "[[1,2],[3,-1]]"): F.conv_transpose2d(x, w),
        ("max", "2"): F.max_pool2d(x, 2),
        ("avg", "2"): F.avg_pool2d(x, 2),
    }
    for (op, kernel), expected in cases.items():
        found = document(
            "convolve", "--input", json.dumps(grid), "--kernel", kernel, "--op", op, "--json", "--at", "0,0"
        )
        assert found["output"] == expected[0, 0].tolist()
        assert found["sum"] == found["output"][0][0]


def test_channels_filters_and_groups() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.integers(-3, 4, (4, 5, 5)), rng.integers(-3, 4, (6, 2, 3, 3))
    found = document(
        "convolve", "--input", json.dumps(x.tolist()), "--kernel", json.dumps(w.tolist()), "--groups", "2",
        "--bias", "[0,1,2,3,4,5]", "--at", "4,1,1", "--json",
    )  # fmt: skip
    expected = F.conv2d(torch.tensor(x)[None].double(), torch.tensor(w).double(), torch.arange(6.0).double(), groups=2)
    assert found["output"] == expected[0].tolist()
    assert found["sum"] == expected[0, 4, 1, 1]
    assert {tap["input"][0] for tap in found["taps"]} == {2, 3}, "the second group reads the last two channels"


def test_files_as_input(tmp_path: Path) -> None:
    (tmp_path / "g.csv").write_text("1,2\n3,4\n")
    assert document("convolve", "--input", str(tmp_path / "g.csv"), "--kernel", "[[1]]", "--json")["output"] == [
        [1, 2],
        [3, 4],
    ]


def lab(*arguments: str) -> Any:
    return document("convolve", "--input", "seven", *arguments, "--json")


def test_everything_that_the_screen_can_set() -> None:
    x = torch.from_numpy(picture("seven"))
    sobel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], dtype=torch.float64)[None, None]
    cases: dict[tuple[str, ...], torch.Tensor] = {
        ("--kernel", "sobel-x", "--padding", "same", "--activation", "relu"): F.conv2d(x, sobel, padding="same").relu(),
        ("--kernel", "sobel-x", "--padding", "1,0,2,0"): F.conv2d(F.pad(x, (1, 0, 2, 0)), sobel),
        ("--kernel", "sobel-x", "--padding", "full"): F.conv2d(x, sobel, padding=2),
        ("--kernel", "3", "--op", "max", "--stride", "2", "--ceil"): F.max_pool2d(x, 3, 2, ceil_mode=True),
        ("--kernel", "3", "--op", "avg", "--padding", "1", "--nopad"): F.avg_pool2d(
            x, 3, padding=1, count_include_pad=False
        ),
        ("--kernel", "5x2", "--op", "adaptive-avg"): F.adaptive_avg_pool2d(x, (5, 2)),
        ("--kernel", "1", "--op", "adaptive-max"): F.adaptive_max_pool2d(x, 1),
        ("--kernel", "sobel-x", "--op", "transposed", "--stride", "2", "--output-padding", "1"): F.conv_transpose2d(
            x, sobel, stride=2, output_padding=1
        ),
        ("--kernel", "box", "--do", "magnitude sobel-x sobel-y"): F.conv2d(x, torch.cat([sobel, sobel.transpose(2, 3)]))
        .square()
        .sum(0, keepdim=True)
        .sqrt(),
    }
    for arguments, expected in cases.items():
        found = lab(*arguments)
        np.testing.assert_allclose(found["output"], expected[0], atol=1e-9, err_msg=str(arguments))


def test_an_activation_is_told_apart_from_the_sum() -> None:
    found = lab("--kernel", "sobel-x", "--activation", "relu", "--at", "3,9")
    assert found["sum"] < 0
    assert found["activation"] == {"name": "relu", "value": 0}
    assert found["output"][3][9] == 0


def test_the_other_directions() -> None:
    pixel = lab("--kernel", "sobel-x", "--do", "pixel 5,6")
    assert len(pixel["products"]) == 9
    assert {tuple(product["input"]) for product in pixel["products"]} == {(0, 5, 6)}
    tap = lab("--kernel", "sobel-x", "--do", "padding 1", "--do", "tap 0,0")
    assert len(tap["products"]) == 144
    assert tap["products"][0] == {"output": [0, 0, 0], "input": None, "value": 0, "weight": -1, "product": 0}
    printed = run("convolve", "--input", "square", "--kernel", "sobel-x", "--do", "pixel 3,3").stdout
    assert "input 3,3 = 1 goes into 9 output cells, each by another weight:" in printed


def test_the_other_grids_and_forms() -> None:
    arguments = ["convolve", "--input", "square", "--kernel", "sobel-x"]
    patches = np.array(document(*arguments, "--show", "im2col", "--json")["im2col"])
    kernel = np.array(document(*arguments, "--show", "kernel", "--json")["kernel"])
    output = np.array(document(*arguments, "--json")["output"])
    assert (patches @ kernel.ravel() == output.ravel()).all()
    matrix = np.array(document(*arguments, "--show", "matrix", "--json")["matrix"])
    assert (matrix @ picture("square").ravel() == output.ravel()).all()
    assert run(*arguments, "--csv").stdout.splitlines()[1] == "3,3,0,-3,-3"
    for code in ("pytorch", "numpy"):
        names: dict[str, Any] = {}
        exec(run(*arguments, "--code", code).stdout, names)
        assert (np.asarray(names["y"])[0] == output).all()


def test_a_state_is_saved_and_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "state.toml"
    arguments = ["--input", "seven", "--kernel", "box", "--padding", "same", "--do", "cell 2,3"]
    assert run("convolve", *arguments, "--save", str(path)).stdout == ""
    assert document("convolve", str(path), "--json") == document("convolve", *arguments[:-2], "--json")
    assert run("convolve", str(path)).stdout.startswith("1×12×12 -> 1×12×12")
    for wrong, message in (
        ([str(path), "--stride", "2"], "says it all already: leave out --stride"),
        ([str(tmp_path / "none.toml")], "No such file"),
        ([*arguments, "--save", "/nowhere/x.toml"], "/nowhere/x.toml: No such file"),
    ):
        result = run("convolve", *wrong)
        assert result.exit_code == 1
        assert message in result.stderr
        assert result.stderr.count("\n") == 1


# -- training


def test_plain_training_prints_progress_accuracy_and_maps() -> None:
    done = process("train", "lenet5", "--data", "digits", "--epochs", "2", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "epoch 2/2  test loss" in done.stdout
    assert "of 360 test pictures" in done.stdout
    assert "conv1: " in done.stdout
    assert any(set(line) <= set(" .:+*#@,;~=%&") and len(line) > 20 for line in done.stdout.splitlines())
    (row,) = json.loads(process("runs", "--json").stdout)
    assert (row["net"], row["state"], row["epoch"], row["exit"]["code"]) == ("lenet5", "finished", 2, 0)
    assert 0 < row["test_accuracy"] <= 1
    again = process("attach", "last")
    assert again.returncode == 0
    assert f"test accuracy {round(row['test_accuracy'] * 10_000) / 100:.2f} % of 360" in again.stdout
    late = process("pause", "last")
    assert (late.returncode, late.stderr.count("\n")) == (1, 1)
    assert "nobody is there to pause it" in late.stderr


def test_detach_then_steer_then_stop() -> None:
    done = process("train", "lenet5", "--data", "digits", "--epochs", "100000", "--device", "cpu", "--detach")
    directory = Path(done.stdout.strip())
    assert done.returncode == 0
    assert (directory / "spec.json").exists()

    def state() -> dict[str, Any]:
        (row,) = json.loads(process("runs", "--json").stdout)
        return dict(row)

    def until(wanted: str) -> dict[str, Any]:
        deadline = time.monotonic() + 120
        while (row := state())["state"] != wanted and time.monotonic() < deadline:
            time.sleep(0.2)
        assert row["state"] == wanted
        return row

    row = until("training")
    assert row["pid"] > 0
    for command in (["pause", "last"], ["set", directory.name, "lr=0.01"]):
        assert process(*command).returncode == 0
    until("paused")
    assert process("resume", directory.name[:15]).returncode == 0
    until("training")
    assert process("stop", str(directory)).returncode == 0
    until("finished")
    watched = process("attach", "last", "--plain")
    assert watched.returncode == 1
    assert "stopped at step" in watched.stdout


def test_a_loss_that_explodes_ends_1_and_says_why() -> None:
    done = process(
        "train", "conv 8; relu; flatten; linear 10", "--input", "1,8,8", "--data", "digits", "--device", "cpu",
        "--lr", "1e30", "--optimizer", "sgd", "--plain",
    )  # fmt: skip
    assert done.returncode == 1
    assert "stopped: stopped at step" in done.stdout
    assert "a smaller learning rate may help" in done.stdout


def test_watching_a_paused_run_leaves_it_paused() -> None:
    """`attach --plain` is only a pair of eyes; interrupted, it ends 130 and the run is as it was."""
    done = process(
        "train", "conv 8; relu; flatten; linear 10", "--input", "1,8,8", "--data", "digits", "--device", "cpu",
        "--lr", "1e30", "--optimizer", "sgd", "--detach",
    )  # fmt: skip
    directory = Path(done.stdout.strip())
    reader = RunReader(directory)
    deadline = time.monotonic() + 60
    while reader.poll().state != "paused" and time.monotonic() < deadline:
        time.sleep(0.1)
    watching = subprocess.Popen(
        [sys.executable, "-m", "cnntui", "attach", "last", "--plain"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout is not None
    assert watching.stdout.readline().startswith("run ")
    watching.send_signal(signal.SIGINT)
    watching.communicate(timeout=30)
    assert watching.returncode == 130
    assert reader.poll().state == "paused"


def test_a_run_that_is_still_starting_can_be_stopped() -> None:
    done = process("train", "lenet5", "--data", "digits", "--epochs", "100000", "--device", "cpu", "--detach")
    assert process("stop", "last").returncode == 0
    reader = RunReader(Path(done.stdout.strip()))
    deadline = time.monotonic() + 60
    while not reader.poll().over and time.monotonic() < deadline:
        time.sleep(0.1)
    assert reader.poll().label == "stopped"


def test_exit_statuses_go_through_main() -> None:
    assert process("--version").returncode == 0
    assert process("--help").returncode == 0
    assert process("inspect", "nope").returncode == 1
    assert process("inspect").returncode == 2
    assert process("inspect", "conv 9 k9", "--input", "1,3,3", "--json").returncode == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "lenet5", "--epochs", "1.5"], "Invalid value for '--epochs': '1.5' is not a valid integer; "),
        (["train", "lenet5", "--recipe", "quick"], "Invalid value for '--recipe': 'quick' is not one of "),
        (["train", "--speed", "1"], "No such option"),
        (["inspect"], "Missing argument 'NET'; "),
        (["fly"], "No such command 'fly'"),
    ],
)
def test_a_command_that_is_written_wrongly_is_one_line_and_ends_2(arguments: list[str], message: str) -> None:
    done = process(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"Error: {message}")
    assert done.stderr.endswith(" --help tells more\n")


def test_output_that_nobody_reads_ends_141() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "cnntui", "inspect", "lenet5", "--json"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_an_interrupt_stops_the_run_and_ends_130() -> None:
    training = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "cnntui",
            "train",
            "lenet5",
            "--data",
            "digits",
            "--epochs",
            "100000",
            "--device",
            "cpu",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert training.stdout is not None
    for line in training.stdout:
        if "test accuracy" in line:
            break
    training.send_signal(signal.SIGINT)
    output, errors = training.communicate(timeout=60)
    assert training.returncode == 130
    assert "stopped at step" in output
    assert "stopping after a checkpoint" in errors


def test_a_reader_that_leaves_leaves_the_run_alone() -> None:
    """As `train --plain | head -1`: the run goes on, and how to see it again is told where somebody still reads."""
    command = [sys.executable, "-m", "cnntui", "train", *NET, "--epochs", "100000", "--plain"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True) as training:
        assert training.stdout is not None
        assert training.stderr is not None
        name = training.stdout.readline().split()[1]
        training.stdout.close()
        said = training.stderr.read()
    assert training.returncode == 141
    assert said == f"the run goes on; cnntui attach {name} shows it again, cnntui stop {name} ends it\n"
    assert json.loads(process("runs", "--json").stdout)[0]["exit"] is None


def test_maps_can_be_left_out() -> None:
    done = process("train", *NET, "--epochs", "1", "--plain", "--no-maps")
    assert done.returncode == 0
    assert "of 360 test pictures" in done.stdout.splitlines()[-1]
    assert "conv1" not in process("attach", "last", "--plain", "--no-maps").stdout


# -- the rest


def test_lessons() -> None:
    rows = document("lessons", "--json")
    assert [row["number"] for row in rows] == list(range(1, 27))
    assert (rows[2]["id"], rows[2]["done"]) == ("sliding-window", 0)
    assert "The sliding window" in run("lessons").output


def test_doctor_looks_at_everything() -> None:
    result = run("doctor")
    assert result.exit_code == 0
    for name in ("terminal", "colours", "encoding", "runs", "data", "machine", "torch"):
        assert f" {name} " in result.output


def test_version() -> None:
    assert __version__ in run("--version").output


def test_an_error_in_the_notation_shows_its_place() -> None:
    result = run("inspect", "conv 6; [ conv 6 p1 | cnv 3 ] add", "--input", "1,8,8")
    assert result.exit_code == 1
    said, place, text, caret = result.stderr.splitlines()
    assert place == "line 1, column 23:"
    assert said == "Error: layer 3 (cnv 3): no layer is called 'cnv'; did you mean conv or tconv or dwconv?"
    assert text[caret.index("^") :].startswith("cnv 3")


def test_inspect_writes_a_net_as_others_read_it(tmp_path: Path) -> None:
    (tmp_path / "net.toml").write_text(run("inspect", "squeezenet1.1", "--toml").stdout)
    assert document("inspect", str(tmp_path / "net.toml"), "--json")["params"] == 1_235_496
    rows = list(
        csv.DictReader(run("inspect", "squeezenet1.1", "--csv", "--columns", "name,params,memory").stdout.splitlines())
    )
    assert sum(int(row["params"]) for row in rows) == 1_235_496
    markdown = run("inspect", "squeezenet1.1", "--markdown").stdout.splitlines()
    assert "**1,235,496**" in markdown[-1]
    assert len(markdown) == len(rows) + 3
    (tmp_path / "net.py").write_text(run("inspect", "squeezenet1.1", "--code").stdout)
    done = subprocess.run([sys.executable, "net.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["output (1, 1000)", "1,235,496 parameters"]


def test_inspect_takes_the_facts_that_are_chosen() -> None:
    result = run("inspect", "lenet5", "--columns", "name, effective, memory")
    assert "σ untrained" in result.stdout
    assert "18.4 KiB" in result.stdout
    assert "no column is called 'speed'" in run("inspect", "lenet5", "--columns", "speed").stderr
    assert "give one of --json" in run("inspect", "lenet5", "--csv", "--toml").stderr


def test_two_nets_side_by_side() -> None:
    lines = run("inspect", "vgg11", "--against", "vgg13").stdout.splitlines()
    assert sum(" + " in line for line in lines) == 4
    assert "132,863,336" in lines[-2]
    assert "133,047,848" in lines[-2]


def test_a_broken_net_is_shown_up_to_its_mistake_in_every_form() -> None:
    net = ("inspect", "conv 8; [ conv 8 p1 | conv 4 k1 ] add; gap", "--input", "3,9,9")
    for form in ((), ("--csv",), ("--markdown",), ("--json",)):
        result = run(*net, *form)
        assert result.exit_code == 1
        assert "8×7×7" in result.stdout or "output" in result.stdout
    error = "layer add1: add needs equal shapes, but its branches make 8×7×7 and 4×7×7 (works: branch 2: conv 8 k1"
    assert error in run(*net).stderr
    assert run(*net, "--code").stdout == ""
    assert document_of_failure(*net, "--json")["layers"][3]["error"]["fix"][0] == "branch 2: conv 8 k1"


def document_of_failure(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*arguments).stdout)
    return found


# -- what was trained, used


def settings_of(*arguments: str) -> dict[str, Any]:
    """What a run that was started so is to do; it is stopped at once."""
    done = process("train", *arguments, "--device", "cpu", "--detach")
    assert done.returncode == 0, done.stderr
    process("stop", done.stdout.strip())
    found: dict[str, Any] = json.loads((Path(done.stdout.strip()) / "spec.json").read_text())
    return found


def test_a_recipe_sets_what_is_not_given(tmp_path: Path) -> None:
    fast = settings_of("lenet5", "--data", "digits", "--recipe", "fast", "--lr", "0.001", "--seed", "7")
    assert {name: fast[name] for name in RECIPES["fast"]} == {**RECIPES["fast"], "lr": 0.001}, "an option wins"
    assert fast["seed"] == 7
    given = settings_of(
        "lenet5", "--data", "digits", "--weight-decay", "0.1", "--label-smoothing", "0.2", "--augment", "shift",
        "--precision", "float32", "--compile", "--no-cuda-graphs", "--tensorboard", os.path.relpath(tmp_path / "board"),
    )  # fmt: skip
    assert (given["weight_decay"], given["label_smoothing"], given["augment"]) == (0.1, 0.2, "shift")
    assert (given["precision"], given["compile"], given["cuda_graphs"]) == ("float32", True, False)
    assert given["tensorboard"] == str(tmp_path / "board"), "absolute: the trainer stands elsewhere"
    assert {name: given[name] for name in ("epochs", "batch_size", "lr", "optimizer", "schedule")} == {
        "epochs": 5, "batch_size": 64, "lr": 0.001, "optimizer": "adam", "schedule": "cosine",
    }  # fmt: skip


def test_every_recipe_is_an_option() -> None:
    (option,) = (each for each in train.params if each.name == "recipe")
    assert isinstance(option.type, click.Choice)
    assert list(option.type.choices) == list(RECIPES)


def test_a_directory_of_pictures_is_data(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    assert settings_of("lenet5", "--data", os.path.relpath(tmp_path / "pictures"))["data"] == str(tmp_path / "pictures")


NET = ("conv 4 p1; relu; flatten; linear 10", "--input", "1,8,8", "--data", "digits", "--device", "cpu")


def test_a_trained_net_goes_to_others(tmp_path: Path) -> None:
    """Train, look at the numbers, take the weights into a program without cnntui, and begin another run with them."""
    done = process("train", *NET, "--epochs", "2", "--plain")
    assert done.returncode == 0, done.stderr
    directory = Path(done.stdout.splitlines()[1])

    printed = process("export", "last", "-").stdout
    out = tmp_path / "m.csv"
    exported = process("export", "last", str(out))
    rows = list(csv.DictReader(printed.splitlines()))
    assert out.read_text() == printed
    assert exported.stdout == f"{out}: {len(rows)} rows\n"
    assert list(rows[0]) == ["attempt", "step", "epoch", "t", "kind", "loss", "lr", "images_per_second", "accuracy"]
    (row,) = json.loads(process("runs", "--json").stdout)
    assert [float(each["accuracy"]) for each in rows if each["kind"] == "test"][-1] == row["test_accuracy"]
    assert all(each["lr"] and not each["accuracy"] for each in rows if each["kind"] == "train")
    assert rows[-1]["step"] == str(row["step"])

    for name in ("net.py", "net.pt", "net.safetensors"):
        done = process("export", directory.name, str(tmp_path / name))
        assert done.returncode == 0, done.stderr
    inspected = process("inspect", *NET[:3], "--code").stdout
    program, _, main = inspected.partition("if __name__")
    exported_program = (tmp_path / "net.py").read_text()
    assert exported_program.startswith(program)
    assert exported_program.endswith(main)
    assert "def prepare(" in exported_program
    assert "def prepare(" not in inspected
    code = (
        "import torch, net; (made,) = (each for each in vars(net).values() if isinstance(each, type));"
        "made().load_state_dict(torch.load('net.pt', weights_only=True), strict=True); print('loaded')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "loaded\n", done.stderr

    again = settings_of("--from", "last")
    assert (again["net"], again["data"], again["weights_from"]) == (row["net"], "digits", str(directory))
    other = settings_of("conv 4 p1; relu; flatten; linear 3", "--input", "1,8,8", "--from", directory.name)
    assert (other["data"], other["weights_from"]) == ("auto", str(directory))
    assert other["layers"] != again["layers"]
    slow = settings_of("--from", directory.name, "--new-head", "--classes", "12", "--backbone-lr", "1e-4")
    assert (slow["new_head"], slow["backbone_lr"], slow["layers"][-1]) == (True, 1e-4, "linear 12")
    held = process("train", "--from", directory.name, "--frozen", "--backbone-lr", "1e-4")
    assert held.stderr == "Error: a frozen backbone has no learning rate: leave out 0.0001, or do not freeze it\n"


def test_a_damaged_checkpoint_is_passed_over_with_a_warning(tmp_path: Path) -> None:
    done = process("train", *NET, "--epochs", "2", "--plain")
    directory = Path(done.stdout.splitlines()[1])
    *_, before, last = reversed([directory / "checkpoints" / name for name in names(directory)])
    os.truncate(last / "model.safetensors", 100)
    out = tmp_path / "net.safetensors"
    done = process("export", "last", str(out), "--checkpoint", "last")
    assert done.returncode == 0
    assert done.stdout.startswith(f"{out}: the weights of {before.name}\ninput: pictures of 8×8, ")
    said = f"passed over {last.name}: model.safetensors is not what was saved (another hash)\n"
    assert done.stderr == said
    assert process("predict", "last", "--test", "0", "--checkpoint", "last").stderr == said


def test_export_works_while_the_run_trains(tmp_path: Path) -> None:
    """Each epoch takes a blink, and few checkpoints are kept: what is exported must not go away meanwhile."""
    done = process("train", *NET, "--epochs", "100000", "--detach")
    directory = Path(done.stdout.strip())
    until(directory, lambda view: view.checkpoint is not None)
    for which in ("best", "last"):
        done = process("export", "last", str(tmp_path / "net.pt"), "--checkpoint", which)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
    done = process("export", "last", str(tmp_path / "net.csv"))
    assert int(done.stdout.split()[-2].replace(",", "")) > 1
    before = RunReader(directory).poll()
    assert re.fullmatch(r"checkpoint of step [\d,]+ saved\n", process("checkpoint", "last").stdout)
    view = until(directory, lambda view: any(answer.command == "checkpoint" for answer in view.answers))
    assert not before.ended
    assert all(answer.accepted for answer in view.answers)


def until(directory: Path, wanted: Callable[[RunView], bool]) -> RunView:
    """How a run stands when it is as wanted."""
    reader = RunReader(directory)
    deadline = time.monotonic() + 120
    while not wanted(view := reader.poll()):
        assert time.monotonic() < deadline, view
        time.sleep(0.1)
    return view


def test_what_is_shown_is_set_by_name_and_number() -> None:
    done = process("train", *NET, "--epochs", "100000", "--detach")
    directory = Path(done.stdout.strip())
    until(directory, lambda view: view.state == "training")
    for setting in ("layer=conv1", "picture=7"):
        assert process("set", "last", setting).returncode == 0
    view = until(directory, lambda view: len(view.answers) == 2)
    assert {answer.command for answer in view.answers} == {"set"}
    for setting, message in (
        ("layer=nope", "no layer 'nope' makes maps here: there are conv1"),
        ("picture=999999", "there is no test picture 999999: they are numbered from 0 to 359"),
    ):
        refused = process("set", "last", setting)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr.startswith(f"Error: {message}")
        assert refused.stderr.count("\n") == 1
    assert re.fullmatch(r"learning rate 0\.0005 from step [\d,]+\n", process("set", "last", "lr=0.0005").stdout)


def test_a_trainer_that_does_not_answer_is_told_so() -> None:
    done = process("train", *NET, "--epochs", "100000", "--detach")
    directory = Path(done.stdout.strip())
    status = until(directory, lambda view: view.state == "training").status
    assert status is not None
    trainer = psutil.Process(status.pid)
    trainer.suspend()
    (row,) = json.loads(process("runs", "--json").stdout)
    assert (row["state"], row["alive"], row["pid"]) == ("training", "stalled", status.pid)
    assert f"{directory.name} " in (listed := process("runs").stdout)
    assert " stalled " in listed
    asked = process("pause", "last")
    assert (asked.returncode, asked.stderr) == (0, "")
    assert asked.stdout == f"pause: asked of {directory.name}; no answer yet: its process is stalled\n"
    trainer.resume()
    assert until(directory, lambda view: view.state == "paused").answers[-1].accepted


def test_a_stopped_run_goes_on() -> None:
    done = process("train", *NET, "--epochs", "60", "--detach")
    directory = Path(done.stdout.strip())
    until(directory, lambda view: view.checkpoint is not None)
    process("stop", "last")
    stopped = until(directory, lambda view: view.over)
    assert stopped.resumable
    done = process("resume", "last")
    assert done.returncode == 0, done.stderr
    view = until(directory, lambda view: view.over)
    assert view.trained
    assert process("resume", "last").returncode == 1
    attempts = {row["attempt"] for row in csv.DictReader(process("export", "last", "-").stdout.splitlines())}
    assert attempts == {"1", "2"}


def test_a_run_that_went_with_its_machine_goes_on() -> None:
    """Trainer and supervisor are gone, and nobody wrote how: a fresh look is enough to know, and to resume."""
    done = process("train", *NET, "--epochs", "60", "--detach")
    directory = Path(done.stdout.strip())
    status = until(directory, lambda view: view.checkpoint is not None).status
    assert status is not None
    trainer = psutil.Process(status.pid)
    supervisor = trainer.parent()
    assert supervisor is not None
    supervisor.kill()
    trainer.kill()
    time.sleep(SILENT_SECONDS + 1)
    (row,) = json.loads(process("runs", "--json").stdout)
    assert (row["state"], row["pid"], row["exit"]) == ("crashed", None, None)
    assert "has ended (crashed)" in process("pause", "last").stderr
    assert process("resume", "last", "--detach").stdout == f"{directory}\n"
    assert until(directory, lambda view: view.over).trained


def test_export_says_why_there_is_no_file(homes: Path, tmp_path: Path) -> None:
    assert "a name that ends in .onnx, .safetensors, .pt, .pth, .py or .csv" in run("export", "last", "net.h5").stderr
    assert "there is no run yet" in run("export", "last", "net.onnx").stderr
    made = make_run(tmp_path / "made")
    for name in ("net.csv", "net.py", "net.pt"):
        failed = run("export", str(made), str(tmp_path / "nowhere" / name))
        assert f"{name}: " in failed.stderr or "no checkpoint yet" in failed.stderr
        assert (failed.exit_code, failed.stderr.count("\n")) == (1, 1)


def test_an_unforeseen_error_is_one_line_and_a_log(homes: Path) -> None:
    code = "import cnntui.core.analysis as n\nn.analyse = None\nfrom cnntui.cli import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", code, "inspect", "lenet5"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "TypeError" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1
    log = Path(done.stderr.strip().rpartition(" ")[2])
    assert "Traceback" in log.read_text()
