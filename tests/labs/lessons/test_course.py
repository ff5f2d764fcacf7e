"""A folder of lessons: what they share, their order, what is found in them, and how far a learner is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from cnntui.labs.lessons.course import Course, open_course, own_course, read_course, shared_in
from cnntui.labs.lessons.document import LessonError
from cnntui.labs.lessons.lesson import Lesson, rehearse
from cnntui.labs.lessons.progress import (
    LessonProgress,
    TaskResult,
    all_progress,
    done,
    last_lesson,
    load_progress,
    now,
    results,
    save_progress,
)
from cnntui.runs.places import state_root

COURSE = """\
id = "two"
title = "Two lessons"
about = "For a test."
show = [
  "stride",
  "kernel",
]
[nets]
small = { layers = "conv 8 k3", input = [1, 8, 8] }
[values]
twice = "2 * small.params"
[runs.short]
net = "gap; linear 10"
input = [1, 8, 8]
data = "digits"
"""
QUESTION = """
```task
id = "TASK"
ask = "How many Weights has it?"
number = "small.params - 8"
hint = "9 for each of 8."
```
"""
FIRST = f"""\
+++
id = "later"
number = 2
title = "Strides later"
minutes = 7
about = "The second."
[nets]
own = {{ layers = "conv 4 k3", input = [1, 8, 8] }}
[values]
more = "twice + own.params"
[runs.longer]
net = "gap; linear 10"
input = [1, 8, 8]
data = "digits"
from = "short"
[glossary]
"stride" = "the cells between two windows"
"Kernel" = "the weights that slide"
+++

## Nothing of it

It has {{small.params}} parameters, with its own {{more}}.

```convolve
picture square
```

## Of strides

Here a **stride of two** is taken, and a
**kernel**, a `KERNEL` of 3×3, with {{1 + 1}} cells between.
{QUESTION.replace("TASK", "weights")}
"""
SECOND = f"""\
+++
id = "first"
number = 1
title = "First of all"
minutes = 5
+++

## Words

A STRIDE is {{small.params}} words long. {"So it goes on and on. " * 10}
{QUESTION.replace("TASK", "a")}

## More words

Nothing is here.
{QUESTION.replace("TASK", "b")}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "course"
    folder.mkdir()
    for name, text in {"course.toml": COURSE, "01-a.md": FIRST, "02-b.md": SECOND, "README.md": "# no lesson"}.items():
        (folder / name).write_text(text)
    (folder / ".#01-a.md").write_text("what an editor leaves")
    return folder


@pytest.fixture
def course(folder: Path) -> Course:
    return read_course(folder)


def refused(folder: Path) -> LessonError:
    with pytest.raises(LessonError) as raised:
        open_course(str(folder))
    assert "\n" not in str(raised.value)
    return raised.value


# -- the folder


def test_lessons_stand_in_the_order_of_their_numbers(course: Course, folder: Path) -> None:
    assert (course.id, course.title, course.about) == ("two", "Two lessons", "For a test.")
    assert [lesson.id for lesson in course.lessons] == ["first", "later"]
    assert [lesson.name for lesson in course.lessons] == ["1 First of all", "2 Strides later"]
    (folder / "00-z.md").write_text(
        SECOND.replace("number = 1\n", "").replace('"first"', '"end"').replace('"a"', '"c"')
    )
    assert [lesson.id for lesson in read_course(folder).lessons] == ["first", "later", "end"], "without a number: last"


def test_lessons_share_what_the_course_has(course: Course) -> None:
    first, later = course.lessons
    assert later.text(later.pages[0]) == "It has 80 parameters, with its own 200."
    assert sorted(later.recipes.runs) == ["longer", "short"] and sorted(first.recipes.runs) == ["short"]
    assert later.recipes.runs["longer"].after == "short"
    assert later.pages[0].shown == ("stride", "kernel")
    assert sorted(first.nets) == ["small"] and sorted(later.nets) == ["own", "small"]
    for lesson in course.lessons:
        rehearse(lesson)


def test_what_a_lesson_says_itself_counts(folder: Path) -> None:
    other = '[nets]\nsmall = { layers = "conv 1 k3", input = [1, 8, 8] }\n+++\n\n## Words'
    (folder / "02-b.md").write_text(SECOND.replace("+++\n\n## Words", other))
    first, later = read_course(folder).lessons
    assert "A STRIDE is 10 words long." in first.text(first.pages[0])
    assert "It has 80 parameters" in later.text(later.pages[0])


def test_what_is_not_said_comes_from_the_folder(folder: Path) -> None:
    (folder / "course.toml").unlink()
    (folder / "01-a.md").unlink()
    (folder / "02-b.md").write_text(SECOND.replace("small.params", "7"))
    course = read_course(folder)
    assert (course.id, course.title, course.about) == (str(folder.resolve()), "course", "")


@pytest.mark.parametrize(
    ("name", "old", "new", "line", "message"),
    [
        ("course.toml", 'title = "Two', 'titel = "Two', 2, "unknown key 'titel'; did you mean title?"),
        ("course.toml", 'id = "two"', 'id = "Two"', 1, "id = 'Two' is not small letters, digits and -"),
        ("course.toml", 'id = "two"', "id = two", 1, "not TOML: Invalid value"),
        ("course.toml", 'title = "Two lessons"', "title = 2", 2, "title = 2 is not one line of at most 200 characters"),
        ("course.toml", '  "kernel",', '  "kernal",', 6, "no control of convolve is called 'kernal'; did you mean kernel?"),
        ("course.toml", '"conv 8 k3"', '"conv 8 k9"', 9, "net small: layer conv1"),
        ("course.toml", '"2 * small.params"', '"2 * smal.params"', 11, "value twice: nothing is called 'smal.params'"),
        ("course.toml", 'data = "digits"', 'data = "digit"', 15, "run short: data 'digit' is none of mnist"),
        ("course.toml", "[nets]", "[glossary]\n[nets]", 8, "unknown key 'glossary'"),
        ("02-b.md", "number = 1", "number = 2", 3, "number 2 is that of 01-a.md, too: take another"),
        ("02-b.md", 'id = "first"', 'id = "later"', 2, "id later is that of 01-a.md, too: take another"),
        ("01-a.md", 'from = "short"', 'from = "shrt"', 15, "from = 'shrt' is no run above it; did you mean short?"),
        ("01-a.md", "picture square", "picture sqare", 26, "sqare"),
        ("01-a.md", "{1 + 1}", "{1 + x}", 32, "nothing is called 'x' here"),
        ("02-b.md", "A STRIDE is {small.params}", "A STRIDE is {smal.params}", 10, "nothing is called 'smal.params' here"),
    ],
)  # fmt: skip
def test_what_is_wrong_has_its_own_file_and_line(
    name: str, old: str, new: str, line: int, message: str, folder: Path
) -> None:
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))
    error = refused(folder)
    assert message in error.what
    assert (error.path.name, error.line) == (name, line)


def test_folders_that_are_no_course(tmp_path: Path) -> None:
    assert refused(tmp_path).what == "there is no lesson in it: a lesson is a file that ends in .md"
    (tmp_path / "a.md").mkdir()
    assert refused(tmp_path).what == "this is no file: a lesson is a text"


# -- what is opened


def test_what_can_be_opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnntui.labs.lessons.course.lessons_directory", lambda: folder)
    own_course.cache_clear()
    try:
        assert open_course(None)[0].title == open_course("first")[0].title == "Two lessons"
        for name in ("later", "2"):
            found = open_course(name)[1]
            assert found is not None and found.id == "later"
        course, lesson = open_course(str(folder))
        assert (course.title, lesson) == ("Two lessons", None)
        for name in ("3", "0", "latr", "x" * 5_000, "a\0b", "Later"):
            with pytest.raises(KeyError) as raised:
                open_course(name)
            assert raised.value.args[0].startswith("no lesson is called ") and len(raised.value.args[0]) < 200
        with pytest.raises(KeyError, match=r"did you mean later\?"):
            open_course("latr")
        with pytest.raises(KeyError, match="there are first, later"):
            open_course("zzz")
    finally:
        own_course.cache_clear()


def test_a_lesson_that_is_a_file_is_a_course_of_its_own(folder: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.md"
    alone.write_text(SECOND.replace("small.params", "7"))
    course, lesson = open_course(str(alone))
    assert lesson is not None and course.lessons == (lesson,)
    assert (course.id, course.title) == (str(alone.resolve()), "First of all")
    plain = tmp_path / "plain.txt"
    plain.write_bytes(alone.read_bytes())
    assert open_course(str(plain))[0].title == "First of all"
    with pytest.raises(LessonError, match="No such file or directory"):
        open_course(str(tmp_path / "none.md"))


def test_lessons_beside_one_another(course: Course) -> None:
    first, later = course.lessons
    assert course.find("first") is course.find("1") is first
    assert course.beside(first, 1) is later and course.beside(later, -1) is first
    assert course.beside(first, -1) is None and course.beside(later, 1) is None


# -- what is found


def test_search(course: Course) -> None:
    found = course.search("stride")
    assert [(one.lesson.id, one.page) for one in found] == [("later", 0), ("later", 1), ("first", 0)], (
        "titles come first"
    )
    assert course.search("STRIDE") == found
    assert found[1].words.startswith("Here a stride of two is taken")
    assert found[2].words.startswith("A STRIDE is 80 words") and found[2].words.endswith("…")
    assert all(len(one.words) <= 62 and "**" not in one.words and "`" not in one.words for one in found)
    assert [(one.lesson.id, one.page) for one in course.search("kernel 3×3")] == [("later", 1)], "all of the words"
    assert [(one.lesson.id, one.page) for one in course.search("80 parameters")] == [("later", 0)], (
        "figures as they are"
    )
    asked = course.search("how many weights")
    assert {(one.lesson.id, one.page) for one in asked} == {("first", 0), ("first", 1), ("later", 1)}, (
        "what is asked, too"
    )
    assert course.search("nothing")[0].words.startswith("It has 80"), "it stands in the title only"
    assert course.search("") == course.search("  ") == course.search("quark") == []
    assert course.search("goes on and on")[0].words.count("…") == 2


def test_glossary(course: Course) -> None:
    first, later = course.lessons
    assert list(course.glossary) == ["Kernel", "stride"], "in the order of the alphabet, whatever their case"
    assert course.glossary["stride"] == ("the cells between two windows", later)
    again = Course("x", "X", (later, replace(first, glossary={"stride": "something else"})))
    assert again.glossary["stride"][1] is later, "the first that explains it"
    assert later.page_about("stride") == later.page_about("Kernel") == 1
    assert first.page_about("stride") == 0, "the first, where it is not explained"


# -- how far a learner is


def test_progress_is_kept_by_course_and_lesson(course: Course, folder: Path) -> None:
    first, later = course.lessons
    assert load_progress(course, first) == LessonProgress() and last_lesson(course) is first
    made = LessonProgress(page=1, seconds=12.6).with_task("a", tries=2, hints=1).with_task("a", done=now())
    save_progress(course, first, made)
    save_progress(course, later, LessonProgress(page=1))
    again = read_course(folder)
    assert load_progress(again, again.lessons[0]) == made
    assert last_lesson(again).id == "later"
    assert {name: one.page for name, one in all_progress(again).items()} == {"first": 1, "later": 1}
    assert made.is_done("a") and not made.is_done("b")
    assert done(first, made) == 1


def test_two_courses_do_not_mix(course: Course, folder: Path, tmp_path: Path) -> None:
    first = course.lessons[0]
    save_progress(course, first, LessonProgress(page=1).with_task("a", done=now()))
    text = (folder / "02-b.md").read_text().replace("small.params", "7")
    others: list[tuple[Course, Lesson]] = []
    for name in ("x", "y"):
        other = tmp_path / name / "lessons"
        other.mkdir(parents=True)
        (other / "b.md").write_text(text)
        found = read_course(other)
        others.append((found, found.lessons[0]))
        alone, lesson = open_course(str(other / "b.md"))
        assert lesson is not None
        others.append((alone, lesson))
    assert [load_progress(*one) for one in others] == [LessonProgress()] * 4
    for at, one in enumerate(others):
        save_progress(*one, LessonProgress(page=at + 5))
    assert [load_progress(*one).page for one in others] == [5, 6, 7, 8]
    assert load_progress(course, first).page == 1


def test_results_for_a_teacher(course: Course) -> None:
    first = course.lessons[0]
    when = now()
    progress = LessonProgress(seconds=61.4).with_task("a", done=when, tries=3, hints=2).with_task("b", shown=True)
    save_progress(course, first, progress.with_task("of an older lesson", done=when))
    told = json.loads(msgspec.json.encode(results(course)))
    assert told == [
        {
            "id": "first", "number": 1, "title": "First of all", "minutes": 5, "tasks": 2, "done": 1, "seconds": 61,
            "results": [
                {"task": "a", "done": when, "wrong": 3, "hints": 2, "solution_shown": False},
                {"task": "b", "done": None, "wrong": 0, "hints": 0, "solution_shown": True},
            ],
        },
        {
            "id": "later", "number": 2, "title": "Strides later", "minutes": 7, "tasks": 1, "done": 0, "seconds": 0,
            "results": [{"task": "weights", "done": None, "wrong": 0, "hints": 0, "solution_shown": False}],
        },
    ]  # fmt: skip


@pytest.mark.parametrize(
    "damaged",
    [b"", b"{", b"[]", b'{"lessons": {"two/first": 5}}', b'{"lessons": []}', b"\xff\xfe", b"null", b"[" * 100_000],
)
def test_a_damaged_file_is_no_obstacle(damaged: bytes, course: Course) -> None:
    first = course.lessons[0]
    save_progress(course, first, LessonProgress(page=1))
    (kept,) = state_root().glob("*.json")
    kept.write_bytes(damaged)
    assert load_progress(course, first) == LessonProgress()
    assert last_lesson(course) is first and len(results(course)) == 2
    aside = save_progress(course, first, LessonProgress(page=1))
    assert load_progress(course, first).page == 1
    assert aside is not None and aside.read_bytes() == damaged, "nothing is lost that somebody could mend"
    assert save_progress(course, first, LessonProgress()) is None


def test_two_windows_lose_nothing_of_each_other(course: Course) -> None:
    first, later = course.lessons
    one = LessonProgress(seconds=50).with_task("a", tries=2)
    two = LessonProgress(seconds=9).with_task("a", done="2026-11-20T12:00:00+00:00").with_task("b", hints=1)
    save_progress(course, first, two)
    save_progress(course, later, two)
    save_progress(course, first, one)
    kept = load_progress(course, first)
    assert kept.tasks["a"] == TaskResult(done="2026-11-20T12:00:00+00:00", tries=2)
    assert kept.tasks["b"].hints == 1 and kept.seconds == 50
    assert load_progress(course, later) == two


def test_a_lesson_that_is_gone_is_not_the_last(course: Course) -> None:
    first, later = course.lessons
    save_progress(course, later, LessonProgress())
    assert last_lesson(Course("two", "Two", (first,))) is first


def test_what_cannot_be_written_is_told(course: Course) -> None:
    state_root().parent.mkdir(parents=True, exist_ok=True)
    state_root().write_text("a file where a directory should be")
    with pytest.raises(OSError) as raised:
        save_progress(course, course.lessons[0], LessonProgress())
    assert raised.value.strerror
    assert load_progress(course, course.lessons[0]) == LessonProgress()


# -- the course that comes with cnntui


def test_the_own_course_is_right() -> None:
    course = own_course()
    assert course.id == "cnntui"
    assert [lesson.number for lesson in course.lessons] == sorted({lesson.number for lesson in course.lessons})
    assert shared_in(course.lessons[0].path.parent).recipes.runs
