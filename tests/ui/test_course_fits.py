"""Every page of the course at 80x24: its task is seen with enough of its text, and no line of a block is cut off."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from textual.containers import VerticalScroll
from textual.widgets import Label

from cnntui.labs.lessons.course import lessons_directory, read_course
from cnntui.ui.app import CnntuiApp
from cnntui.ui.views.learn import LearnView
from cnntui.ui.widgets.task_box import TaskBox

LISTING = "```python"
LEAST = 6  # lines of text beside a task, where a listing is too long to be seen whole
BLOCK = 35  # columns of a block beside the screen at 120x40


async def _without_stage(view: LearnView) -> None:
    """As if it were set up: what is checked then is the page's start, in words."""
    view._ready = True


async def test_every_page_fits_80x24(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNTUI_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(LearnView, "_set_stage", _without_stage)
    course = read_course(lessons_directory())
    app = CnntuiApp("learn", course=course, lesson=course.lessons[0])
    wrong = []
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        view = app.screen.query_one(LearnView)
        box, text, where = (
            view.query_one(TaskBox),
            view.query_one("#text", VerticalScroll),
            view.query_one("#where", Label),
        )
        for lesson in course.lessons:
            for number in range(len(lesson.pages)):
                await view.open_page(number, lesson)
                await pilot.pause()
                await pilot.pause()
                place = f"{lesson.number}.{number + 1} {view.page.title}"
                whole = text.virtual_size.height
                if text.size.height < (min(LEAST, whole) if LISTING in lesson.text(view.page) else whole):
                    wrong.append(f"{place}: {text.size.height} of {whole} lines of text are seen")
                if box.display and box.virtual_size.height > box.size.height:
                    wrong.append(f"{place}: {box.size.height} of {box.virtual_size.height} lines of the task are seen")
                if where.region.bottom > view.region.bottom or (box.display and box.region.bottom > where.region.y):
                    wrong.append(f"{place}: the task ends in line {box.region.bottom} of {view.region.bottom}")
    assert not wrong, "\n".join(wrong)


def test_no_block_beside_a_screen_is_cut_off() -> None:
    wrong = [
        f"{lesson.number}.{number} {page.title}: {len(line)} columns: {line}"
        for lesson in read_course(lessons_directory()).lessons
        for number, page in enumerate(lesson.pages, start=1)
        if page.stage
        for block in re.findall(r"^```\w*\n(.*?)^```", lesson.text(page), re.DOTALL | re.MULTILINE)
        for line in block.splitlines()
        if len(line) > BLOCK
    ]
    assert not wrong, "\n".join(wrong)


def test_no_figure_at_the_start_of_a_line_makes_a_list() -> None:
    """As a line in the middle of a sentence does that begins with `1. ` or `+ `."""
    wrong = [
        f"{lesson.number}.{number} {page.title}: {line}"
        for lesson in read_course(lessons_directory()).lessons
        for number, page in enumerate(lesson.pages, start=1)
        for before, line in itertools.pairwise(["", *lesson.text(page).splitlines()])
        if before.strip() and re.match(r"(1[.)]|[+*>#-]|={2,}|-{2,})( |$)", line) and not re.match(r"[-*] |  ", before)
    ]
    assert not wrong, "\n".join(wrong)
