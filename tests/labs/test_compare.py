"""Curves over seeds, what is looked at in a comparison, its words; and runs that come, go on, go back and vanish."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from math import inf, isnan, nan
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from cnntui.labs import comparing
from cnntui.labs.bands import ACCURACY, TEST_LOSS, TRAIN_LOSS, Band, band_of, banded, by_epoch
from cnntui.labs.compare import CURVES, DIFFERENCES, MOST_CURVES, CompareState
from cnntui.labs.compare_names import cut
from cnntui.labs.compare_words import Line, account, interval_words, letter, runs_words, seconds_left, standing, told
from cnntui.labs.comparing import Comparing
from cnntui.labs.comparison import Comparison
from cnntui.labs.results import csv, scale
from cnntui.labs.statistics import Difference
from cnntui.runs.events import Resume
from cnntui.runs.places import SWEEP
from cnntui.runs.spec import Spec, Status, lock_of, process_facts, read_json
from cnntui.runs.sweeps.conductor import Conducting
from cnntui.runs.sweeps.directory import read_sweep
from cnntui.runs.sweeps.plan import SweepError
from tests.ui.helpers import write_run
from tests.ui.swept import EPOCHS, GOING, KILLED, STEPS, TRAINED, WAITING, accuracy, design, write_log, write_swept

MIXED = {"depth 4": (TRAINED, TRAINED, GOING), "depth 8": (TRAINED, KILLED, WAITING)}


def said(lines: list[Line]) -> str:
    return "\n".join("".join(text for text, _ in line) for line in lines)


@pytest.fixture
def mixed(tmp_path: Path) -> CompareState:
    return CompareState(Comparing(sweep=write_swept(tmp_path, MIXED)).poll(), 1)


# -- bands


def test_a_band_is_the_mean_and_the_reach_of_the_seeds() -> None:
    x = (1.0, 2.0, 3.0)
    seeds = np.array([[0.1, 0.5, 0.9], [0.3, 0.4, 0.8], [0.2, 0.6, 1.0]])
    band = banded([tuple(zip(x, seed, strict=True)) for seed in seeds.tolist()])
    assert [place for place, _ in band.mean] == list(x)
    np.testing.assert_allclose([y for _, y in band.mean], seeds.mean(0))
    np.testing.assert_allclose([y for _, y in band.low], seeds.min(0))
    np.testing.assert_allclose([y for _, y in band.high], seeds.max(0))
    assert band.seeds == 3
    assert band.at(None) == pytest.approx((0.9, 0.8, 1.0))
    assert band.at(1.2) == pytest.approx((0.2, 0.1, 0.3))


def test_seeds_that_were_measured_elsewhere_are_joined_by_straight_lines() -> None:
    band = banded([((0.0, 0.0), (2.0, 2.0)), ((1.0, 3.0), (2.0, 4.0))])
    # At 0 there is only the first, which is 1 on its way at 1.
    assert band.mean == ((0.0, 0.0), (1.0, 2.0), (2.0, 3.0))
    assert band.low == ((0.0, 0.0), (1.0, 1.0), (2.0, 2.0))
    assert band.high == ((0.0, 0.0), (1.0, 3.0), (2.0, 4.0))


@pytest.mark.parametrize("broken", [nan, inf])
def test_what_is_not_finite_in_one_seed_is_a_gap(broken: float) -> None:
    band = banded([((1.0, 1.0), (2.0, broken), (3.0, 3.0)), ((1.0, 3.0), (2.0, 3.0), (3.0, 5.0))])
    assert [place for place, y in band.mean if isnan(y)] == [2.0]
    assert band.mean[0] == (1.0, 2.0)
    assert band.mean[2] == (3.0, 4.0)
    assert isnan(band.low[1][1]), "not the other seed alone"


def test_long_curves_are_thinned_and_no_curve_is_none() -> None:
    many = tuple((float(x), 2.0 * x) for x in range(1000))
    band = banded([many, many], most=50)
    assert len(band.mean) == 50
    assert all(y == pytest.approx(2 * x) for x, y in band.mean)
    assert banded([]) == banded([()]) == Band()
    assert Band().at(None) is None


def test_curves_are_over_epochs_of_the_runs_that_the_mean_is_of(mixed: CompareState) -> None:
    _, _, going, failing = mixed.comparison.groups
    band = band_of(going, ACCURACY)
    assert [x for x, _ in band.mean] == pytest.approx(range(1, EPOCHS + 1))
    by_hand = [(accuracy("depth 4", 0, e) + accuracy("depth 4", 1, e)) / 2 for e in range(1, EPOCHS + 1)]
    assert [y for _, y in band.mean] == pytest.approx(by_hand), "the one that is going counts when it is trained"
    assert band_of(failing, ACCURACY).seeds == 1, "not the one that was killed"
    losses = by_epoch(failing.results[0].view, TEST_LOSS)
    assert losses[-1] == pytest.approx((EPOCHS, 3 * (1 - accuracy("depth 8", 0, EPOCHS))))
    train = by_epoch(failing.results[0].view, TRAIN_LOSS)
    assert 0 < train[0][0] < 1 < train[-1][0] < EPOCHS


def test_before_anything_is_trained_the_curves_are_of_what_is_going(tmp_path: Path) -> None:
    states = dict.fromkeys(("depth 1", "depth 2", "depth 4", "depth 8"), (GOING, WAITING, WAITING))
    group = Comparing(sweep=write_swept(tmp_path, states)).poll().reference
    assert group.summary is None
    assert band_of(group, ACCURACY).mean[-1][0] == pytest.approx(EPOCHS * 3 / 4)


# -- looking and moving


def test_rows_and_seeds_are_gone_through(mixed: CompareState) -> None:
    assert mixed.group is mixed.comparison.reference
    assert mixed.select(1).group.label == "depth 4"
    assert mixed.select(9).group.label == "depth 8"
    assert mixed.select(-9).group.label == "depth 1"
    assert mixed.next_seed(-1).result.seed == 2, "round and round"
    run = mixed.comparison.groups[3].results[2].view.directory
    assert (mixed.select_run(run).selected, mixed.select_run(run).result.seed) == (3, 2)
    assert mixed.select_run(Path("elsewhere")) is mixed


def test_the_best_first_and_what_has_no_mean_last(tmp_path: Path) -> None:
    states = {"depth 2": (WAITING,) * 3}
    state = CompareState(Comparing(sweep=write_swept(tmp_path, states)).glance(), 1).sort()
    assert [state.comparison.groups[i].label for i in state.order] == ["depth 4", "depth 8", "depth 1", "depth 2"]
    assert state.select(-1).group.label == "depth 1"
    assert state.sort().order == [0, 1, 2, 3]


def test_another_baseline_stays_while_results_come(mixed: CompareState) -> None:
    state = mixed.select(1).as_baseline()
    assert state.comparison.reference.label == "depth 4"
    before = mixed.comparison.difference(mixed.comparison.groups[2])
    after = state.comparison.difference(state.comparison.groups[1])
    assert before is not None
    assert after is not None
    assert (after.value, after.low) == pytest.approx((-before.value, -(before.high or 0)))
    assert state.taking(mixed.comparison).comparison.reference.label == "depth 4"


def test_curves_are_left_out_and_the_others_stay(mixed: CompareState) -> None:
    assert mixed.drawn == [0, 1, 2, 3]
    state = mixed.leave_out()
    assert state.drawn == [0, 2, 3]
    assert mixed.comparison.groups[1].results[0].view.directory in state.wanted, "its runs are still told of"
    assert state.leave_out().drawn == [0, 1, 2, 3]
    none = state
    for i in (0, 2, 3):
        none = none.select_group(i).leave_out()
    assert none.bands == {}
    assert none.walk(1).cursor is None


def test_of_many_groups_some_are_drawn_the_selected_one_and_the_baseline_among_them(tmp_path: Path) -> None:
    depths = {str(i): i for i in range(1, MOST_CURVES + 9)}
    comparison = Comparing(sweep=write_swept(tmp_path, plan=design(1, depths))).glance()
    state = CompareState(comparison, comparison.baseline).select_group(MOST_CURVES + 7)
    assert len(state.drawn) == MOST_CURVES
    assert {state.selected, comparison.baseline} <= set(state.drawn)
    assert len(state.wanted) == MOST_CURVES
    assert letter(26) == "A"


def test_the_cursor_goes_from_epoch_to_epoch_of_the_selected_curve(mixed: CompareState) -> None:
    state = mixed.walk(-1).walk(-2)
    assert state.cursor == pytest.approx(EPOCHS - 2)
    assert state.bands[1].at(state.cursor) == pytest.approx(
        [
            100 * f([accuracy("depth 2", seed, EPOCHS - 2) for seed in range(3)])
            for f in (lambda values: sum(values) / 3, min, max)
        ]
    )
    assert state.no_cursor().cursor is None
    assert state.next_metric().cursor is None


def test_accuracy_on_a_logarithmic_scale_is_errors(mixed: CompareState) -> None:
    right, wrong = mixed.bands[1].at(None), mixed.rescale().bands[1].at(None)
    assert right is not None
    assert wrong == pytest.approx((100 - right[0], 100 - right[2], 100 - right[1]))
    assert mixed.next_metric().logarithmic, "losses are so from the beginning"
    assert not mixed.next_metric().rescale().logarithmic
    assert mixed.turn().pane == DIFFERENCES
    assert mixed.turn().turn().pane == CURVES


# -- words


def test_every_state_of_a_run_has_a_mark_and_a_word(mixed: CompareState) -> None:
    going, failing = mixed.comparison.groups[2:]
    assert said([runs_words(going)]) == "2/3 … 1 going"
    assert said([runs_words(failing)]) == "1/3 ✗ 1 failed · 1 waiting"
    assert said([runs_words(failing, short=True)]) == "1/3 ✗ 1 · 1"
    line, done = standing(mixed.comparison)
    assert (
        said([line])
        == "12 runs: 9 trained  ✗ 1 failed  … 1 going  · 1 waiting   space goes on: nobody begins the next ones"
    )
    assert done == pytest.approx((10 + 0.75 + 0) / 12)


def test_the_time_left_is_told_by_the_pace_of_what_ended(mixed: CompareState) -> None:
    began = datetime.fromisoformat("2026-11-21T11:58:00+00:00")
    conductor = Conducting(started=began.isoformat(), **process_facts())
    comparison = replace(mixed.comparison, conductor=conductor)
    now = began + timedelta(seconds=195)
    # 9 runs and three quarters of one in 195 s are 20 s each: a quarter and one that waits, none for the one that failed.
    assert seconds_left(comparison, now) == pytest.approx(20 * 1.25)
    later = msgspec.structs.replace(conductor, started="2026-11-21T12:00:01+00:00")
    assert seconds_left(replace(comparison, conductor=later), now) is None, "nothing has ended since"
    assert seconds_left(replace(comparison, conductor=msgspec.structs.replace(conductor, state="stopped")), now) is None
    assert seconds_left(mixed.comparison, now) is None
    assert seconds_left(comparison, began - timedelta(seconds=1)) is None, "clocks that differ"


def test_failed_runs_are_told_under_the_table(mixed: CompareState, tmp_path: Path) -> None:
    assert "✗ depth 8, seed 1, is in no mean: crashed: killed by SIGKILL" in said(told(mixed.comparison))
    states = dict.fromkeys(("depth 1", "depth 8"), (KILLED,) * 3)
    text = said(told(Comparing(sweep=write_swept(tmp_path / "more", states)).glance()))
    assert "✗ 6 runs failed, and are in no mean: depth 1 (3), depth 8 (3)" in text


def test_intervals_are_marked_where_zero_lies_outside() -> None:
    assert interval_words(Difference(0.0042, 0.001, 0.0074)) == ("+0.42 [+0.10, +0.74] ▲", "more")
    assert interval_words(Difference(-0.0042, -0.0074, -0.001), short=True) == ("−0.42 ▼", "less")
    assert interval_words(Difference(0.001, -0.01, 0.012)) == ("+0.10 [−1.00, +1.20]  ", "text")
    assert interval_words(Difference(0.5))[0].rstrip() == "+50.00"
    assert interval_words(None) == ("", "dim")


def test_what_is_different_is_told_once_and_layers_as_lines(mixed: CompareState) -> None:
    text = said(account(mixed.select(2).next_seed(1), 60))
    assert "depth 8  beside depth 2" in text
    assert "depth          2 → 8" in text
    assert "parameters     2,650 → 16,570  × 6.25" in text
    assert "− ( conv 16 same; relu ) x2\n" in text
    assert "+ ( conv 16 same; relu ) x8\n" in text
    assert "✗ seed 1 crashed: killed by SIGKILL" in text
    assert "/stderr.log" in text.replace("\n", ""), "of the one that is looked at"
    assert f"{accuracy('depth 8', 0, EPOCHS):.2%}".replace("%", " %") in text
    base = said(account(mixed, 60))
    assert "the baseline" in base
    assert "adam, lr 0.003, cosine" in base


def test_bars_begin_and_end_at_round_shares_about_all_results(mixed: CompareState) -> None:
    low, high = scale(mixed.comparison)
    found = [accuracy for group in mixed.comparison.groups for accuracy in group.accuracies]
    assert (low, high) == pytest.approx((0.8, 1.0))
    assert low < min(found) < max(found) < high


@pytest.mark.parametrize(
    ("names", "cuts"),
    [
        (["none, 0.0003", "none, 0.003"], ["none,…0003", "none,….003"]),
        (["batch norm first", "group norm first"], ["batch nor…", "group nor…"]),
        (["a very long beginning 1", "a very long beginning 2"], ["a ver…ng 1", "a ver…ng 2"]),
        (["short", "of any length at all"], ["short", "of any le…"]),
    ],
)
def test_a_name_is_cut_where_it_does_not_differ(names: list[str], cuts: list[str]) -> None:
    assert cut(names, 10) == cuts


# -- following runs


def test_a_run_that_is_over_is_not_read_again_until_it_is_resumed(tmp_path: Path) -> None:
    directory = write_swept(tmp_path, MIXED)
    runs = Comparing(sweep=directory)
    first = runs.poll()
    again = runs.poll()
    assert all(a is b for a, b in zip(first.groups[:2], again.groups[:2], strict=True)), "nothing is new in them"
    run = first.groups[3].results[1].view.directory
    lock_of(run, 2).touch()
    resume = Resume(step=STEPS, checkpoint="step-23", seq=1, attempt=2)
    (run / "events.2.jsonl").write_bytes(msgspec.json.encode(resume) + b"\n")
    status = read_json(run / "status.json", Status)
    assert status is not None
    (run / "status.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(status, attempt=2, step=STEPS)))
    result = runs.poll().groups[3].results[1]
    assert not result.failed
    assert result.view.state == "training"
    assert [step for step, _ in result.view.test_accuracy] == [STEPS], "what came after the checkpoint does not count"


def test_a_run_that_ends_counts_with_its_last_test_wherever_one_looks(tmp_path: Path) -> None:
    directory = write_swept(tmp_path, MIXED)
    runs = Comparing(sweep=directory)
    going = runs.poll().groups[2].results[2]
    assert going.so_far == accuracy("depth 4", 2, EPOCHS * 3 // 4)
    log = going.view.directory / "events.1.jsonl"
    log.unlink()
    write_log(going.view.directory, "depth 4", 2)
    assert runs.glance().groups[2].results[2].accuracy == accuracy("depth 4", 2, EPOCHS)


def test_runs_that_vanish_are_told_and_the_rest_stands(tmp_path: Path) -> None:
    directory = write_swept(tmp_path)
    gone = [directory / run for run in read_sweep(directory).configurations[3].runs]
    runs = Comparing(sweep=directory)
    runs.glance()
    shutil.rmtree(gone[0])
    seen = runs.glance()
    assert [result.why for result in seen.groups[3].failed] == ["crashed: its directory is gone"]
    for run in gone[1:]:
        shutil.rmtree(run)
    later = Comparing(sweep=directory).poll()
    assert [group.label for group in later.groups] == ["depth 1", "depth 2", "depth 4"]
    assert later.reference.label == "depth 2"
    assert "! 3 runs cannot be read any more (depth 8): run the sweep again" in said(told(later))
    for run in directory.glob("*/spec.json"):
        shutil.rmtree(run.parent)
    with pytest.raises(SweepError, match="none of the 12 runs of"):
        Comparing(sweep=directory)


def test_a_sweep_that_grows_keeps_what_is_looked_at(tmp_path: Path) -> None:
    directory = write_swept(tmp_path, plan=design(2, {"2": 2, "8": 8}))
    runs = Comparing(sweep=directory)
    state = CompareState(runs.poll()).select(1).leave_out()
    assert state.group.label == "depth 8"
    (directory / SWEEP).unlink()
    for run in directory.glob("*/status.json"):
        run.parent.rename(tmp_path / run.parent.name)  # the names of runs tell what they train: they stay
    kept = {path.name: path for path in tmp_path.glob("depth-*-s*")}
    write_swept(tmp_path, dict.fromkeys(("depth 1", "depth 2", "depth 4", "depth 8"), (WAITING,) * 3), design())
    for name, path in kept.items():
        shutil.rmtree(directory / name)
        path.rename(directory / name)
    grown = state.taking(runs.poll())
    assert [group.label for group in grown.comparison.groups] == ["depth 1", "depth 2", "depth 4", "depth 8"]
    assert grown.group.label == "depth 8"
    assert grown.left_out == {3}
    assert len(grown.group.accuracies) == 2
    (directory / SWEEP).unlink()
    with pytest.raises(SweepError, match="holds no sweep"):
        runs.poll()


def test_only_so_many_curves_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "MOST_READ", 4)
    runs = Comparing(sweep=write_swept(tmp_path))
    groups = runs.glance().groups
    assert not any(result.view.test_accuracy for group in groups for result in group.results)

    def curves(of: Callable[[], Comparison]) -> list[int]:
        return [sum(bool(result.view.test_accuracy) for result in group.results) for group in of().groups]

    wanted = [frozenset(result.view.directory for result in group.results) for group in groups]
    assert curves(lambda: runs.poll(runs=wanted[0])) == [3, 0, 0, 0]
    assert curves(lambda: runs.poll(runs=wanted[1])) == [1, 3, 0, 0], "the ones wanted longest ago go"
    assert curves(lambda: runs.poll(runs=wanted[0])) == [3, 1, 0, 0]
    assert sum(len(group.accuracies) for group in runs.glance().groups) == 12, "their results stay"


def test_picked_runs_have_labels_that_tell_them_apart(tmp_path: Path) -> None:
    directory = write_swept(tmp_path)
    picked = [directory / run for one in read_sweep(directory).configurations for run in one.runs]
    found = Comparing(picked).glance()
    assert [len(group.results) for group in found.groups] == [3, 3, 3, 3]
    assert [group.label for group in found.groups] == ["depth-1", "depth-2", "depth-4", "depth-8"]
    assert found.variables == ("net",), "its name says which layers it has"
    one = Comparing(picked[:1]).glance()
    assert (one.title, one.groups[0].label) == (str(picked[0]), "depth-1")


def test_picked_runs_are_called_by_what_varies_the_first_one_too(tmp_path: Path) -> None:
    chosen: tuple[dict[str, Any], ...] = (
        {"lr": 0.01},
        {"lr": 0.01, "epochs": 4},
        {"lr": 0.0003},
        {"lr": 0.01, "seed": 1},
    )
    picked = [write_run(tmp_path, name=f"run-{n}", **settings) for n, settings in enumerate(chosen)]
    found = Comparing(picked).glance()
    assert [group.label for group in found.groups] == ["epochs 3, lr 0.01", "epochs 4, lr 0.01", "epochs 3, lr 0.0003"]
    assert [len(group.results) for group in found.groups] == [2, 1, 1]
    assert (found.variables, found.base) == (("epochs", "lr"), {"epochs": "3", "lr": "0.01"})
    assert [group.changes for group in found.groups] == [{}, {"epochs": "4"}, {"lr": "0.0003"}]
    assert not found.crossed, "not every combination of them"
    lines = csv(found).splitlines()
    assert lines[0].startswith("configuration,epochs,lr,parameters")
    assert lines[3].startswith('"epochs 3, lr 0.0003",3,0.0003,')
    other = write_run(tmp_path, net="lenet5", name="run-4", lr=0.01)
    groups = Comparing([picked[0], other]).glance().groups
    assert [group.label for group in groups] == ["mnist-3conv", "lenet5"]


def test_nets_of_one_name_are_told_apart_by_their_runs(tmp_path: Path) -> None:
    picked = [write_run(tmp_path, name=f"run-{n}") for n in (111111, 222222)]
    spec = read_json(picked[1] / "spec.json", Spec)
    assert spec is not None
    other = msgspec.structs.replace(spec, layers=[*spec.layers[:-1], "dropout 0.5", spec.layers[-1]])
    (picked[1] / "spec.json").write_bytes(msgspec.json.encode(other))
    found = Comparing(picked).glance()
    assert [group.label for group in found.groups] == ["mnist-3conv (111111)", "mnist-3conv (222222)"]
    assert found.variables == ("layers",)
    text = said(account(CompareState(found, 1), 60))
    assert text.count("dropout") == 1, "told once"
