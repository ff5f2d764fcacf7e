"""What a lesson has trained: nets of its own by name, weights that go on, and sweeps that begin with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnntui.labs.lessons.document import LessonError
from cnntui.labs.lessons.lesson import Lesson
from cnntui.labs.lessons.reading import read_lesson
from cnntui.labs.lessons.recipe import FORBIDDEN, LessonDesign
from cnntui.labs.trained import needed, needed_for
from cnntui.runs.spec import Settings

FRONT = """\
[nets]
tiny = { layers = "conv 4; gap; linear 10", input = [1, 8, 8] }
[runs.base]
net = "tiny"
data = "digits"
epochs = 2
recipe = "fast"
[runs.head]
net = "tiny"
data = "digits"
from = "base"
frozen = true
new_head = true
[sweeps.rates]
net = "conv 4; gap; linear 10"
input = [1, 8, 8]
seeds = [0, 1]
[sweeps.rates.baseline]
data = "digits"
weights_from = "run:base"
frozen = false
[sweeps.rates.vary]
lr = [0.1, 0.01]
weights_from = { fresh = "", base = "run:base" }
"""


def read(folder: Path, front: str) -> Lesson:
    path = folder / "a.md"
    path.write_text(f'+++\nid = "a"\ntitle = "A"\nminutes = 5\n{front}+++\n## A page\n')
    return read_lesson(path)


def test_runs_and_sweeps(tmp_path: Path) -> None:
    recipes = read(tmp_path, FRONT).recipes
    base, head = recipes.runs["base"], recipes.runs["head"]
    assert (base.name, base.network.name, base.network.input, base.after) == ("base", "base", (1, 8, 8), "")
    assert (base.settings.epochs, base.settings.optimizer, base.settings.weights_from) == (2, "adamw", None)
    assert (head.after, head.settings.weights_from, head.settings.frozen) == ("base", "run:base", True)
    assert needed(head, recipes) == [base, head], "nothing is trained here yet"
    rates = recipes.sweeps["rates"]
    assert isinstance(rates, LessonDesign)
    plan = rates.plan()
    assert [one.settings.weights_from for one in plan.configurations] == ["run:base", "run:base", "run:base", None]
    assert needed_for(rates, recipes) == [base]


def test_a_net_of_the_zoo_and_its_input(tmp_path: Path) -> None:
    lesson = read(tmp_path, '[runs.a]\nnet = "lenet5"\ninput = [1, 32, 32]\n[runs.b]\nnet = "rgb-gap"\n')
    assert [run.network.input for run in lesson.recipes.runs.values()] == [(1, 32, 32), (3, 32, 32)]


@pytest.mark.parametrize("key", FORBIDDEN)
def test_how_and_where_is_not_for_a_lesson(key: str, tmp_path: Path) -> None:
    assert key in Settings.__struct_fields__
    for written in (
        f'[runs.a]\nnet = "lenet5"\n{key} = 2\n',
        f'[sweeps.a]\nnet = "lenet5"\n[sweeps.a.baseline]\ndata = "digits"\n{key} = 2\n[sweeps.a.vary]\nlr = [1.0]\n',
        f'[sweeps.a]\nnet = "lenet5"\n[sweeps.a.baseline]\ndata = "digits"\n[sweeps.a.vary]\n{key} = [1, 2]\n',
    ):
        with pytest.raises(LessonError) as raised:
            read(tmp_path, written)
        assert f"{key} cannot be set" in raised.value.what
