"""Stories on the Learn screen: a course of two small lessons, read, done, left and taken up again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Label, Markdown, OptionList, Static

from cnntui.labs.lessons.course import Course, open_course, read_course
from cnntui.labs.lessons.progress import all_progress, last_lesson, load_progress, results
from cnntui.labs.lessons.search import Index
from cnntui.runs.places import state_root
from cnntui.ui.app import CnntuiApp
from cnntui.ui.screens.frame import Bar
from cnntui.ui.stages.convolve import ConvolveHolder
from cnntui.ui.views.convolve import ConvolveView
from cnntui.ui.views.learn import LearnView
from cnntui.ui.widgets.reader import Reader
from cnntui.ui.widgets.task_box import TaskBox
from tests.ui.helpers import MeteredApp

WINDOW = """+++
id = "window"
number = 1
title = "A window"
minutes = 5
about = "What a window does."
[glossary]
stride = "cells from one window to the next"
+++

## Where is it largest?

A window of {kernel.shape} over {input.shape} makes {output.shape}.

```convolve
picture square
kernel vertical-edge
cell 0,0
```

```task
id = "edge"
ask = "Move the window to where the output is largest."
check = [{ fact = "output.value", same_as = "output.largest" }]
hints = ["Bright at the left, dark at the right.", "f8, then the arrows: down twice, right three times."]
solution = ["cell 2,3"]
wrong = [["cell 0,3"]]
```

## Longer steps

The **stride** is how far the window moves. At 2 the output is {output.shape after stride 2}.

```convolve
picture square
kernel sobel-x
```

```task
id = "stride"
ask = "Make the output 3×3."
show = ["stride", "undo"]
check = [{ fact = "output.shape", is = [3, 3] }, { fact = "padding", is = 0 }]
hint = "Press s."
solution = ["stride 2"]
wrong = [["stride 3"]]
```
"""
COUNTING = """+++
id = "counting"
number = 2
title = "Counting"
minutes = 3
about = "Weights and biases."
[nets]
fc = { layers = "flatten; linear 10", input = [1, 28, 28] }
[glossary]
bias = "a number added to a sum"
+++

## How many?

Each of the 10 sums has a **bias**.

```task
id = "count"
ask = "How many parameters has a layer from 784 numbers to 10?"
number = "fc.params"
hint = "784 weights and a bias each."
slips = [{ number = "fc.params - 10", say = "the biases count, too" }]
reply = "785 × 10"
```

## Which?

```task
id = "which"
ask = "What makes it fewer?"
choices = ["more inputs", "fewer outputs"]
right = 2
replies = ["each input needs its own weights", "each output has {fc.params / 10} of its own"]
```

## Which ones?

```task
id = "several"
ask = "What has weights?"
choices = ["a convolution", "a max pool", "a linear layer"]
right = [1, 3]
replies = ["yes", "no", "yes"]
```
"""


@pytest.fixture
def course(tmp_path: Path) -> Course:
    folder = tmp_path / "course"
    folder.mkdir()
    (folder / "1.md").write_text(WINDOW)
    (folder / "2.md").write_text(COUNTING)
    return read_course(folder)


@asynccontextmanager
async def opened(
    course: Course, size: tuple[int, int] = (120, 40), lesson: str | None = None
) -> AsyncIterator[tuple[LearnView, Pilot[None]]]:
    app = CnntuiApp("learn", course=course, lesson=course.find(lesson) if lesson else None)
    async with app.run_test(size=size) as pilot:
        view = app.screen.query_one(LearnView)
        view.pace = 0.0
        await settle(view, pilot)
        yield view, pilot


async def settle(view: LearnView, pilot: Pilot[None]) -> None:
    await pilot.pause()
    await view.workers.wait_for_complete()
    await pilot.pause()
    await pilot.pause()


async def press(view: LearnView, pilot: Pilot[None], *keys: str) -> None:
    """Each key, and what comes of it."""
    for key in keys:
        await pilot.press(key)
        await settle(view, pilot)


def said(view: LearnView) -> str:
    box = view.query_one(TaskBox)
    return " ".join(f"{box.query_one('#ask', Static).content} {box.query_one('#said', Static).content}".split())


def text(view: LearnView) -> str:
    return " ".join(view.query_one(Markdown).source.split())


async def test_a_task_is_done_on_the_real_screen_and_checked_in_words(course: Course) -> None:
    async with opened(course) as (view, pilot):
        assert "A window of 3×3 over 7×7 makes 5×5." in text(view)
        assert "○ the output cell under the window is −1; it should be 3" in said(view)
        await press(view, pilot, "f8", "down", "down", "right", "right", "right")
        assert "✓ done · f9 goes on" in said(view)
        assert load_progress(course, view.lesson).is_done("edge")
        await press(view, pilot, "f9")
        assert view.page.title == "Longer steps"
        assert view.in_text


async def test_a_lesson_is_left_and_taken_up_where_it_was(course: Course) -> None:
    async with opened(course) as (view, pilot):
        await press(view, pilot, "n", "tab", "s")
        assert "✓ done" in said(view)
    assert last_lesson(course).id == "window"
    async with opened(course) as (view, pilot):
        assert view.page.title == "Longer steps"
        assert "✓ done before. Now: the output is 5×5; it should be 3×3" in said(view)
        await press(view, pilot, "b", "n", "n")
        assert view.lesson.id == "counting"
        await press(view, pilot, "b")
        assert (view.lesson.id, view.page.title) == ("window", "Longer steps"), "the page before the first one"
    async with opened(course) as (view, _):
        assert view.lesson.id == "window"


async def test_hints_come_in_steps(course: Course) -> None:
    async with opened(course) as (view, pilot):
        await press(view, pilot, "h")
        assert "hint: Bright at the left, dark at the right." in said(view)
        assert "f8, then the arrows" not in said(view)
        await press(view, pilot, "h", "h")
        assert "hint: f8, then the arrows" in said(view)
        assert load_progress(course, view.lesson).tasks["edge"].hints == 2


async def test_the_solution_is_played_and_counts_only_when_the_learner_does_it(course: Course) -> None:
    async with opened(course) as (view, pilot):
        await press(view, pilot, "x")
        assert view.query_one(ConvolveView).state.cell == (2, 3)
        assert "✓ that is it. In the text, z sets it back: do it yourself" in said(view)
        assert "solution: cell 2,3" in said(view)
        assert not load_progress(course, view.lesson).is_done("edge")
        await press(view, pilot, "z")
        assert "○ the output cell under the window is −1" in said(view)
        await press(view, pilot, "f8", "down", "down", "right", "right", "right")
        result = load_progress(course, view.lesson).tasks["edge"]
        assert (bool(result.done), result.shown) == (True, True)


async def test_a_number_is_typed_and_a_slip_is_named(course: Course) -> None:
    async with opened(course, lesson="counting") as (view, pilot):
        await pilot.press("7", "8", "4", "0", "enter")
        await settle(view, pilot)
        assert "✗ the biases count, too" in said(view)
        await pilot.press(*"7,800", "enter")
        await settle(view, pilot)
        assert "✗ 7,800 is too small" in said(view)
        await pilot.press(*"7,8,", "enter")
        await settle(view, pilot)
        assert "✗ '7,8,' is no number" in said(view)
        await pilot.press(*"7,850", "enter")
        await settle(view, pilot)
        assert "✓ 785 × 10 · n goes on" in said(view)
        assert view.in_text
        result = load_progress(course, view.lesson).tasks["count"]
        assert (bool(result.done), result.tries) == (True, 3)
        await press(view, pilot, "n")
        assert view.page.title == "Which?"


async def test_letters_typed_into_an_answer_are_no_commands_and_no_number(course: Course) -> None:
    async with opened(course, lesson="counting") as (view, pilot):
        await press(view, pilot, "enter", "n", "h", "x", "q", "C")
        assert view.query_one("#answer", Input).value == ""
        assert view.page.title == "How many?"
        await press(view, pilot, "escape", "n")
        assert view.page.title == "Which?"


async def test_the_line_reckons(course: Course) -> None:
    async with opened(course, lesson="counting") as (view, pilot):
        await pilot.press(*"784*10+10", "enter")
        await settle(view, pilot)
        assert "✓ 785 × 10" in said(view)


async def test_keys_that_come_in_a_burst_are_all_typed(course: Course) -> None:
    """As over a slow link: all of them are here before the first one is handled."""
    async with opened(course, lesson="counting") as (view, pilot):
        for key in (*"7840", "enter"):
            pilot.app.simulate_key(key)
        await settle(view, pilot)
        assert "✗ the biases count, too" in said(view)
        await pilot.press(*"7850", "enter")
        await settle(view, pilot)
        assert "✓ 785 × 10" in said(view), "the first key after an answer begins another"


async def test_a_choice_is_replied_to(course: Course) -> None:
    async with opened(course, lesson="counting") as (view, pilot):
        await press(view, pilot, "n")
        assert "○ choose: in the text, press its number" in said(view)
        await press(view, pilot, "1")
        assert "✗ each input needs its own weights" in said(view)
        await press(view, pilot, "2")
        assert "✓ each output has 785 of its own · n goes on" in said(view)
        assert load_progress(course, view.lesson).tasks["which"].tries == 1


async def test_several_answers_are_ticked_and_then_checked(course: Course) -> None:
    async with opened(course, lesson="counting") as (view, pilot):
        await press(view, pilot, "n", "n", "1", "enter")
        assert "✗ right so far, and not yet all: 1 chosen" in said(view)
        await press(view, pilot, "2", "enter")
        assert "✗ no" in said(view)
        await press(view, pilot, "2", "3")
        assert not load_progress(course, view.lesson).is_done("several")
        await press(view, pilot, "enter")
        assert "✓ yes yes" in said(view)
        assert load_progress(course, view.lesson).is_done("several")


async def test_the_answer_that_is_shown_does_not_count(course: Course) -> None:
    async with opened(course, lesson="counting") as (view, pilot):
        await press(view, pilot, "x")
        assert "solution: 7,850" in said(view)
        assert not load_progress(course, view.lesson).is_done("count")
        assert load_progress(course, view.lesson).tasks["count"].shown


async def test_at_80x24_text_and_screen_alternate_by_one_key(course: Course) -> None:
    async with opened(course, (80, 24)) as (view, pilot):
        lab, reader, verdict = view.query_one(ConvolveHolder), view.query_one(Reader), view.query_one("#verdict", Label)
        assert (lab.display, reader.display, verdict.display) == (False, True, False)
        tall = view.query_one("#text").size.height
        await press(view, pilot, "grave_accent")
        assert (lab.display, reader.display, verdict.display) == (True, False, True)
        await press(view, pilot, "right")
        assert view.query_one(ConvolveView).state.cell == (0, 1)
        assert "○ the output cell under the window is" in str(verdict.content)
        asked = str(view.query_one("#asked", Label).content)
        assert asked == "f8 text · f9 next · Move the window to where the output is largest."
        await press(view, pilot, "f8")
        assert (lab.display, reader.display) == (False, True)
        assert view.query_one("#text").size.height == tall
        await press(view, pilot, "n")
        assert view.page_index == 1


async def test_the_text_and_the_task_fit_80x24(course: Course) -> None:
    async with opened(course, (80, 24)) as (view, pilot):
        await press(view, pilot, "h", "h", "x")
        box = view.query_one(TaskBox)
        assert box.region.bottom <= view.region.bottom
        assert view.query_one("#where", Label).region.bottom <= view.region.bottom


async def test_contents_show_progress_and_go_to_a_page(course: Course) -> None:
    async with opened(course) as (view, pilot):
        await press(view, pilot, "n", "f8", "s", "f8", "c")
        options = pilot.app.screen.query_one(OptionList)
        lines = [str(option.prompt) for option in options.options]
        assert [line.split()[:3] for line in lines] == [
            ["1", "A", "window"],
            ["○", "Where", "is"],
            ["✓", "Longer", "steps"],
            ["2", "Counting", "0/3"],
        ]
        assert options.highlighted == 2
        await press(view, pilot, "down", "right", "down", "down", "enter")
        assert (view.lesson.id, view.page.title) == ("counting", "Which?")
        await press(view, pilot, "backspace")
        assert (view.lesson.id, view.page.title) == ("window", "Longer steps")


async def test_search_finds_words_and_comes_back(course: Course) -> None:
    async with opened(course, (80, 24)) as (view, pilot):
        await press(view, pilot, "slash", *"bias")
        options = pilot.app.screen.query_one(OptionList)
        assert [str(option.prompt).split("\n")[0] for option in options.options] == ["2 Counting · How many?"]
        await press(view, pilot, "enter")
        assert view.page.title == "How many?"
        await press(view, pilot, "backspace")
        assert view.page.title == "Where is it largest?"
        await press(view, pilot, "slash", *"zzz", "enter", "escape")
        assert view.page.title == "Where is it largest?"


async def test_the_glossary_jumps_to_where_a_word_is_explained(course: Course) -> None:
    async with opened(course) as (view, pilot):
        await press(view, pilot, "g")
        options = pilot.app.screen.query_one(OptionList)
        assert [str(option.prompt).split()[0] for option in options.options] == ["bias", "stride"]
        await press(view, pilot, *"str", "enter")
        assert (view.lesson.id, view.page.title) == ("window", "Longer steps")


async def test_only_the_controls_that_are_left_can_be_used(course: Course) -> None:
    async with opened(course) as (view, pilot):
        await press(view, pilot, "n", "f8", "p", "s")
        operation = view.query_one(ConvolveView).state.operation
        assert (operation.stride, operation.sides[0]) == ((2, 2), (0, 0))
        assert "Padding" not in [key.binding.description for key in pilot.app.screen.active_bindings.values()]
        await press(view, pilot, "f9", "b", "b", "f8", "p")
        assert view.query_one(ConvolveView).state.operation.sides[0] == (1, 1), "on its page everything is there"


async def test_who_wanders_off_comes_back_to_the_lesson_as_it_was(course: Course) -> None:
    async with opened(course) as (view, pilot):
        await press(view, pilot, "n", "f8", "s")
        await pilot.press("B")
        await pilot.pause()
        assert pilot.app.current_mode == "build"
        assert "Learn 1.2" in str(pilot.app.screen.query_one(Bar).render_line(0).text)
        await pilot.press("f6")
        await pilot.pause()
        assert pilot.app.screen.query_one(LearnView) is view
        assert view.page.title == "Longer steps"
        assert view.query_one(ConvolveView).state.operation.stride == (2, 2)


async def test_a_lab_of_a_lesson_leaves_the_own_one_alone(course: Course) -> None:
    async with opened(course) as (view, pilot):
        await press(view, pilot, "f8", "p")
        await pilot.press("C")
        await pilot.pause()
        assert pilot.app.screen.query_one(ConvolveView).state.operation.sides[0] == (0, 0)


async def test_a_page_that_cannot_be_set_up_says_so(tmp_path: Path) -> None:
    """As a run's page does where training is not installed: the learner can still turn the page."""
    path = tmp_path / "x.md"
    path.write_text(WINDOW)
    course, _ = open_course(str(path))
    page = course.lessons[0].pages[0]
    object.__setattr__(page, "moves", (("kernel nothing", 12),))
    async with opened(course) as (view, pilot):
        assert "this page could not be set up: no kernel is called 'nothing'" in said(view)
        await press(view, pilot, "n")
        assert "○ the output is 5×5" in said(view)


async def test_an_idle_lesson_sends_nothing(course: Course) -> None:
    app = MeteredApp("learn", course=course)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(app.screen.query_one(LearnView), pilot)
        await pilot.pause(0.3)
        app.sent = 0
        await pilot.pause(1.0)
        assert app.sent == 0


@pytest.mark.parametrize("keys", [("slash", "escape"), ("c", "slash", "escape"), ("g", "escape"), ("slash", "f4")])
async def test_a_dialog_is_left_as_soon_as_it_is_opened(
    course: Course, keys: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    lessons = iter(range(300))  # a course that takes its time to be searched
    monkeypatch.setattr(Index, "more", lambda index: next(lessons, None) is not None)
    async with opened(course) as (view, pilot):
        for key in keys:
            pilot.app.simulate_key(key)
        await settle(view, pilot)
        assert not view.app.return_code
        await pilot.press("escape")
        await settle(view, pilot)
        assert pilot.app.screen is view.screen


async def test_a_damaged_memory_is_no_obstacle(course: Course) -> None:
    async with opened(course) as (view, pilot):
        await press(view, pilot, "n")
    (state_root() / "course.json").write_text("{")
    async with opened(course) as (view, _):
        assert view.page_index == 0


async def test_results_tell_a_teacher_how_it_went(course: Course) -> None:
    async with opened(course, lesson="counting") as (view, pilot):
        await press(view, pilot, "n", "1", "2")
    rows = results(course)
    assert [row["id"] for row in rows] == ["window", "counting"]
    assert (rows[1]["tasks"], rows[1]["done"]) == (3, 1)
    which = rows[1]["results"][1]
    assert (which["task"], which["wrong"], bool(which["done"])) == ("which", 1, True)
    assert all_progress(course)["counting"].seconds > 0


async def test_pages_asked_for_in_a_burst_are_all_counted(course: Course) -> None:
    async with opened(course) as (view, pilot):
        for _ in range(3):
            pilot.app.simulate_key("n")
        await settle(view, pilot)
        assert (view.lesson.id, view.page.title) == ("counting", "Which?")
        for _ in range(3):
            pilot.app.simulate_key("b")
        await settle(view, pilot)
        assert (view.lesson.id, view.page.title) == ("window", "Where is it largest?")


async def test_the_keys_behind_a_turn_are_for_the_new_page(course: Course) -> None:
    async with opened(course, lesson="counting") as (view, pilot):
        await press(view, pilot, "n")
        pilot.app.simulate_key("n")
        for key in ("1", "3", "enter"):
            pilot.app.simulate_key(key)
        await settle(view, pilot)
        kept = load_progress(course, view.lesson)
        assert kept.is_done("several")
        assert "which" not in kept.tasks, "nothing was answered to the page before"


async def test_a_solution_asked_for_behind_a_turn_is_that_of_the_new_page(course: Course) -> None:
    async with opened(course) as (view, pilot):
        for key in ("n", "x", "x"):
            pilot.app.simulate_key(key)
        await settle(view, pilot)
        kept = load_progress(course, view.lesson)
        assert kept.tasks.keys() == {"stride"} and kept.tasks["stride"].shown
        assert view.trying.solution == "stride 2" and view.problem() is None


async def test_a_solution_that_plays_is_left_by_turning_the_page(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that trains plays for a minute: nobody has to wait for it."""
    begun, released = asyncio.Event(), asyncio.Event()

    async def slow(self: ConvolveHolder, move: str) -> None:
        begun.set()
        await released.wait()

    async with opened(course) as (view, pilot):
        monkeypatch.setattr(ConvolveHolder, "perform", slow)
        await pilot.press("x")
        await begun.wait()
        await press(view, pilot, "n")
        assert view.page.title == "Longer steps"
        assert "○ the output is 5×5" in said(view)
        assert not released.is_set()
