"""Means, deviations, intervals against scipy and by hand; and what every output says of runs that failed."""

from __future__ import annotations

import csv
import io
import json
import random
import shutil
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from scipy import stats

from cnntui.labs import results
from cnntui.labs.comparing import Comparing
from cnntui.labs.comparison import Comparison, Group, Result, standings
from cnntui.labs.grouping import grouped, spec_differences
from cnntui.labs.statistics import Difference, Summary, difference, summary
from cnntui.labs.sweeping import follow
from cnntui.runs import events
from cnntui.runs.reader import PIECE_BYTES, RunReader
from cnntui.runs.spec import Exit, Settings, Status, lock_of, new_spec, process_facts
from cnntui.runs.sweeps.directory import prepare, read_sweep
from cnntui.runs.sweeps.plan import Design


def same(found: Summary | None, n: int, mean: float, sd: float) -> None:
    assert found is not None
    assert found.n == n
    assert found.mean == pytest.approx(mean)
    assert found.sd == pytest.approx(sd)


def test_means_and_deviations_by_hand() -> None:
    # 2, 4, 9: mean 5, squares of the deviations 9 + 1 + 16 = 26, over n − 1 = 2: 13.
    same(summary([2, 4, 9]), 3, 5.0, 13**0.5)
    assert summary([0.5]) == Summary(1, 0.5, None)
    assert summary([]) is None


def test_intervals_are_those_of_scipy() -> None:
    luck = random.Random(7)
    for _ in range(200):
        of = [luck.gauss(0.95, 0.01) for _ in range(luck.randint(2, 9))]
        to = [luck.gauss(0.94, 0.03) for _ in range(luck.randint(2, 9))]
        found = difference(of, to)
        held = stats.ttest_ind(of, to, equal_var=False).confidence_interval(0.95)
        assert found is not None
        assert found.low == pytest.approx(held.low, abs=1e-12)
        assert found.high == pytest.approx(held.high, abs=1e-12)
        assert found.is_clear == (stats.ttest_ind(of, to, equal_var=False).pvalue < 0.05)


def test_an_interval_by_hand() -> None:
    # Means 3 and 6, both variances 1, n = 3: error √(2/3), 4 degrees of freedom, t = 2.776445.
    found = difference([2, 3, 4], [5, 6, 7])
    assert found is not None
    half = 2.776445 * (2 / 3) ** 0.5
    assert found.value == -3
    assert found.low == pytest.approx(-3 - half)
    assert found.high == pytest.approx(-3 + half)


def test_there_is_no_interval_where_there_is_no_deviation() -> None:
    assert difference([0.75], [0.5, 0.25]) == Difference(0.375)
    assert difference([], [0.8]) is None
    assert difference([0.5, 0.5], [0.25, 0.25]) == Difference(0.25)
    assert not Difference(0.375).is_clear


# -- a sweep with results

DESIGN = Design(
    "try", "conv {width}; gap; linear 10", (1, 8, 8), (0, 1, 2), {"width": 2, "data": "digits", "epochs": 1},
    {"width": {"2": 2, "4": 4, "8": 8}}, about="How wide?",
)  # fmt: skip
ACCURACIES = {"width 2": (0.90, 0.92, 0.91), "width 4": (0.95, 0.96, None), "width 8": (None, None, None)}


def finish(run: Path, accuracy: float | None, data: str = "digits", attempt: int = 1) -> None:
    """A run that ended: with this accuracy, or killed after its first test."""
    lock_of(run, attempt).touch()
    writer = events.EventWriter(run, attempt)
    writer.emit(
        events.Data(
            step=0, name=data, train=1437, test=360, shape=(1, 8, 8), classes=list("0123456789"), sha256="", steps=23
        )
    )
    writer.emit(events.Test(step=23, epoch=1, loss=0.5, accuracy=0.3 if accuracy is None else accuracy, count=360))
    writer.emit(events.StateChange(step=23, state="training" if accuracy is None else "finished"))
    writer.close()
    status = Status(
        state="training" if accuracy is None else "finished",
        attempt=attempt, data=data, test_accuracy=accuracy, **process_facts(),
    )  # fmt: skip
    (run / "status.json").write_bytes(msgspec.json.encode(status))
    ended = Exit(
        attempt=attempt, code=None if accuracy is None else 0,
        signal="SIGKILL" if accuracy is None else None, ended="",
    )  # fmt: skip
    (run / "exit.json").write_bytes(msgspec.json.encode(ended))


@pytest.fixture
def compared(tmp_path: Path) -> Comparison:
    directory = prepare(DESIGN.plan(), tmp_path / "try")
    for one in read_sweep(directory).configurations:
        for name, accuracy in zip(one.runs, ACCURACIES[one.label], strict=True):
            if one.label != "width 8":
                finish(directory / name, accuracy)
    return Comparing(sweep=directory).poll(1)


def test_failed_runs_are_in_no_mean(compared: Comparison) -> None:
    narrow, wide, unbegun = compared.groups
    same(narrow.summary, 3, 0.91, 0.01)
    same(wide.summary, 2, 0.955, 0.01 / 2**0.5)
    assert [result.seed for result in wide.failed] == [2]
    assert wide.failed[0].so_far == 0.3  # it was tested before it was killed
    assert unbegun.summary is None
    assert standings(unbegun.results) == {"waiting": 3}
    assert compared.difference(narrow) is None
    assert compared.difference(wide) == difference([0.95, 0.96], [0.90, 0.92, 0.91])
    assert not compared.over


def test_every_output_says_that_a_run_failed(compared: Comparison) -> None:
    console = Console(width=130, record=True, file=io.StringIO())
    console.print(results.table(compared))
    told = "failed, and in no mean: width 4, seed 2: crashed: killed by SIGKILL"
    assert "2 of 3, 1 failed" in console.export_text()
    assert told in results.remarks(compared)
    for text in (results.markdown(compared), results.report(compared)):
        assert "2 of 3, 1 failed" in text
        assert told in text
    entry = json.loads(json.dumps(results.document(compared)))["configurations"][1]
    assert (entry["runs"], entry["trained"], entry["failed"]) == (3, 2, 1)
    assert [one["accuracy"] for one in entry["results"]] == [0.95, 0.96, None]
    assert entry["results"][2]["state"] == "crashed"
    row = list(csv.DictReader(io.StringIO(results.csv(compared))))[1]
    assert (row["failed"], row["trained"], row["seed 2"]) == ("1", "2", "")
    assert float(row["mean"]) == pytest.approx(0.955)


def test_the_table_and_what_is_concluded(compared: Comparison) -> None:
    text = results.report(compared)
    held = stats.ttest_ind([0.95, 0.96], [0.90, 0.92, 0.91], equal_var=False).confidence_interval()
    assert "| width 2 | 50 | 3 of 3 | 91.00 ± 1.00 % | baseline |  |" in text
    between = f"+{100 * held.low:.2f} to +{100 * held.high:.2f}"
    assert f"| width 4 | 90 | 2 of 3, 1 failed | 95.50 ± 0.71 % | +4.50 | {between} |" in text
    assert "digits (1,437 pictures to train, 360 to test)" in text
    assert "better than the baseline" in text
    assert "- width 8: nothing can be said, no run was trained to its end." in text
    assert "not there yet: 3 of 9 runs" in text


def test_an_interval_that_holds_zero_is_no_finding(tmp_path: Path) -> None:
    def group(label: str, accuracies: list[float]) -> Group:
        made = []
        for seed, accuracy in enumerate(accuracies):
            run = tmp_path / f"{label}{seed}"
            run.mkdir()
            settings = Settings(data="digits", seed=seed, lr=0.001 * len(accuracies))
            (run / "spec.json").write_bytes(
                msgspec.json.encode(new_spec(DESIGN.plan().configurations[0].network, settings))
            )
            finish(run, accuracy)
            made.append(Result(seed, RunReader(run).poll(1)))
        return Group(label, 1, tuple(made))

    text = results.report(Comparison("x", (group("a", [0.90, 0.94]), group("b", [0.91, 0.92, 0.96]))))
    assert "cannot be told from the baseline with 3 runs" in text


def test_picked_runs_that_differ_in_the_seed_alone_are_one_group(compared: Comparison) -> None:
    views = [result.view for result in compared.results]
    picked = grouped(views)
    assert [len(group.results) for group in picked.groups] == [3, 3, 3]
    assert [group.summary for group in picked.groups] == [group.summary for group in compared.groups]


def test_different_data_cannot_be_compared(compared: Comparison, tmp_path: Path) -> None:
    directory = compared.directory
    assert directory is not None
    for name in read_sweep(directory).configurations[2].runs:
        finish(directory / name, 0.5, data="mnist")
    remarks = results.remarks(Comparing(sweep=directory).glance())
    assert any("different data, digits, mnist" in line for line in remarks)
    known = "digits (1,437 pictures to train, 360 to test), mnist (1,437 pictures to train, 360 to test)"
    assert known in results.report(Comparing(sweep=directory).poll(1))


def test_a_run_that_was_stopped_before_is_told_when_it_is_trained(compared: Comparison) -> None:
    directory = compared.directory
    assert directory is not None
    comparing = Comparing(sweep=directory)
    stopped = compared.groups[1].results[2].view.directory  # as far as it came: killed

    def goes_on(_: float) -> None:
        finish(stopped, 0.97, attempt=2)

    lines = list(follow(comparing, lambda now: now.groups[1].results[2].view.trained, goes_on))
    assert lines == ["width 4, seed 2: 97.00 %   6 of 9 trained, 3 waiting"]


def test_an_older_test_is_not_taken_for_the_last_one_while_a_log_is_read(compared: Comparison) -> None:
    run = compared.groups[2].results[0].view.directory
    writer = events.EventWriter(run)
    writer.emit(events.Test(step=1, epoch=1, loss=2.0, accuracy=0.1, count=360))
    for step in range(20):
        writer.emit(events.Notice(step=step, message="x" * PIECE_BYTES))
    writer.close()
    finish(run, 0.9, attempt=2)
    comparing = Comparing([run])
    assert comparing.poll().groups[0].accuracies == [0.9]
    assert comparing.more


def test_a_run_that_is_picked_twice_counts_once_and_a_seed_that_is_there_twice_is_told(compared: Comparison) -> None:
    directory = compared.directory
    assert directory is not None
    run = compared.reference.results[0].view.directory
    twice = Comparing([run, run, run.parent / "." / run.name])
    assert twice.poll(1).reference.summary == Summary(1, 0.90, None)
    copy = directory / "copy"
    shutil.copytree(run, copy)
    assert any("has a seed twice" in line for line in results.cautions(Comparing([run, copy]).poll(1)))
    assert not any("has a seed twice" in line for line in results.cautions(compared))


def test_what_was_removed_is_told_and_so_is_another_baseline(compared: Comparison) -> None:
    directory = compared.directory
    assert directory is not None
    for name in read_sweep(directory).configurations[2].runs:
        shutil.rmtree(directory / name)
    left = Comparing(sweep=directory).poll(1)
    told = results.document(left)
    assert [one["label"] for one in told["missing"]] == ["width 8"] * 3
    for name in read_sweep(directory).configurations[1].runs[2:]:
        shutil.rmtree(directory / name)  # the one that failed
    assert results.document(Comparing(sweep=directory).poll(1))["complete"] is False
    assert not any("baseline has no run" in line for line in results.cautions(left))
    for name in read_sweep(directory).configurations[0].runs:
        shutil.rmtree(directory / name)
    text = results.report(Comparing(sweep=directory).poll(1))
    assert "the baseline has no run any more: the others are compared with width 4" in text


def test_100_percent_is_all_of_them() -> None:
    assert results.rounded(0.99999) == "99.99"
    assert results.rounded(1.0) == "100.00"
    assert results.points(-0.00001) == "0.00"
    assert results.points(-0.0123) == "−1.23"


def test_specs_are_told_apart_by_their_settings(compared: Comparison) -> None:
    spec = compared.reference.spec
    assert spec_differences(spec, msgspec.structs.replace(spec, lr=0.5, seed=9)) == [("lr", "0.001", "0.5")]
