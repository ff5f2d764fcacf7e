"""The reader of a course: a page's text and task, beside the real screen on which it is done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import msgspec
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.widget import Widget
from textual.widgets import Input, Label, Markdown

from cnntui.labs.lessons.course import Course
from cnntui.labs.lessons.document import LessonError
from cnntui.labs.lessons.expressions import in_words
from cnntui.labs.lessons.lesson import Lesson, Page
from cnntui.labs.lessons.progress import TaskResult, load_progress, now, save_progress
from cnntui.labs.lessons.scope import LessonScope
from cnntui.labs.lessons.tasks import Choice, Doing, Number
from cnntui.labs.stages import WordsError
from cnntui.ui.screens.course import Contents, Glossary, Place, Search
from cnntui.ui.stages import Holder, holder
from cnntui.ui.widgets.reader import Heading, Reader
from cnntui.ui.widgets.task_box import DONE, OPEN, WRONG, Asked, TaskBox

if TYPE_CHECKING:
    from cnntui.ui.app import CnntuiApp

SIDE_BY_SIDE = 110  # columns from which text and screen are seen together
TEXT_COLUMNS = 40
MOVE_SECONDS = 0.6  # between two moves of a solution, so that each is seen
PAGE_LINES = 3
PLAYING = "playing"  # the worker that plays a solution

ANYWHERE = (
    ("f8,grave_accent", "flip", "Text/screen", True),
    ("f9", "page(1)", "Next page", False),
)
IN_TEXT = (
    ("n,pagedown", "page(1)", "Next", True),
    ("b,pageup", "page(-1)", "Back", False),
    ("tab,enter", "do", "Do it", True),
    ("h", "hint", "Hint", True),
    ("x", "solution", "Solution", True),
    ("z", "restart", "Set the page back", False),
    ("c", "contents", "Contents", True),
    ("slash", "search", "Search", True),
    ("g", "glossary", "Glossary", True),
    ("backspace", "return", "Back to where you were", False),
    ("right_square_bracket", "lesson(1)", "Next lesson", False),
    ("left_square_bracket", "lesson(-1)", "Lesson before", False),
    ("up,k", "scroll(-1)", "Scroll the text", False),
    ("down,j", "scroll(1)", "Scroll the text", False),
    ("space", "read_on", "Read on", False),
    *((str(digit), f"digit({digit})", "Answer", False) for digit in range(10)),
)


@dataclass
class Trying:
    """How a learner is doing on the page that is open."""

    hints: int = 0
    helped: bool = False  # the solution was played on this stage
    solution: str = ""
    chosen: frozenset[int] = frozenset()
    said: str = ""  # to the last answer
    right: bool = False


class LearnView(Widget):
    """A course, page by page. Where text and screen do not fit beside each other, one key turns from one to the other."""

    DEFAULT_CSS = f"""
    LearnView {{ layout: vertical; height: 1fr; }}
    LearnView > Horizontal {{ height: 1fr; }}
    LearnView Reader {{ width: {TEXT_COLUMNS}; padding: 0 1; border-right: solid $panel; }}
    LearnView.-alone Reader, LearnView.-narrow Reader {{ width: 1fr; max-width: 80; border-right: none; }}
    LearnView.-alone > Horizontal {{ align: center top; }}
    LearnView #heading {{ color: $foreground; text-style: bold; width: 1fr; height: auto; }}
    LearnView Reader:focus-within #heading, LearnView Reader:focus #heading {{ color: $accent; }}
    LearnView Markdown {{ padding: 0; margin: 1 0 0 0; background: $background; }}
    LearnView MarkdownBlock {{ color: $foreground; }}
    LearnView MarkdownFence {{ margin: 0 0 1 0; padding: 0; }}
    LearnView MarkdownFence > Label {{ padding: 0 1; }}
    LearnView #text {{ height: auto; scrollbar-size-vertical: 1; }}
    LearnView #where {{ color: $border; height: 1; }}
    LearnView > .told {{ display: none; width: 1fr; height: 1; margin: 0 1; }}
    LearnView > .told {{ text-wrap: nowrap; text-overflow: ellipsis; }}
    LearnView > #verdict {{ color: $accent; height: auto; max-height: 2; text-wrap: wrap; }}
    LearnView.-narrow.-flipped > .told {{ display: block; }}
    LearnView.-narrow Holder {{ display: none; }}
    LearnView.-narrow.-flipped Reader {{ display: none; }}
    LearnView.-narrow.-flipped Holder {{ display: block; }}
    """

    BINDINGS = [Binding(key, action, what, show=shown) for key, action, what, shown in (*ANYWHERE, *IN_TEXT)]

    HELP = (
        "Read, then do it: f8 (or `) goes from the text to the screen and back, f9 turns the page from wherever you are. "
        "The task says what is not yet right, and gets its ✓ when it is. h gives a hint, once more the next; x plays the "
        "solution, z sets the page back, so that you do it yourself. c shows the contents, / searches, g explains words; "
        "backspace returns from there. Every other screen can be visited meanwhile: L comes back to the lesson."
    )

    def __init__(self, course: Course, lesson: Lesson) -> None:
        super().__init__()
        self.course = course
        self.lesson = lesson
        self.progress = load_progress(course, lesson)
        self.page_index = self._kept()
        self.trying = Trying()
        self.pace = MOVE_SECONDS
        self._trail: list[tuple[Lesson, int]] = []
        self._turning = asyncio.Lock()
        self._is_new = True  # the page was turned to, and nothing of it is shown yet
        self._ready = False  # the stage is set up
        self._flips = False  # and is wanted as soon as it is
        self._shown = ""
        self._since = time.monotonic()

    def _kept(self) -> int:
        """The page one was on, if the lesson still has it."""
        return min(max(0, self.progress.page), len(self.lesson.pages) - 1)

    @property
    def page(self) -> Page:
        """The page that is open."""
        return self.lesson.pages[self.page_index]

    @property
    def stage(self) -> Holder | None:
        """What is beside the text."""
        return next(iter(self.query(Holder)), None)

    @property
    def scope(self) -> LessonScope:
        """What the names in the page's task mean now."""
        state = self.stage.state if self.stage is not None and self._ready else None
        return self.lesson.scope(self.page, state)

    @property
    def in_text(self) -> bool:
        """Whether the keys are the reader's."""
        focused = self.screen.focused
        return focused is None or focused is self or self.query_one(Reader) in focused.ancestors_with_self

    @property
    def has_stage(self) -> bool:
        """Whether there is something to do on a screen."""
        return bool(self.page.stage)

    def compose(self) -> ComposeResult:
        """The reader; its stage comes with the page."""
        with Horizontal(), Reader():
            yield Heading("", id="heading", markup=False)
            with VerticalScroll(id="text", can_focus=False):
                yield Markdown("", open_links=False)
            yield TaskBox()
            yield Label("", id="where", markup=False)
        yield Label("", id="asked", classes="told", markup=False)
        yield Label("", id="verdict", classes="told", markup=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The reader's letters are keys while the text has the focus: on the screen they are the screen's."""
        if action in {entry[1].partition("(")[0] for entry in ANYWHERE}:
            return action != "flip" or self.has_stage
        if not self.is_mounted or not self.in_text:
            return False
        if action == "digit":
            return isinstance(self.page.task, Choice)
        return action != "do" or self.has_stage or isinstance(self.page.task, Number | Choice)

    def on_mount(self) -> None:
        """Open where the learner stopped."""
        self.query_one(Reader).focus()
        self._turn(self.page_index)

    def on_unmount(self) -> None:
        """The time counts."""
        self._keep()

    def on_resize(self) -> None:
        """Side by side where there is room."""
        self.set_class(self.size.width < SIDE_BY_SIDE, "-narrow")
        self._say_where()
        self._settle_focus()

    # -- pages

    def _turn(self, index: int, lesson: Lesson | None = None) -> None:
        """Go to a page; what is being played ends."""
        self.workers.cancel_group(self, PLAYING)
        self._go(index, lesson)
        self.run_worker(self._show_page(), group="page")

    async def open_page(self, index: int, lesson: Lesson | None = None) -> None:
        """Go to a page, and set its stage up; ready when this returns."""
        self._go(index, lesson)
        await self._show_page()

    def _go(self, index: int, lesson: Lesson | None) -> None:
        """Be on a page, at once: the next key of a burst is for it."""
        if lesson is not None and lesson is not self.lesson:
            self._keep()
            self.lesson, self.progress = lesson, load_progress(self.course, lesson)
        self.page_index = min(max(0, index), len(self.lesson.pages) - 1)
        self.trying = Trying()
        self._is_new, self._ready, self._flips = True, False, False
        self.set_class(not self.has_stage, "-alone")
        self._keep()
        self.query_one("#heading", Label).update(f"{self.lesson.name} · {self.page.title}")
        self._say_where()
        number = f"{self.lesson.number}." if self.lesson.number else ""
        cast("CnntuiApp", self.app).lesson_at = f"{number}{self.page_index + 1}"
        self.query_one(TaskBox).clear()
        self._check()
        self.screen.set_focus(self.query_one(Reader))

    async def _show_page(self) -> None:
        """The text and the stage of the page; where several were turned at once, only of the last."""
        async with self._turning:
            if not self._is_new:
                return
            self._is_new = False
            await self._show_text()
            self.query_one("#text", VerticalScroll).scroll_home(animate=False)
            self.remove_class("-flipped")  # only now: the text of the page before is not seen again
            self.screen.set_focus(self.query_one(Reader))
            await self._set_stage()
            if self._is_new:
                return  # it was turned meanwhile
            self._check()
            self.refresh_bindings()
            if self._flips and self._ready:
                self.action_flip()

    async def _set_stage(self) -> None:
        """The page's screen as it is at the page's start: the one that is there, where it is the same."""
        page, present = self.page, self.stage
        try:
            wanted = holder(page.stage) if page.stage else None
            same = (
                present is not None
                and wanted is type(present)
                and (present.shown, present.recipes) == (page.shown, self.lesson.recipes)
            )
            if present is not None and not same:
                await present.leave()
                await present.remove()
            if wanted is not None:
                stage = present if present is not None and same else wanted(self.lesson.recipes, page.shown)
                if not same:
                    await self.query_one(Horizontal).mount(stage)
                await stage.begin(page.setup)
            self._ready = not self._is_new
        except WordsError as error:
            if not self._is_new:
                self.trying.said = f"this page could not be set up: {error}"

    async def _show_text(self) -> None:
        """The text, with figures that are known by now. What is computed of the page's start does not change."""
        page = self.page
        effects = page.words is not None and page.words.effects
        state = self.stage.state if effects and self.stage is not None and self._ready else None
        try:
            text = self.lesson.text(page, state)
        except LessonError as error:
            text = f"`{error}`"
        if text != self._shown:
            self._shown = text
            await self.query_one(Markdown).update(text)

    def _say_where(self) -> None:
        pages, narrow = len(self.lesson.pages), self.has_class("-narrow")
        to_do = "f8 screen · " if narrow and self.has_stage else ""
        at = f"lesson {self.lesson.number} · " if self.lesson.number and (narrow or not self.has_stage) else ""
        self.query_one("#where", Label).update(
            f"{at}page {self.page_index + 1} of {pages} · {to_do}n next · c contents"
        )

    def _keep(self, **changes: Any) -> None:
        """Remember the page, and what was done; the time is counted on the way."""
        moment = time.monotonic()
        spent, self._since = moment - self._since, moment
        changes = {"page": self.page_index, "seconds": self.progress.seconds + spent, **changes}
        self.progress = msgspec.structs.replace(self.progress, **changes)
        try:
            aside = save_progress(self.course, self.lesson, self.progress)
            said = f"what was kept of the course cannot be read; it is in {aside} now" if aside else ""
        except OSError as error:
            said = f"progress not kept: {error.strerror}"
        if said:
            self.app.notify(said, severity="warning", markup=False)

    def _note(self, **changes: Any) -> None:
        """Remember how a task goes."""
        task = self.page.task
        if task is not None:
            self._keep(tasks=self.progress.with_task(task.id, **changes).tasks)

    @property
    def result(self) -> TaskResult:
        """How the page's task went so far."""
        return self.progress.tasks.get(self.page.task.id if self.page.task else "", TaskResult())

    # -- the task

    async def on_holder_changed(self, event: Holder.Changed) -> None:
        """What the learner does is what is checked."""
        event.stop()
        if self._ready:
            self._check()
            await self._show_text()

    def problem(self) -> str | None:
        """What the page's task says; None when it is done, or there is none."""
        task, trying = self.page.task, self.trying
        match task:
            case Doing():
                if not self._ready:
                    return trying.said or "setting the screen up …"
                problem = task.problem(self.scope)
                busy = self.stage.busy if self.stage is not None else ""
                return (busy or problem) if problem is not None else None
            case Choice() | Number() if trying.right:
                return None
            case Choice():
                how = "its number" if len(task.right) == 1 else "each right one's number, then enter"
                return trying.said or f"choose: in the text, press {how}"
            case Number():
                return trying.said
        return None

    def _check(self) -> None:
        """Look whether it is done, and say so."""
        task, box = self.page.task, self.query_one(TaskBox)
        if task is None:
            box.show(None)
            self._tell("look around", "")
            self.call_after_refresh(self.query_one(Reader).fit)
            return
        try:
            problem = self.problem()
            if problem is None and not self.trying.helped and not self.result.done:
                self._note(done=now())
            box.show(self._asked(problem))
        except WordsError as error:
            problem = str(error)
            box.show(Asked(task.id, verdict=problem, mark=WRONG))
        asked = cast("Asked", box.asked)
        self._tell(asked.ask, f"{asked.mark} {asked.verdict or 'the answer is typed beside the text'}")

    def _tell(self, ask: str, verdict: str) -> None:
        """Under the screen, where that hides the text: what is asked, and what is not yet right."""
        self.query_one("#asked", Label).update(f"f8 text · f9 next · {ask}")
        self.query_one("#verdict", Label).update(verdict)

    def _asked(self, problem: str | None) -> Asked:
        """What the box shows."""
        task, trying, scope = self.page.task, self.trying, self.scope
        if task is None:
            raise WordsError("there is no task on this page")
        mark, verdict = OPEN, problem or ""
        if problem is None:
            mark = DONE
            verdict = (
                "that is it. In the text, z sets it back: do it yourself"
                if trying.helped and not self.result.done
                else "done"
            )
            if isinstance(task, Choice | Number) and trying.said:
                verdict = trying.said
            verdict += "" if "yourself" in verdict else f" · {'f9' if self.has_stage else 'n'} goes on"
        elif trying.said and isinstance(task, Choice | Number):
            mark = WRONG
        elif self.result.done:
            verdict = f"done before{f'. Now: {verdict}' if verdict else ''}"
            mark = DONE
        hints = tuple(hint.filled(scope) for hint in task.hints[: trying.hints])
        common = Asked(task.ask.filled(scope), verdict=verdict, mark=mark, hints=hints, solution=trying.solution)
        if isinstance(task, Choice):
            return replace(common, choices=tuple(one.filled(scope) for one in task.choices), chosen=trying.chosen)
        return replace(common, unit=task.unit) if isinstance(task, Number) else common

    def answer(self, given: str | frozenset[int]) -> None:
        """An answer to a question: the text that was typed, or what was chosen."""
        task, trying = self.page.task, self.trying
        problem: str | None = None
        match task, given:
            case Choice(), frozenset():
                trying.chosen = given
                problem = task.problem(given, self.scope)
                reply = task.reply(self.scope)
            case Number(), str():
                problem = task.problem(given, self.scope)
                reply = task.reply.filled(self.scope)
            case _:
                return
        trying.right, trying.said = problem is None, problem or reply
        if problem is not None and not self.result.done:
            self._note(tries=self.result.tries + 1)
        self._check()

    def on_task_box_answered(self, event: TaskBox.Answered) -> None:
        """A number was typed."""
        event.stop()
        if event.text.strip():
            self.answer(event.text)
        if self.trying.right:
            self.query_one(Reader).focus()

    def action_digit(self, digit: int) -> None:
        """Choose an answer."""
        task = self.page.task
        if isinstance(task, Choice) and 1 <= digit <= len(task.choices):
            one = frozenset([digit - 1])
            if len(task.right) == 1:
                self.answer(one)
            else:
                self.trying.chosen ^= one
                self.trying.said, self.trying.right = "", False
                self._check()

    def action_hint(self) -> None:
        """One hint more."""
        task = self.page.task
        if task is None or not task.hints:
            self.app.notify("there is nothing to do on this page: n goes on", markup=False)
            return
        self.trying.hints = min(self.trying.hints + 1, len(task.hints))
        self._note(hints=max(self.trying.hints, self.result.hints))
        self._check()

    def action_solution(self) -> None:
        """Play the solution, or show the answer."""
        is_playing = any(worker.group == PLAYING and not worker.is_finished for worker in self.workers)
        if self.page.task is not None and not is_playing:
            self._play_solution(self._solution_moves())

    @work(group=PLAYING)
    async def _play_solution(self, moves: Sequence[str]) -> None:
        await self.play(moves)

    def _solution_moves(self) -> Sequence[str]:
        """Shown as they are played."""
        task, trying = self.page.task, self.trying
        if not self.result.done:
            self._note(shown=True)
        match task:
            case Doing():
                trying.helped = True
                trying.solution = " · ".join(task.solution)
                return task.solution
            case Choice():
                trying.solution = f"{_places(task.right)}. {task.reply(self.scope)}"
            case Number():
                wanted = task.wanted(self.scope)
                trying.solution = f"{in_words(wanted)} {task.unit}".strip()
        self._check()
        return ()

    async def play(self, moves: Sequence[str]) -> str:
        """Set the stage back and play some moves, one after the other; done when this returns.

        Returns: why one of them could not be played; empty when all were.
        """
        problem = ""
        async with self._turning:
            stage = self.stage
            if not moves or stage is None or not self._ready:
                return problem
            try:
                await stage.begin(self.page.setup)
                for move in moves:
                    await asyncio.sleep(self.pace)
                    await stage.perform(move)
            except WordsError as error:
                problem = str(error)
                self.app.notify(problem, severity="error", markup=False)
            self._check()
            await self._show_text()
        return problem

    # -- where one looks

    def _settle_focus(self) -> None:
        """Not on what is not seen."""
        if self.has_class("-narrow") and not self.has_class("-flipped") and not self.in_text:
            self.query_one(Reader).focus()

    def action_flip(self) -> None:
        """From the text to the screen, or back."""
        if not self.in_text:
            self.remove_class("-flipped")
            self.screen.set_focus(self.query_one(Reader))
        elif self.stage is not None and self._ready:
            self.set_class(self.has_class("-narrow"), "-flipped")
            self.stage.take_focus()
        elif not self.trying.said:
            self._flips = True  # as soon as the screen is set up
        self.refresh_bindings()

    def action_do(self) -> None:
        """Where the task is done: on the screen, or in the line for the number; of several answers, check those chosen."""
        task = self.page.task
        if isinstance(task, Number):
            self.screen.set_focus(self.query_one("#answer", Input))
        elif isinstance(task, Choice):
            self.answer(self.trying.chosen)
        elif self.has_stage:
            self.action_flip()

    def action_scroll(self, lines: int) -> None:
        """Scroll a text that is longer than the screen."""
        self.query_one("#text", VerticalScroll).scroll_relative(y=PAGE_LINES * lines, animate=False)

    def action_read_on(self) -> None:
        """A screenful of text; at its end the next page."""
        text = self.query_one("#text", VerticalScroll)
        if text.scroll_offset.y < text.max_scroll_y:
            text.scroll_relative(y=max(1, text.size.height - 2), animate=False)
        else:
            self.action_page(1)

    def action_page(self, by: int) -> None:
        """Turn the page; behind the last one comes the next lesson."""
        to, before = self.page_index + by, self.course.beside(self.lesson, -1)
        if 0 <= to < len(self.lesson.pages):
            self._turn(to)
        elif by < 0 and before is not None:
            self._turn(len(before.pages) - 1, before)
        else:
            self.action_lesson(by)

    def action_lesson(self, by: int) -> None:
        """The next lesson, or the one before; at its first page."""
        other = self.course.beside(self.lesson, by)
        if other is None:
            self.app.notify("that was all: c shows the contents" if by > 0 else "this is the first page", markup=False)
            return
        self._turn(0, other)

    def action_restart(self) -> None:
        """Set the page back."""
        self._turn(self.page_index)

    def jump(self, place: Place | None) -> None:
        """To a place that a dialog gave; backspace comes back."""
        if place is None:
            return
        lesson, page = place
        self._trail.append((self.lesson, self.page_index))
        if page is None:
            page = load_progress(self.course, lesson).page
        self._turn(page, lesson)

    def action_return(self) -> None:
        """Where one was before a jump."""
        if self._trail:
            lesson, page = self._trail.pop()
            self._turn(page, lesson)

    def action_contents(self) -> None:
        """All lessons, and how far one is."""
        self._keep()
        self.app.push_screen(Contents(self.course, self.lesson, self.page_index, self.action_search), self.jump)

    def action_search(self) -> None:
        """Find words in the course."""
        self.app.push_screen(Search(self.course), self.jump)

    def action_glossary(self) -> None:
        """What words mean, and where they are explained."""
        self.app.push_screen(Glossary(self.course), self.jump)

    def rest(self) -> None:
        """Covered or left: nothing moves."""
        self._keep()
        if self.stage is not None:
            self.stage.rest()

    def wake(self) -> None:
        """Seen again: what moved goes on."""
        self._since = time.monotonic()
        if self.stage is not None and self._ready:
            self.stage.wake()


def _places(right: frozenset[int]) -> str:
    return ", ".join(str(place + 1) for place in sorted(right))
