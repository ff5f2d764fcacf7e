"""What is opened to be explored: a run, a net, a net of the builder; its pictures and its moments."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from cnntui.core.network import sequential
from cnntui.core.notation import parse
from cnntui.labs import opened as opened_lab
from cnntui.labs.opened import OpenError, at_moment
from cnntui.labs.subject import (
    FIRST_NET,
    Subject,
    ask_subject_gallery,
    default_word,
    fits,
    misread_words,
    open_wish,
    subject_of,
    with_moments,
)
from cnntui.labs.wish import Wish
from cnntui.runs.events import Misread
from cnntui.runs.reader import RunReader, RunView
from cnntui.runs.weights import moments
from tests.ui.explored import (
    CHECKPOINTS,
    CLASSES,
    FALSE_SEVEN,
    NAME,
    SNAPSHOTS,
    STEPS,
    keep_pictures,
    pictures,
    read_as,
    trained,
    write_explored,
    write_snapshot,
)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNNTUI_RUNS", str(tmp_path))
    return write_explored(tmp_path)


def opened(wish: Wish) -> tuple[Subject, RunView]:
    model = open_wish(wish)
    assert model.run is not None
    view = RunReader(model.run).poll()
    return subject_of(model, view, wish.picture), view


def test_the_last_run_at_its_best_moment(run: Path) -> None:
    assert default_word() == "last"
    subject, view = opened(Wish())
    state = subject.state
    assert state.model.title == NAME
    assert state.model.moment == f"best checkpoint, step {STEPS}"
    assert [moment.step for moment in state.moments] == sorted({*SNAPSHOTS, *CHECKPOINTS})
    assert state.moments[state.moment or 0].step == STEPS
    assert subject.gallery is not None
    assert (state.picture.number, state.picture.label) == (0, 0)
    assert state.model.classes == CLASSES
    assert with_moments(state, moments(view)) is state
    weights = trained().parameters[STEPS]
    assert np.array_equal(state.parameters["conv1"]["weight"], weights["conv1"]["weight"].astype(float))


def test_the_run_reads_its_test_pictures_as_its_log_says(run: Path) -> None:
    subject, _ = opened(Wish())
    assert subject.gallery is not None
    for number, (read, share) in enumerate(read_as()):
        there = subject.state.show(opened_lab.test_picture(subject.gallery, number))
        assert there.read == read
        assert there.probabilities[read] == pytest.approx(share)
    assert opened(Wish(picture="test:3"))[0].state.picture.label == 3
    wrong = [(m.picture, m.label, m.read) for m in subject.misread]
    assert wrong[0] == (FALSE_SEVEN, 7, 1)
    assert [m.probability for m in subject.misread] == sorted((m.probability for m in subject.misread), reverse=True)
    labels = pictures()[1]
    assert {number for number, *_ in wrong} == {i for i, (read, _) in enumerate(read_as()) if read != labels[i]}


def test_without_runs_a_net_of_the_zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNTUI_RUNS", str(tmp_path))
    assert default_word() == FIRST_NET
    model = open_wish(Wish())
    subject = subject_of(model)
    assert model.title == FIRST_NET
    assert (subject.gallery, subject.misread, subject.state.moments) == (None, (), ())
    assert subject.state.picture.label is None
    assert ask_subject_gallery(model) is None


def test_a_net_that_is_made(run: Path) -> None:
    model = open_wish(Wish(network=parse("conv 4 same; relu; gap; linear 10", (1, 28, 28), "mine")))
    assert (model.title, model.run) == ("mine", None)
    assert model.moment == "untrained, seed 0"


def test_pictures_that_do_not_fit_are_not_offered(run: Path) -> None:
    grey = open_wish(Wish(network=parse("conv 4", (1, 28, 28), "grey")))
    assert fits(grey, (1, 28, 28))
    assert not fits(grey, (1, 27, 28))
    assert not fits(grey, (3, 28, 28))
    subject = subject_of(grey)
    assert subject.gallery is None  # of MNIST none are kept
    other = open_wish(Wish(network=parse("conv 4", (3, 9, 9), "colour")))
    assert subject_of(other).state.picture.pixels.shape == (3, 9, 9)


WRONG = {
    "no such thing": (Wish("no-such-thing"), "no run and no net is called 'no-such-thing'"),
    "no net": (Wish("conv 4; konv 3", shape=(1, 8, 8)), "konv"),
    "impossible": (Wish(network=parse("conv 4 k9", (1, 4, 4), "small")), "small: "),
    "no layer": (Wish(network=sequential("bare", (1, 4, 4), [])), "bare has no layer to look into"),
    "no such picture": (Wish(picture="test:20"), "test picture 20: there are 0 to 19"),
    "no such file": (Wish(picture="/no/such.png"), "/no/such.png"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_opened_is_told_in_one_line(run: Path, wrong: str) -> None:
    wish, says = WRONG[wrong]
    with pytest.raises(OpenError) as caught:
        opened(wish)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_before_its_first_data_a_run_says_so(tmp_path: Path) -> None:
    run = write_explored(tmp_path, last=0)
    (run / "events.1.jsonl").unlink()
    with pytest.raises(OpenError, match="does not say yet how its pictures are prepared"):
        open_wish(Wish(str(run)))


def test_before_its_first_weights_a_run_is_untrained(tmp_path: Path) -> None:
    run = write_explored(tmp_path, last=0)
    (run / "snapshots" / "step-0.safetensors").unlink()
    subject, _ = opened(Wish(str(run)))
    assert subject.state.moments == ()
    assert subject.state.moment is None
    assert subject.state.model.moment == "untrained, seed 0"
    assert "has no weights yet" in subject.state.model.notes[0]


def test_moments_come_and_go_around_the_one_that_is_looked_at(tmp_path: Path) -> None:
    run = write_explored(tmp_path)
    subject, view = opened(Wish(str(run)))
    kept = subject.state.moments
    here = 4
    state = subject.state.at(here, at_moment(subject.state.model, kept[here]))
    write_snapshot(run, 20, of=15)
    (run / "snapshots" / "step-6.safetensors").unlink()
    (run / "snapshots" / "step-2.safetensors").unlink()
    after = with_moments(state, moments(view))
    assert [moment.step for moment in after.moments] == [0, 15, 20, 30, 50, 60, 100, 150]
    assert after.moments[after.moment or 0].step == kept[here].step == 30
    assert after.parameters is state.parameters
    (run / "snapshots" / "step-30.safetensors").unlink()
    gone = with_moments(after, moments(view))
    assert (gone.moment, gone.model.step) == (None, 30), "its weights stay what they are"
    shutil.rmtree(run)
    none = with_moments(gone, moments(view))
    assert (none.moments, none.moment) == ((), None)
    assert none.probabilities.any()


def test_untrained_weights_are_of_no_moment_of_the_training(tmp_path: Path) -> None:
    run = write_explored(tmp_path, last=0)
    (run / "snapshots" / "step-0.safetensors").unlink()
    subject, view = opened(Wish(str(run)))
    write_snapshot(run, 2)
    told = with_moments(subject.state, moments(view))
    assert [moment.step for moment in told.moments] == [2]
    assert told.moment is None


def test_a_mistake_in_words() -> None:
    assert misread_words(Misread(8, 7, 1, 0.934), CLASSES) == ("test 8", "a 7, read as 1 (93 %)")
    assert misread_words(Misread(8, 7, 1, 0.934), ()) == ("test 8", "a 7, read as 1 (93 %)")
    assert misread_words(Misread(0, 0, 1, 1.0), ("cat", "dog")) == ("test 0", "a cat, read as dog (100 %)")


def test_kept_mnist_is_offered_to_a_net_without_a_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CNNTUI_RUNS", str(tmp_path))
    monkeypatch.setattr("tests.ui.explored.DATA_NAME", "mnist")
    keep_pictures()
    subject = subject_of(open_wish(Wish("mnist-2conv")))
    assert subject.gallery is not None
    assert subject.state.picture.label == 0
