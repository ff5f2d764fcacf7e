"""The commands about lessons: what there is, how far one is, and whether a lesson can be done."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cnntui.cli import cli
from cnntui.labs.lessons.course import lessons_directory, open_course, own_course
from cnntui.labs.lessons.lesson import rehearse
from cnntui.labs.lessons.progress import LessonProgress, save_progress
from cnntui.labs.lessons.trial import trials
from cnntui.labs.stages import STAGES, stage

PAGES = """\
## A window

The output is {output.shape}.

```convolve
picture square
```

```task
id = "stride"
ask = "Take a stride of 2."
check = [{ fact = "stride", is = WANTED }]
hint = "Press s."
solution = ["stride 2"]
wrong = [["stride 3"]]
```

## A net

```build
layers conv 8; relu
input 1,8,8
```

```task
id = "params"
ask = "How many parameters?"
number = "params"
hint = "Weights and biases."
```
"""


def lesson(ident: str, number: int, wanted: int = 2) -> str:
    front = f'id = "{ident}"\nnumber = {number}\ntitle = "The {ident} one"\nminutes = {4 + number}\n'
    return f"+++\n{front}+++\n\n{PAGES.replace('WANTED', str(wanted))}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "course"
    folder.mkdir()
    (folder / "a.md").write_text(lesson("second", 2))
    (folder / "b.md").write_text(lesson("first", 1))
    return folder


@pytest.fixture
def own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder as the course that comes with cnntui."""
    monkeypatch.setattr("cnntui.labs.lessons.course.lessons_directory", lambda: folder)
    own_course.cache_clear()
    yield folder
    own_course.cache_clear()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), catch_exceptions=False)


def document(*arguments: str) -> Any:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return json.loads(result.stdout)


def refused(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stdout == "" and result.stderr.count("\n") == 1
    return result.stderr


# -- what there is


def test_the_lessons_and_how_far_one_is(own: Path) -> None:
    assert run("lessons").output.splitlines() == [
        "  1  first                        0/2 tasks  The first one",
        "  2  second                       0/2 tasks  The second one",
    ]
    course = own_course()
    save_progress(course, course.find("second"), LessonProgress().with_task("params", done="2026-01-01T00:00:00+00:00"))
    assert run("lessons").output.splitlines()[1] == "  2  second                       1/2 tasks  The second one"
    assert "2/2" not in run("lessons").output


def test_the_same_for_programs(own: Path) -> None:
    first, second = document("lessons", "--json")
    assert {key: first[key] for key in ("id", "number", "title", "minutes", "tasks", "done")} == {
        "id": "first", "number": 1, "title": "The first one", "minutes": 5, "tasks": 2, "done": 0
    }  # fmt: skip
    assert second["id"] == "second"
    assert [row["task"] for row in second["results"]] == ["stride", "params"]
    assert document("lessons", "second", "--json") == document("lessons", "2", "--json") == [second]


def test_lessons_of_a_teacher(folder: Path) -> None:
    assert [row["id"] for row in document("lessons", str(folder), "--json")] == ["first", "second"]
    assert [row["id"] for row in document("lessons", str(folder / "a.md"), "--json")] == ["second"]
    assert run("lessons", str(folder / "a.md")).output.splitlines() == [
        "  2  second                       0/2 tasks  The second one"
    ]
    (folder / "a.md").write_text(lesson("second", 2).replace("number = 2\n", ""))
    assert run("lessons", str(folder / "a.md")).output.startswith("     second")


def test_what_is_wrong_is_one_line_on_stderr(own: Path, tmp_path: Path) -> None:
    assert refused("lessons", "thrid") == "Error: no lesson is called 'thrid'; there are first, second\n"
    assert refused("learn", "secnd") == "Error: no lesson is called 'secnd'; did you mean second?\n"
    assert refused("learn", "nothing").startswith("Error: no lesson is called 'nothing'; there are first, second")
    missing = tmp_path / "none.md"
    for command in (["lessons"], ["learn"], ["lessons", "--check"]):
        assert refused(*command, str(missing)) == f"Error: {missing}:1: No such file or directory\n"
        assert "there is no lesson in it" in refused(*command, str(tmp_path))
    wrong = own / "b.md"
    wrong.write_text(lesson("first", 1).replace("picture square", "picture sqare"))
    line = wrong.read_text().split("\n").index("picture sqare") + 1
    for command in (
        ["lessons", str(own)],
        ["lessons", str(wrong)],
        ["learn", str(wrong)],
        ["lessons", "--check", str(own)],
    ):
        assert refused(*command).startswith(f"Error: {wrong}:{line}: ")
    wrong.write_text(lesson("second", 1))
    own_course.cache_clear()
    assert refused("lessons").startswith(f"Error: {wrong}:2: id second is that of a.md, too: take another")
    assert refused("learn").startswith(f"Error: {wrong}:2: ")


def test_learning_needs_a_terminal(own: Path) -> None:
    assert "the screens need a terminal" in refused("learn", "first")


# -- what a lesson can say


@pytest.mark.parametrize("name", STAGES)
def test_the_words_of_a_screen(name: str) -> None:
    told, there = document("lessons", "--words", name, "--json"), stage(name)
    assert told["screen"] == name
    assert told["moves"] == {
        verb: {"arguments": move.arguments, "about": move.about} for verb, move in there.moves.items()
    }
    assert told["facts"] == dict(there.facts) and told["controls"] == list(there.controls)
    printed = run("lessons", "--words", name).output
    assert printed.startswith(f"{name}: {there.about}\n\nmoves\n")
    for word in (*there.moves, *there.facts, *there.controls):
        assert re.search(rf"(^|[ ,]){re.escape(word)}([ ,\n]|$)", printed, re.MULTILINE), word


def test_words_of_no_screen() -> None:
    assert refused("lessons", "--words", "bild") == "Error: no screen is called 'bild'; did you mean build?\n"


# -- the example in the page for teachers


def example() -> str:
    """The lesson that the page for teachers shows."""
    page = (lessons_directory() / "README.md").read_text("utf-8")
    (found,) = re.findall(r"^````markdown\n(.*?)^````$", page, re.DOTALL | re.MULTILINE)
    return str(found)


def test_the_example_for_teachers_is_a_lesson(tmp_path: Path) -> None:
    path = tmp_path / "example.md"
    path.write_text(example())
    course, found = open_course(str(path))
    assert found is not None and found.tasks and found.glossary
    rehearse(found)
    assert trials(found) == []
    text = found.text(found.pages[0])
    assert "which is 5" in text and "1,168 parameters instead of 1,608: 27 % less" in text
    assert found.page_about(next(iter(found.glossary))) == 0
    (row,) = document("lessons", str(path), "--json")
    assert (row["id"], row["done"], course.title) == (found.id, 0, found.title)


def test_the_page_for_teachers_names_what_there_is() -> None:
    page = (lessons_directory() / "README.md").read_text("utf-8")
    assert [name for name in STAGES if f"`{name}`" not in page] == []
    from cnntui.labs.lessons.course import KEYS
    from cnntui.labs.lessons.expressions import FUNCTIONS
    from cnntui.labs.lessons.figures import FORMATS
    from cnntui.labs.lessons.reading import FRONT
    from cnntui.labs.lessons.reading_tasks import KINDS, SAME_AS
    from cnntui.labs.lessons.tasks import COMPARISONS

    words = {
        *FRONT,
        *KEYS,
        *FUNCTIONS,
        *FORMATS,
        *COMPARISONS,
        SAME_AS,
        *(key for keys in KINDS.values() for key in keys),
    }
    assert [word for word in sorted(words - {"places"}) if not re.search(rf"\b{word}\b", page)] == []


# -- played in the app


def test_a_course_that_can_be_done_is_played(folder: Path) -> None:
    result = run("lessons", "--check", str(folder))
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert re.fullmatch(r"✓ 1 The first one: 2 tasks, \d+\.\d s", lines[0])
    assert re.fullmatch(r"✓ 2 The second one: 2 tasks, \d+\.\d s", lines[1])
    assert [row["done"] for row in document("lessons", str(folder), "--json")] == [0, 0], "that was no learner"


def test_a_task_that_passes_undone_is_found(folder: Path) -> None:
    path = folder / "b.md"
    path.write_text(lesson("first", 1, wanted=1))
    line = path.read_text().split("\n").index('id = "stride"') + 1
    result = run("lessons", "--check", str(folder), "--json")
    assert result.exit_code == 1
    first, second = json.loads(result.stdout)
    assert second["problems"] == []
    assert (first["id"], first["tasks"]) == ("first", 2)
    page = path.read_text().split("\n").index("## A window") + 1
    assert first["problems"] == [
        f"b.md:{page}: task stride (line {line}) passes at the start: nothing needs to be done",
        f"b.md:{page}: task stride (line {line}): the solution does not pass: the stride is 2; it should be 1",
    ]
    printed = run("lessons", "--check", str(path))
    assert printed.exit_code == 1
    assert printed.stdout.startswith("✗ 1 The first one: 2 tasks")
    assert "    b.md:" in printed.stderr and "passes at the start: nothing needs to be done" in printed.stderr


def test_the_example_for_teachers_is_played(tmp_path: Path) -> None:
    path = tmp_path / "example.md"
    path.write_text(example())
    result = run("lessons", "--check", str(path))
    assert result.exit_code == 0, result.output
