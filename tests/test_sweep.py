"""`cnntui sweep` and `cnntui compare` as a person and a CI job use them."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from cnntui.cli import cli
from cnntui.commands.sweeping import is_made
from cnntui.runs.spec import process_facts
from cnntui.runs.sweeps.conductor import Conducting
from cnntui.runs.sweeps.directory import prepare, read_sweep
from cnntui.runs.sweeps.file import parse_design

SWEEP = """
name = "small"
about = "A wide one, and a rate that is far too large."
net = "conv {width} k3; relu; gap; linear 10"
input = [1, 8, 8]
seeds = [0, 1]

[baseline]
width = 2
data = "digits"
epochs = 1

[vary]
width = [4]
lr = { wild = 1e30 }
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNNTUI_RUNS", str(tmp_path / "runs"))
    path = tmp_path / "small.toml"
    path.write_text(SWEEP)
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), catch_exceptions=False)


def process(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cnntui", *arguments],
        capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip


def test_a_sweep_with_runs_that_fail_says_so_and_trains_nothing_twice(file: Path) -> None:
    first = process("sweep", str(file), "--json", "--no-estimate")
    told = json.loads(first.stdout)
    assert first.returncode == 1
    assert "3 configurations with 2 seeds: 6 runs, 50 to 90 parameters" in first.stderr
    entries = {entry["label"]: entry for entry in told["configurations"]}
    assert [(entry["runs"], entry["trained"], entry["failed"]) for entry in entries.values()] == [
        (2, 2, 0), (2, 2, 0), (2, 0, 2)
    ]  # fmt: skip
    assert told["complete"] is False
    accuracies = [result["accuracy"] for result in entries["width 4"]["results"]]
    assert entries["width 4"]["mean"] == pytest.approx(sum(accuracies) / 2)
    assert entries["lr: wild"]["mean"] is None
    assert "loss" in entries["lr: wild"]["results"][0]["message"]

    # The same without what fails, under the same name: all of it is there.
    file.write_text(SWEEP.replace("lr = { wild = 1e30 }\n", ""))
    before = {path: path.stat().st_mtime_ns for path in file.parent.glob("runs/small/*/events.*.jsonl")}
    second = run("sweep", str(file), "--format", "csv")
    assert second.exit_code == 0
    rows = list(csv.DictReader(io.StringIO(second.stdout)))
    assert [float(row["mean"]) for row in rows] == [entries[label]["mean"] for label in ("baseline", "width 4")]
    assert {path: path.stat().st_mtime_ns for path in file.parent.glob("runs/small/*/events.*.jsonl")} == before

    shown = run("compare", "small", "--format", "markdown")
    assert "| width 4 | 90 | 2 of 2 |" in shown.stdout
    curve = list(csv.DictReader(io.StringIO(run("compare", str(file), "--format", "curves").stdout)))
    assert [float(row["test_accuracy"]) for row in curve if row["configuration"] == "width 4"] == accuracies
    runs = [result["run"] for entry in list(entries.values())[:2] for result in entry["results"]]
    picked = json.loads(run("compare", *runs, "--json").stdout)
    assert [entry["mean"] for entry in picked["configurations"]] == [float(row["mean"]) for row in rows]


def test_a_plan_is_shown_and_nothing_is_made(file: Path) -> None:
    shown = run("sweep", str(file), "--plan", "--no-estimate", "--set", "width=3", "--seeds", "5", "--input", "1,12,12")
    assert shown.exit_code == 0
    assert "3 configurations with 5 seeds: 15 runs, 70 to 90 parameters" in shown.stdout
    assert not (file.parent / "runs").exists()


def test_the_cost_of_a_plan_is_not_that_of_what_was_made_under_its_name(file: Path) -> None:
    plan = parse_design(SWEEP, "small").plan()
    home = prepare(plan)
    assert is_made(plan, home)
    assert not is_made(parse_design(SWEEP, "small", {"epochs": 3}).plan(), home)
    assert not is_made(replace(plan, seeds=(0, 1, 2)), home)
    assert not is_made(plan, home.parent / "nothing")


def test_another_baseline_is_another_sweep(file: Path) -> None:
    for options in (["--set", "width=3"], ["--set", "width=3", "--input", "1,12,12"]):
        shown = run("sweep", str(file), "--plan", "--no-estimate", *options)
        name = shown.stdout.split()[-1].rpartition("/")[2]
        assert name == ("small-width-3" if len(options) == 2 else "small-width-3-input-1-12-12")
    assert run("sweep", str(file), "--plan", "--no-estimate", "--seeds", "4").stdout.split()[-1].endswith("/small")


def test_what_another_plan_trains_is_not_replaced(file: Path) -> None:
    directory = prepare(parse_design(SWEEP, "small").plan())
    before = (directory / "sweep.json").read_bytes()
    working = Conducting(started="", **process_facts())
    (directory / "conductor.json").write_bytes(msgspec.json.encode(working))
    file.write_text(SWEEP.replace("width = [4]", "width = [5]"))
    failed = run("sweep", str(file), "--no-estimate", "--detach")
    assert failed.exit_code == 1
    assert "small is being trained as another plan" in failed.stderr
    assert (directory / "sweep.json").read_bytes() == before
    file.write_text(SWEEP.replace("width = [4]", "width = [4, 5]"))  # it has grown: who trains it sees that
    assert run("sweep", str(file), "--no-estimate", "--detach").exit_code == 0
    assert len(read_sweep(directory).configurations) == 4


def test_the_sweeps_that_there_are(file: Path) -> None:
    prepare(parse_design(SWEEP, "small").plan())
    assert "depth        How many layers" in run("sweep").stdout
    told = json.loads(run("sweep", "--json").stdout)
    assert [entry["name"] for entry in told["ready"]][:2] == ["ablation", "batch-norm"]
    assert [entry["name"] for entry in told["made"]] == ["small"]


def test_what_is_not_there_yet_is_told(file: Path) -> None:
    prepare(parse_design(SWEEP, "small").plan())
    shown = run("sweep", "small", "--results")
    assert shown.exit_code == 0
    assert "0 of 2, 2 waiting" in shown.stdout
    assert "not there yet: 6 of 6 runs" in shown.stdout


WRONG = {
    "no such": (["sweep", "nothing"], "no sweep is called 'nothing': there is ablation"),
    "set": (["sweep", "depth", "--set", "epochs"], "--set 'epochs' is not NAME=VALUE"),
    "unknown": (["sweep", "depth", "--set", "epoch=3"], "'epoch' is neither a placeholder"),
    "seeds": (["sweep", "depth", "--seeds", "a"], "--seeds 'a' is neither how many"),
    "many seeds": (["sweep", "depth", "--seeds", "999999999"], "999,999,999 seeds > 1,000"),
    "input": (["sweep", "depth", "--input", "8,8"], "input '8,8'"),
    "value": (["sweep", "depth", "--set", "lr=fast"], "lr: expected"),
    "large": (["sweep", "depth", "--set", f"lr={10**400}"], "too large"),
    "stop": (["sweep", "small", "--stop"], "there is nothing to stop"),
    "made": (["sweep", "small", "--seeds", "3"], "was made already"),
    "slurm": (["sweep", "small", "--slurm", "patrition=gpu"], "patrition"),
    "compare": (["compare"], "compare what?"),
    "no file": (["sweep", "nope.toml"], "nope.toml: there is no such file"),
    "not trained": (["compare", "depth"], "depth has not been trained yet: cnntui sweep depth does that"),
    "no results": (["sweep", "depth", "--results"], "depth has not been trained yet"),
    "compare no run": (["compare", "nothing", "small"], "no run is called 'nothing'"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_bad_input_is_one_line(file: Path, arguments: list[str], message: str) -> None:
    prepare(parse_design(SWEEP, "small").plan())
    failed = run(*arguments)
    assert failed.exit_code == 1
    assert message in failed.stderr
    assert failed.stderr.count("\n") == 1
    assert failed.stdout == ""
