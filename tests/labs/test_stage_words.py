"""Train, Explore and Compare in words: every move, every fact, and what is said where there is none."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from cnntui.core.nets import load_net
from cnntui.labs.compare import CompareState
from cnntui.labs.comparing import Comparing
from cnntui.labs.opened import open_run
from cnntui.labs.stages import Stage, WordsError, stage
from cnntui.labs.stages.compare import Comparing as Words
from cnntui.labs.stages.exploring import Exploring
from cnntui.labs.stages.train import Training, gap
from cnntui.labs.subject import subject_of
from cnntui.labs.train import CHOICES, TrainState
from cnntui.runs.reader import RunReader
from tests.ui.explored import FALSE_SEVEN, STEPS, write_explored
from tests.ui.helpers import TEST_COUNTS, write_run
from tests.ui.swept import GOING, KILLED, TRAINED, WAITING, write_swept


def played(name: str, *moves: str, state: Any = None) -> Any:
    """After these moves, from the start or from a state."""
    there = stage(name)
    state = there.start() if state is None else state
    for move in moves:
        state = there.play(state, move)
    return state


def asked(there: Stage, state: Any, *names: str) -> list[Any]:
    return [there.fact(state, name, ()) for name in names]


def refused(name: str, move: str, state: Any = None) -> str:
    with pytest.raises(WordsError) as raised:
        played(name, move, state=state)
    assert "\n" not in str(raised.value)
    return str(raised.value)


OF_OPS = {"count", "has", "share"}
INDEXED = {
    "seen",
    "class_accuracy",
    "probability",
    "visited",
    "done",
    "difference",
    "mean",
    "sd",
    "speed",
    "low",
    "high",
    "clear",
}


@pytest.mark.parametrize("name", ["train", "explore", "compare"])
def test_a_stage_is_told_in_words(name: str) -> None:
    there = stage(name)
    assert there.name == name
    assert there.effects <= there.moves.keys()
    assert all(words.about for words in there.moves.values())
    state = there.start()
    indexed = INDEXED | ({"params"} if name == "compare" else set())
    for fact in there.facts.keys() - indexed - OF_OPS:
        if not fact[0].isupper():
            there.fact(state, fact, ())  # can be asked from the first
    for fact in indexed & there.facts.keys():
        with pytest.raises(WordsError, match="write"):
            there.fact(state, fact, ())
    with pytest.raises(WordsError, match=f"no fact of {name} is called 'lightning'"):
        there.fact(state, "lightning", ())
    with pytest.raises(WordsError, match=f"no fact of {name} is called 'conv1.lightning'"):
        there.fact(state, "conv1.lightning", ())
    assert "no move of" in refused(name, "fly away")


# -- train


TRAIN = stage("train")


def watched(tmp_path: Path, **more: Any) -> Training:
    """A run that has left fixed numbers."""
    reader = RunReader(write_run(tmp_path, **more))
    return Training(TrainState(load_net("lenet5").network), reader.poll())


def test_settings_are_set_as_on_the_screen() -> None:
    state = played(
        "train", "net mnist-gap", "data digits", "epochs 3", "batch_size 32", "lr 1/100", "optimizer sgd",
        "schedule constant", "augment shift", "seed 4", "weight_decay 0.01", "label_smoothing 0.1", "compile on",
        "precision float32", "device cpu",
    )  # fmt: skip
    settings = state.setup.settings
    assert (settings.epochs, settings.batch_size, settings.lr, settings.seed) == (3, 32, 0.01, 4)
    assert asked(TRAIN, state, "net", "data", "lr", "optimizer", "compile", "weight_decay") == [
        "mnist-gap", "digits", 0.01, "sgd", True, 0.01,
    ]  # fmt: skip
    assert asked(TRAIN, state, *CHOICES) == [state.setup.value(name) for name in CHOICES]
    assert asked(TRAIN, played("train", "weight_decay own", state=state), "weight_decay") == ["own"]
    assert asked(TRAIN, played("train", "recipe fast"), "recipe", "lr", "epochs") == ["fast", 0.003, 5]
    assert asked(TRAIN, played("train", "net conv 4; relu; gap; linear 10"), "params") == [4 * 9 + 4 + 50]


@pytest.mark.parametrize(
    ("move", "said"),
    [
        ("lr 0", "learning rate 0.0 is not a number above 0"),
        ("lr fast", "'fast' is not a number; write one like"),
        ("epochs 0", "epochs 0 is not from 1 to 1,000,000"),
        ("epochs two", "epochs 'two' is not a whole number"),
        ("optimizer adan", "optimizer 'adan' is none of adam, adamw, sgd"),
        ("data mnits", "data 'mnits' is none of mnist, "),
        ("compile yes", "compile 'yes' is neither on nor off"),
        ("recipe slow", "recipe 'slow' is none of plain, fast"),
        ("net nothing", "no net is called 'nothing'; the zoo has"),
        ("net cnov 4; relu", "cnov"),
        ("panel losses", "no panel is called 'losses'; did you mean loss?"),
        ("run a/b", "'a/b' is no name: it has letters, digits, - and _"),
        ("run", "'run' is not understood; write run NAME"),
        ("start soon", "'soon' is no number of epochs"),
        ("strat", "no move of train is called 'strat'; did you mean start?"),
    ],
)
def test_what_train_does_not_understand(move: str, said: str) -> None:
    assert said in refused("train", move)


def test_effects_only_ask() -> None:
    state = played("train", "lr 0.01")
    for move in ("run small", "watch small", "start", "start 2", "pause", "resume", "stop"):
        assert TRAIN.play(state, move) is state
    assert {move.split()[0] for move in ("run", "watch", "start", "pause", "resume", "stop")} == TRAIN.effects


def test_of_a_run_that_is_not_there_nothing_is_known() -> None:
    state = TRAIN.start()
    assert asked(TRAIN, state, "started", "trained", "state", "test_accuracy", "gap", "worst") == [
        False, False, None, None, None, None,
    ]  # fmt: skip
    assert TRAIN.fact(state, "class_accuracy", (7,)) is None


def test_a_run_that_is_watched_is_what_is_asked_about(tmp_path: Path) -> None:
    state = watched(tmp_path, lr=0.002)
    assert asked(TRAIN, state, "started", "trained", "state", "net", "params", "lr", "epochs", "data.name") == [
        True, True, "finished", "mnist-3conv", 93_322, 0.002, 3, "mnist",
    ]  # fmt: skip
    assert asked(TRAIN, state, "epoch", "step", "pictures.train", "pictures.test") == [3, 300, 60_000, 10_000]
    assert TRAIN.fact(state, "test_accuracy", ()) == pytest.approx(1 - 0.1 / 6)
    assert asked(TRAIN, state, "best_accuracy", "best_epoch", "diverged") == [pytest.approx(1 - 0.1 / 6), 3, False]
    view = state.run
    assert view is not None
    last = [loss for step, loss in view.train_loss if step > 200]
    assert gap(view) == TRAIN.fact(state, "gap", ()) == pytest.approx(view.test_loss[-1][1] - sum(last) / len(last))
    assert view.classes is not None
    right = view.classes.right
    assert TRAIN.fact(state, "misread", ()) == sum(TEST_COUNTS) - sum(right)
    shares = [r / count for r, count in zip(right, TEST_COUNTS, strict=True)]
    assert TRAIN.fact(state, "worst", ()) == shares.index(min(shares))
    assert TRAIN.fact(state, "class_accuracy", (7,)) == TRAIN.fact(state, "class_accuracy", ("7",)) == shares[7]
    for index, said in (((11,), "there is no class 11: there are 0, 1"), ((), "write class_accuracy\\[7\\]")):
        with pytest.raises(WordsError, match=said):
            TRAIN.fact(state, "class_accuracy", index)
    with pytest.raises(WordsError, match="lr has no index"):
        TRAIN.fact(state, "lr", (1,))


def test_a_loss_that_is_not_finite_is_told(tmp_path: Path) -> None:
    state = watched(tmp_path, nan=True)
    assert asked(TRAIN, state, "diverged", "best_epoch") == [True, 3]
    assert math.isfinite(TRAIN.fact(state, "test_loss", ()))  # type: ignore[arg-type]


def test_another_setting_leaves_the_run_for_a_new_one(tmp_path: Path) -> None:
    state = played("train", "lr 0.1", state=watched(tmp_path, epochs=3))
    assert state.run is None
    assert asked(TRAIN, state, "net", "lr", "epochs", "started") == ["mnist-3conv", 0.1, 3, False]


def test_panels_are_put_before_the_eyes(tmp_path: Path) -> None:
    state = watched(tmp_path)
    assert asked(TRAIN, state, "panel") == ["loss"]
    assert not TRAIN.fact(state, "seen", ("confusion",))
    state = played("train", "panel confusion", state=state)
    assert asked(TRAIN, state, "panel") == ["confusion"]
    assert TRAIN.fact(state, "seen", ("confusion",))
    with pytest.raises(WordsError, match='write seen\\["confusion"\\]'):
        TRAIN.fact(state, "seen", ("everything",))


# -- explore


EXPLORE = stage("explore")


def explored(tmp_path: Path) -> Exploring:
    """A run that left what its trainer leaves, opened."""
    view = RunReader(write_explored(tmp_path)).poll()
    subject = subject_of(open_run(view.directory), view)
    return Exploring(subject, subject.state.at_first(), 0.95)


def of(state: Exploring, name: str, *index: int | str) -> Any:
    return EXPLORE.fact(state, name, index)


def test_while_nothing_is_open_words_are_checked_and_nothing_is_known() -> None:
    state = played(
        "explore", "run digits", "net lenet5", "train", "picture 1,204", "misread 2", "look conv1 3,1,1", "level cell",
        "why occlusion", "ask 7", "silence conv1 2", "pixel 3,4 −0.5", "weight conv1 0,0,1,1 1/3", "bias conv1 2 1",
        "moment last", "shift 0,−3", "restore", "patches conv1 3",
    )  # fmt: skip
    assert (state.lab, state.subject) == (None, None)
    assert asked(EXPLORE, state, "opened", "node", "read", "conv1.weight.shape", "conv1.params", "moments") == [
        False, None, None, None, 156, None,
    ]  # fmt: skip
    assert of(state, "probability", 7) is None
    assert not of(state, "visited", "conv1")


@pytest.mark.parametrize(
    ("move", "said"),
    [
        ("picture many", "'many' is no number of a test picture: write a whole number"),
        ("look conv1 a,b", "'a,b' is no place"),
        ("level near", "no level is called 'near'; there are overview, layer, cell"),
        ("why not", "no picture of reasons is called 'not'"),
        ("pixel 3 1", "'3' is no pixel: write ROW,COLUMN"),
        ("pixel 3,4 dark", "'dark' is not a number"),
        ("shift 3", "'3' is not DOWN,RIGHT"),
        ("moment middle", "'middle' is no moment, nor first, nor last"),
        ("patches input", "the pixels are not excited by anything"),
        ("net nothing", "no net is called 'nothing'"),
        ("run", "'run' is not understood; write run NAME"),
    ],
)
def test_what_explore_does_not_understand(move: str, said: str) -> None:
    assert said in refused("explore", move)


@pytest.mark.parametrize(
    ("move", "said"),
    [
        ("picture 20", "test picture 20: there are 0 to 19"),
        ("misread 2", "misread 2: 1 misread pictures are known"),
        ("look conv9", "there is no layer 'conv9'; did you mean conv"),
        ("look conv1 6", "conv1 has no channel 6: 0 to 5"),
        ("look conv1 0,28,0", "conv1 has 6×28×28 numbers: there is no 0,28,0"),
        ("ask eleven", "there is no class eleven: there are 0, 1"),
        ("silence input 0", "the input is not silenced"),
        ("weight conv1 0,0,5,0 1", "conv1.weight has no 0,0,5,0"),
        ("weight relu1 0 1", "relu1 has no weight"),
        ("moment 40", "there is no moment 40: 9 are kept"),
    ],
)
def test_what_cannot_be_done_in_this_net(tmp_path: Path, move: str, said: str) -> None:
    assert said in refused("explore", move, explored(tmp_path))


def test_moves_in_a_net_are_those_of_the_screen(tmp_path: Path) -> None:
    state = explored(tmp_path)
    state = played("explore", "picture 4", "look conv2 3", "level cell", state=state)
    assert state.lab is not None
    lab = state.lab
    assert asked(EXPLORE, state, "picture", "label", "node", "channel", "level", "channels", "value") == [
        4, 4, "conv2", 3, "cell", 8, lab.value,
    ]  # fmt: skip
    assert lab.unit == lab.strongest("conv2", 3)
    assert of(state, "visited", "conv2")
    assert not of(state, "visited", "relu1")
    assert of(state, "conv2.weight", 3, 2, 1, 0) == lab.parameters["conv2"]["weight"][3, 2, 1, 0]
    assert of(state, "conv2.maps.shape") == (8, 12, 12)
    assert of(state, "conv2.maps.largest") == lab.trace.values["conv2"].max()
    assert of(state, "conv2.maps", *lab.unit) == lab.value
    assert of(state, "conv2.params") == 8 * 6 * 9 + 8
    assert of(state, "probability", 4) == of(state, "probability", "4") == lab.probabilities[4]
    assert of(state, "loss") == pytest.approx(-math.log(lab.probabilities[4]))
    assert asked(EXPLORE, state, "read", "right", "test_accuracy", "misread", "dead", "shifted") == [
        4, True, 0.95, 1, 0, (0, 0),
    ]  # fmt: skip

    state = played(
        "explore", "silence conv1 2", "weight conv1 0,0,1,1 0.5", "bias conv2 1 −1", "shift 2,−1", state=state
    )
    assert asked(EXPLORE, state, "silenced", "changed", "shifted") == [1, 2, (2, -1)]
    assert [of(state, "silenced", layer) for layer in ("conv1", "conv2")] == [1, 0]
    assert EXPLORE.fact(Exploring(), "silenced", ("conv1",)) is None
    with pytest.raises(WordsError, match="there is no layer 'conv9'"):
        of(state, "silenced", "conv9")
    again = played("explore", "weight conv1 0,0,1,1 0.25", state=state)
    assert of(again, "changed") == 2, "a number that is set twice is one number"
    assert state.lab is not None
    (was,) = [change.before for change in state.lab.changes if change.name == "weight"]
    assert of(played("explore", f"weight conv1 0,0,1,1 {was!r}", state=state), "changed") == 1, "it is as it was"
    assert of(state, "conv1.weight", 0, 0, 1, 1) == 0.5
    state = played("explore", "restore", "moment first", "why gradient", "misread", "ask 1", state=state)
    assert asked(EXPLORE, state, "silenced", "changed", "moment", "step", "why", "picture", "right", "asked") == [
        0, 0, 0, 0, "gradient", FALSE_SEVEN, of(state, "read") == 7, 1,
    ]  # fmt: skip
    state = played("explore", "look conv1 1", "level overview", "pixel 2,3 1", "why none", "moment last", state=state)
    assert asked(EXPLORE, state, "changed", "why", "step", "level") == [1, "none", STEPS, "overview"]


@pytest.mark.parametrize(
    ("name", "index", "said"),
    [
        ("probability", (10,), "there is no class 10"),
        ("visited", ("conv7",), "there is no layer 'conv7'"),
        ("conv1.weight", (9, 0, 0, 0), "conv1.weight is asked for one number: conv1.weight[5,0,4,4] is the last"),
        ("relu1.weight", (), "relu1 has no weight"),
        ("conv1.weight.sum", (), "weight has no sum: it has shape, largest, smallest, and weight[...]"),
        ("node", (1,), "node has no index"),
    ],
)
def test_what_cannot_be_asked_of_this_net(tmp_path: Path, name: str, index: tuple[int | str, ...], said: str) -> None:
    with pytest.raises(WordsError) as raised:
        EXPLORE.fact(explored(tmp_path), name, index)
    assert said in str(raised.value)


# -- compare


COMPARE = stage("compare")


def compared(tmp_path: Path, **states: Any) -> Words:
    """A sweep of depths that left fixed numbers."""
    return Words(CompareState(Comparing(sweep=write_swept(tmp_path, **states)).poll(), 1))


def told(state: Words, name: str, label: str) -> Any:
    return COMPARE.fact(state, name, (label,))


def test_a_sweep_is_asked_about(tmp_path: Path) -> None:
    state = compared(tmp_path)
    assert asked(COMPARE, state, "name", "configurations", "seeds", "runs", "trained", "failed", "going", "over") == [
        "depth", 4, 3, 12, 12, 0, 0, True,
    ]  # fmt: skip
    assert asked(COMPARE, state, "best", "worst", "baseline", "selected", "metric", "sorted") == [
        "depth 4", "depth 1", "depth 2", "depth 2", "test-accuracy", False,
    ]  # fmt: skip
    comparison = state.lab.comparison if state.lab else None
    assert comparison is not None
    deepest = comparison.groups[3]
    assert deepest.summary is not None
    assert told(state, "mean", "depth 8") == deepest.summary.mean
    assert told(state, "sd", "depth 8") == deepest.summary.sd
    assert told(state, "params", "depth 8") == deepest.params
    assert told(state, "done", "depth 8") == 3
    assert told(state, "speed", "depth 8") == 9_000.0, "each of its runs told that"
    found = comparison.difference(deepest)
    assert found is not None
    assert [told(state, name, "depth 8") for name in ("difference", "low", "high", "clear")] == [
        found.value, found.low, found.high, found.is_clear,
    ]  # fmt: skip
    assert told(state, "difference", "depth 2") is None, "it is the baseline"
    with pytest.raises(WordsError, match="no configuration is called 'depth 3'; did you mean depth"):
        told(state, "mean", "depth 3")


def test_before_all_is_over_none_is_the_best(tmp_path: Path) -> None:
    state = compared(tmp_path, states={"depth 4": (TRAINED, GOING, WAITING), "depth 1": (KILLED, TRAINED, TRAINED)})
    assert asked(COMPARE, state, "trained", "failed", "going", "over", "best", "worst") == [9, 1, 1, False, None, None]
    assert told(state, "done", "depth 4") == 1
    assert told(state, "sd", "depth 4") is None
    waiting = compared(tmp_path / "waiting", states={"depth 4": (GOING, WAITING, WAITING)})
    assert told(waiting, "speed", "depth 4") is None, "a run that goes on is not measured to its end"


def test_one_looks_at_a_sweep_in_words(tmp_path: Path) -> None:
    state = played(
        "compare", "select depth 8", "baseline depth 1", "sort", "metric test-loss", "hide depth 2", "scale",
        state=compared(tmp_path),
    )  # fmt: skip
    assert asked(COMPARE, state, "selected", "baseline", "sorted", "metric", "drawn") == [
        "depth 8", "depth 1", True, "test-loss", 3,
    ]  # fmt: skip
    assert told(state, "difference", "depth 1") is None
    assert told(state, "difference", "depth 8") > 0
    assert "no configuration is called 'depth 9'; did you mean depth" in refused("compare", "select depth 9", state)
    start = COMPARE.start()
    assert played("compare", "sweep depth", "go", "select depth 9", "sort", "metric train-loss") == start
    assert "no curve is called 'loss'" in refused("compare", "metric loss")
    assert "'select' is not understood; write select CONFIGURATION" in refused("compare", "select")
    assert "'a.b' is no name" in refused("compare", "sweep a.b")
