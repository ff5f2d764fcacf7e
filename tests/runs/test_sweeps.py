"""A sweep as it is written: what it comes to, what is refused, and where its runs are."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from cnntui.core.vocabulary import layer_text
from cnntui.runs.launch import LaunchError
from cnntui.runs.listing import RunError, find_run, name_of, row, run_directories
from cnntui.runs.reader import RunReader
from cnntui.runs.spec import lock_of
from cnntui.runs.sweeps.directory import find_sweep, prepare, read_sweep, sweep_directories
from cnntui.runs.sweeps.file import load_design, parse_design, ready
from cnntui.runs.sweeps.plan import Design, Plan, SweepError, filled

NET = 'net = "( conv {width} k{kernel} same; {norm}; relu ) x{depth}; {pool} 2; gap; linear 10"\ninput = [1, 8, 8]\n'
BASE = '[baseline]\ndepth = 1\nwidth = 8\nkernel = 3\nnorm = ""\npool = "maxpool"\ndata = "digits"\nepochs = 2\n'


def planned(vary: str, above: str = "", net: str = NET, base: str = BASE) -> Plan:
    return parse_design(f"{net}{above}\n{base}[vary]\n{vary}", "try").plan()


def labels(plan: Plan) -> list[str]:
    return [one.label for one in plan.configurations]


def layers(plan: Plan, label: str) -> list[str]:
    return [
        layer_text(layer) for layer in next(one for one in plan.configurations if one.label == label).network.layers
    ]


def test_one_thing_at_a_time_leaves_all_else_as_it_is() -> None:
    plan = planned('depth = [1, 2]\nwidth = [16]\nnorm = {"batch norm" = "bn"}\nlr = [0.01]')
    assert labels(plan) == ["baseline", "depth 2", "width 16", "norm: batch norm", "lr 0.01"]
    assert plan.runs == 15
    assert plan.baseline == 0
    assert plan.base == {"depth": "1", "width": "8", "norm": "none", "lr": "0.001"}
    assert layers(plan, "baseline") == ["conv 8 same", "relu", "maxpool 2", "gap", "linear 10"]
    assert layers(plan, "norm: batch norm")[:3] == ["conv 8 same", "bn", "relu"]
    for one in plan.configurations:
        assert (one.settings == plan.configurations[0].settings) == ("lr" not in one.changes)
        assert (one.network.wiring == plan.configurations[0].network.wiring) == (one.changes.keys() <= {"lr"})


def test_a_single_variable_keeps_the_order_of_its_values_with_the_baseline_among_them() -> None:
    plan = planned("depth = [3, 1, 2]")
    assert labels(plan) == ["depth 3", "depth 1", "depth 2"]
    assert plan.baseline == 1


def test_crossed_variables_make_every_combination_once() -> None:
    plan = planned("depth = [1, 2]\nwidth = [8, 16, 32]", "crossed = true")
    assert len(plan.configurations) == 6
    assert plan.configurations[plan.baseline].label == "depth 1, width 8"
    assert len({one.key(0) for one in plan.configurations}) == 6


def test_what_is_the_same_net_with_the_same_settings_is_trained_once() -> None:
    plan = planned('pool = { max = "maxpool", also = "maxpool", mean = "avgpool" }')
    assert labels(plan) == ["pool: max", "pool: mean"]


def test_what_comes_to_the_same_as_the_baseline_is_the_baseline() -> None:
    plan = parse_design(
        'net = "conv {2*(width//2)}; gap; linear 10"\ninput = [1, 8, 8]\n'
        '[baseline]\nwidth = 5\ndata = "digits"\n[vary]\nwidth = [4, 5, 6]', "try"
    ).plan()  # fmt: skip
    assert labels(plan) == ["width 5", "width 6"]
    assert (plan.baseline, plan.configurations[0].changes) == (0, {})


@pytest.mark.parametrize("seeds", ["99999999999999999999999", "[99999999999999999999999]", "1001"])
def test_too_many_seeds_and_too_large_ones_are_refused_before_they_are_made(seeds: str) -> None:
    with pytest.raises(SweepError, match="seeds"):
        planned("lr = [0.1]", f"seeds = {seeds}")


def test_too_many_combinations_are_refused_before_they_are_made() -> None:
    values = [number / 100 for number in range(1, 90)]
    vary = "".join(f"{name} = {values}\n" for name in ("lr", "weight_decay", "label_smoothing"))
    with pytest.raises(SweepError, match="more than 1,000 configurations"):
        planned(f"{vary}width = {list(range(1, 90))}\nepochs = {list(range(1, 90))}", "crossed = true")


def test_what_a_run_learned_is_handed_on_in_a_sweep(root: Path, tmp_path: Path) -> None:
    run = tmp_path / "learned"
    run.mkdir()
    (run / "spec.json").write_text("{}")
    vary = f"weights_from = {{ learned = {str(run)!r}, fresh = '' }}"
    plan = planned(vary)
    assert labels(plan) == ["weights from: learned", "weights from: fresh"]
    assert plan.baseline == 1, "which says nothing of it"
    assert [one.settings.weights_from for one in plan.configurations] == [str(run.resolve()), None]
    base = f"{BASE}weights_from = {str(run)!r}\nnew_head = true\n"
    plan = planned("backbone_lr = [0.0001, 1]\nfrozen = [true]", base=base)
    assert labels(plan) == ["baseline", "backbone lr 0.0001", "backbone lr 1", "frozen: on"]
    assert [one.settings.frozen for one in plan.configurations] == [False, False, False, True]
    plan = planned("weights_from = { fresh = '' }", base=base)
    assert [(one.settings.weights_from, one.settings.new_head) for one in plan.configurations] == [
        (str(run.resolve()), True), (None, False),
    ]  # fmt: skip
    with pytest.raises(SweepError, match="weights_from: last may be another run each time, name it"):
        planned("lr = [0.1]", base=f"{BASE}weights_from = 'last'\n")
    with pytest.raises(SweepError, match="weights_from: no run is called 'lost'"):
        planned("lr = [0.1]", base=f"{BASE}weights_from = 'lost'\n")
    with pytest.raises(SweepError, match="a frozen backbone would stay as random as it begins"):
        planned("frozen = [true, false]")


def test_combinations_that_cannot_be_are_all_named_and_can_be_left_out() -> None:
    net = 'net = "( conv {width} k{kernel}; relu; {pool} 2 ) x{depth}; gap; linear 10"\ninput = [1, 8, 8]\n'
    base = BASE.replace('norm = ""\n', "")
    vary = "kernel = [3, 5, 9]\ndepth = [1, 2]"
    with pytest.raises(SweepError) as caught:
        planned(vary, "crossed = true", net, base)
    assert str(caught.value).startswith(
        "kernel 3, depth 2: layer maxpool2: kernel 2 > 1. So it is with 3 more: kernel 5, depth 2;"
    )
    assert "skip = [" in str(caught.value)
    plan = planned(vary, "crossed = true\nskip = [{ depth = 2 }, { kernel = 9 }]", net, base)
    assert labels(plan) == ["kernel 3, depth 1", "kernel 5, depth 1"]
    with pytest.raises(SweepError, match="skip: depth = 7 is no value that depth has: 1, 2"):
        planned(vary, "crossed = true\nskip = [{ depth = 7 }]", net, base)


def test_a_file_of_a_net_has_no_placeholders() -> None:
    with pytest.raises(SweepError, match="'width' is no setting, and a net's file has no placeholders"):
        planned("width = [4]", net='net = "mine.toml"\n', base='[baseline]\nwidth = 2\ndata = "digits"\n')


def test_whole_nets_are_compared_with_their_own_placeholders() -> None:
    plan = planned(
        'net = ["lenet5", "mnist-gap"]', net='net = "mnist-3conv"\n', base='[baseline]\ndata = "mnist"\nepochs = 1\n'
    )
    assert [one.network.name for one in plan.configurations] == ["mnist-3conv", "lenet5", "mnist-gap"]
    assert labels(plan) == ["mnist-3conv", "lenet5", "mnist-gap"]


def test_placeholders_are_reckoned_and_empty_ones_leave_no_layer() -> None:
    assert filled("conv {2*w}; {norm}; relu; {a} {k}", {"w": 4, "norm": "", "a": "maxpool", "k": 2}) == (
        "conv 8; relu; maxpool 2"
    )
    assert filled("dropout {p}", {"p": 0.25}) == "dropout 0.25"
    with pytest.raises(SweepError, match=r"\{w/2\}: .*'/'"):
        filled("conv {w/2}", {"w": 4})


@pytest.mark.parametrize("name", ready())
def test_the_ready_sweeps_can_be_trained_on_what_comes_with_cnntui(name: str) -> None:
    plan = load_design(name).plan()
    assert plan.name == name
    assert plan.about
    assert len(plan.seeds) >= 3
    assert {one.settings.data for one in plan.configurations} == {"digits"}
    assert not plan.configurations[plan.baseline].changes


def test_a_value_of_the_baseline_can_be_overridden() -> None:
    plan = load_design("depth", {"epochs": 3, "width": 4}).plan()
    assert {one.settings.epochs for one in plan.configurations} == {3}
    assert layers(plan, "depth 1")[0] == "conv 4 same"


def test_a_recipe_is_a_setting_too() -> None:
    plan = planned('recipe = ["fast"]', base=BASE.replace("epochs = 2\n", ""))
    assert [one.settings.optimizer for one in plan.configurations] == ["adam", "adamw"]


WRONG = {
    "vary nothing": ("", "nothing is varied"),
    "unknown": ("dept = [1]", r"'dept' is neither a placeholder of the net, \{dept\}, nor a setting"),
    "seed": ("seed = [1, 2]", "seeds = "),
    "type": ('epochs = ["many"]', "epochs: many: epochs: expected `int`, got `str`"),
    "setting": ('optimizer = ["adma"]', "'adma' is none of adam, adamw, sgd"),
    "range": ("lr = [-1]", "learning rate -1"),
    "impossible": ("kernel = [0]", "kernel 0: "),
    "too deep": ("depth = [99999999]", "depth 99999999: "),
    "layer": ('pool = ["maxpol"]', "pool: maxpol: .*maxpol"),
    "nested": ("depth = [[1]]", r"\[vary\] depth: \[1\] is neither a number nor a text"),
    "empty": ("depth = []", r"\[vary\] depth: an empty list"),
    "many": (f"lr = [{', '.join(str((n + 1) / 10000) for n in range(400))}]", "1,200 runs > 1,000"),
    "auto": ('data = ["auto"]', "data must be named"),
    "TOML": ("depth = [1, ]]", r"not TOML: .*line 13"),
}


@pytest.mark.parametrize(("vary", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(vary: str, message: str) -> None:
    with pytest.raises(SweepError, match=message) as caught:
        planned(vary)
    assert "\n" not in str(caught.value)


def test_what_is_wrong_outside_of_the_values_is_named() -> None:
    with pytest.raises(SweepError, match=r"unknown key 'nets'"):
        planned("depth = [2]", 'nets = "x"')
    with pytest.raises(SweepError, match=r"placeholder \{depth\} has no value in \[baseline\]"):
        planned("width = [2]", base=BASE.replace("depth = 1\n", ""))
    with pytest.raises(SweepError, match=r"data must be named"):
        planned("depth = [2]", base=BASE.replace('data = "digits"\n', ""))
    with pytest.raises(SweepError, match=r"placeholder \{lr\} has the name of a setting"):
        planned(
            "width = [2]", net='net = "conv {width} k{lr}"\n', base='[baseline]\nwidth = 1\nlr = 3\ndata = "digits"\n'
        )
    with pytest.raises(SweepError, match="not in one score a class"):
        planned(
            "width = [2]", net='net = "conv {width}"\ninput = [1, 8, 8]\n', base='[baseline]\nwidth=1\ndata="digits"\n'
        )
    with pytest.raises(SweepError, match=r"seeds = \[1, 1\]"):
        planned("depth = [2]", "seeds = [1, 1]")
    with pytest.raises(SweepError, match="no sweep is called 'nothing': there is ablation, "):
        load_design("nothing")


# -- its directory

SMALL = Design(
    "small", "conv {width} k3; relu; gap; linear 10", (1, 8, 8), (0, 1), {"width": 2, "data": "digits", "epochs": 1},
    {"width": {"2": 2, "4": 4}},
)  # fmt: skip


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNNTUI_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def test_every_run_has_a_directory_and_waits(root: Path) -> None:
    directory = prepare(SMALL.plan())
    sweep = read_sweep(directory)
    runs = sweep.directories(directory)
    assert directory == root / "small"
    assert [RunReader(run).spec.seed for run in runs] == [0, 0, 1, 1]  # all have a first result before a second
    assert {row(run).label for run in runs} == {"waiting"}
    assert {view.ended for view in (RunReader(run).glance() for run in runs)} == {False}
    assert sweep_directories() == [directory]
    assert find_sweep("small") == find_sweep(str(directory)) == directory
    assert find_sweep("another") is None


def test_a_sweep_that_has_grown_finds_what_was_there(root: Path) -> None:
    before = read_sweep(prepare(SMALL.plan()))
    for run in before.directories(root / "small"):
        (run / "mark").touch()
    grown = replace(SMALL, vary={"width": {"2": 2, "3": 3, "4": 4}}, seeds=(0, 1, 2))
    after = read_sweep(prepare(grown.plan()))
    marked = {run.name for run in after.directories(root / "small") if (run / "mark").exists()}
    assert marked == {name for one in before.configurations for name in one.runs}
    assert len(after.directories(root / "small")) == 9


def test_where_it_is_computed_makes_no_other_run() -> None:
    here = SMALL.plan().configurations[0]
    key = here.key(0)
    for name, value in {"device": "cpu", "data_dir": "/", "cuda_graphs": False}.items():
        there = msgspec.structs.replace(here.settings, **{name: value})
        assert replace(here, settings=there).key(0) == key
    other = msgspec.structs.replace(here.settings, lr=0.5)
    assert replace(here, settings=other).key(0) != key
    assert here.key(1) != key


def test_runs_of_a_sweep_are_found_by_its_name_and_theirs(root: Path) -> None:
    directory = prepare(SMALL.plan())
    runs = read_sweep(directory).directories(directory)
    assert sorted(run_directories()) == sorted(runs)
    assert name_of(runs[0]) == f"small/{runs[0].name}"
    assert find_run(name_of(runs[0])) == runs[0]
    assert find_run("small/width-4-s1") == runs[3]
    with pytest.raises(RunError, match="'small/width-4' begins 2 runs"):
        find_run("small/width-4")
    lock_of(runs[2], 1).touch()
    assert find_run("last") == runs[2]  # those that wait have nothing to show


def test_a_run_that_lost_its_directory_is_made_anew(root: Path) -> None:
    directory = prepare(SMALL.plan())
    lost = read_sweep(directory).directories(directory)[1]
    shutil.rmtree(lost)
    prepare(SMALL.plan())
    assert RunReader(lost).glance().state == "waiting"


GARBAGE = {
    "nothing in it": {"configurations": []},
    "another baseline": {"baseline": 3},
    "a run that is elsewhere": {"runs": ["../../etc"]},
    "a run that no path can name": {"runs": ["a\0b"]},
    "a label that a terminal would obey": {"label": "\x1b[2J"},
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_a_file_that_is_none_of_ours_is_no_sweep(root: Path, garbage: dict[str, object]) -> None:
    directory = prepare(planned("depth = [1, 2]"))
    file = directory / "sweep.json"
    told = json.loads(file.read_bytes())
    for name, value in garbage.items():
        (told if name in told else told["configurations"][0])[name] = value
    file.write_text(json.dumps(told))
    assert sweep_directories() == []
    with pytest.raises(SweepError, match="holds no sweep"):
        read_sweep(directory)


def test_a_run_is_no_sweep(root: Path) -> None:
    directory = prepare(SMALL.plan())
    run = read_sweep(directory).directories(directory)[0]
    with pytest.raises(SweepError, match="holds a run"):
        prepare(SMALL.plan(), run)
    with pytest.raises(SweepError, match="holds no sweep"):
        read_sweep(run)
    (directory / "sweep.json").write_text("{}")
    with pytest.raises(SweepError, match="holds no sweep"):
        read_sweep(directory)


def test_a_sweep_that_cannot_be_written_is_told_in_one_line(root: Path) -> None:
    root.write_text("in the way")
    with pytest.raises((SweepError, LaunchError), match="small"):
        prepare(SMALL.plan())
