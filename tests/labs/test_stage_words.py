"""Train, Explore and Compare in words: every move, every fact, and what is said where there is none."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from cnntui.core.nets import load_net
from cnntui.labs.stages import Stage, WordsError, stage
from cnntui.labs.stages.train import Training, gap
from cnntui.labs.train import CHOICES, TrainState
from cnntui.runs.reader import RunReader
from tests.ui.helpers import TEST_COUNTS, write_run


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


@pytest.mark.parametrize("name", ["train"])
def test_a_stage_is_told_in_words(name: str) -> None:
    there = stage(name)
    assert there.name == name
    assert there.effects <= there.moves.keys()
    assert all(words.about for words in there.moves.values())
    state = there.start()
    for fact in there.facts:
        if "[" not in fact and not fact[0].isupper():
            there.fact(state, fact, ())  # can be asked from the first
    with pytest.raises(WordsError, match=f"no fact of {name} is called 'lightning'"):
        there.fact(state, "lightning", ())
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
