"""The dialogs of a course: its contents with how far one is, a search, and the glossary. Each gives a place to go to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from cnntui.labs.lessons.course import Course
from cnntui.labs.lessons.lesson import Lesson
from cnntui.labs.lessons.progress import LessonProgress, all_progress, done
from cnntui.ui.theme import palette

Place = tuple[Lesson, int | None]  # a lesson and a page of it; None: the one that was open last

BOX = """
NAME { align: center middle; background: $background; }
NAME > Vertical { width: 78; max-width: 98%; height: 90%; border: round $accent; padding: 0 1; }
NAME Label { color: $accent; text-style: bold; }
NAME OptionList { height: 1fr; border: none; padding: 0; background: $background; }
NAME Input { height: 1; border: none; padding: 0; background: $panel; }
NAME Input:focus { border: none; }
NAME #about { height: 2; margin: 1 0 0 0; color: $foreground; }
"""


class Contents(ModalScreen[Place | None]):
    """The lessons with how far one is; under them the pages of the one that is highlighted."""

    CSS = BOX.replace("NAME", "Contents")
    BINDINGS = [
        Binding("escape,c,q", "dismiss(None)", "Close"),
        Binding("slash", "search", "Search"),
        Binding("right", "open(True)", "Its pages", show=False),
        Binding("left", "open(False)", "Shut", show=False),
    ]

    def __init__(self, course: Course, lesson: Lesson, page: int, search: Callable[[], None]) -> None:
        super().__init__()
        self.course, self.lesson, self.page, self.search = course, lesson, page, search
        self.progress = all_progress(course)
        self.opened: str | None = lesson.id
        self.places: list[Place] = []

    def compose(self) -> ComposeResult:
        """A heading, the list, and what the highlighted lesson is about."""
        with Vertical() as box:
            box.border_subtitle = "enter opens · → ← its pages · / searches · esc closes"
            finished = sum(self._done(lesson) == len(lesson.tasks) > 0 for lesson in self.course.lessons)
            tally = f"{finished} of {len(self.course.lessons)} lessons done"
            yield Label(f"{self.course.title} · {tally}", markup=False)
            options = OptionList(*self._lines(), markup=False)
            options.highlighted = self._place((self.lesson, self.page))
            yield options
            yield Static(self.lesson.about, id="about", markup=False)

    def _progress(self, lesson: Lesson) -> LessonProgress:
        return self.progress.get(lesson.id, LessonProgress())

    def _done(self, lesson: Lesson) -> int:
        return done(lesson, self._progress(lesson))

    def _fill(self, highlighted: Place) -> None:
        """The list anew."""
        options = self.query_one(OptionList)
        options.set_options(self._lines())
        options.highlighted = self._place(highlighted)

    def _place(self, wanted: Place) -> int:
        """Where in the list."""
        return self.places.index(wanted if wanted in self.places else (wanted[0], None))

    def _lines(self) -> list[Option]:
        """The lessons, with the pages of the one that is open among them."""
        self.places = []
        lines: list[Text] = []
        for lesson in self.course.lessons:
            self.places.append((lesson, None))
            lines.append(self._line(lesson))
            if lesson.id == self.opened:
                for number, page in enumerate(lesson.pages):
                    self.places.append((lesson, number))
                    is_done = page.task is not None and self._progress(lesson).is_done(page.task.id)
                    lines.append(Text(f"      {'✓' if is_done else '○' if page.task else '·'} {page.title}"))
        return [Option(line) for line in lines]

    def _line(self, lesson: Lesson) -> Text:
        colors = palette(self.app)
        tasks, ready = len(lesson.tasks), self._done(lesson)
        line = Text(f"{lesson.number or '':>2}  ")
        line.append(f"{lesson.title:<52.52}", "bold" if lesson.id == self.lesson.id else "")
        line.append(" ✓" * (ready == tasks > 0) or f"{ready:>2}/{tasks}", colors.accent if ready else colors.dim)
        return line.append(f"  {lesson.minutes:>2} min", colors.dim)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """What it is about."""
        lesson = self.places[event.option_index][0]
        self.query_one("#about", Static).update(lesson.about)

    def action_open(self, opened: bool) -> None:
        """Show the pages of the highlighted lesson, or none."""
        at = self.query_one(OptionList).highlighted
        if at is not None:
            lesson = self.places[at][0]
            self.opened = lesson.id if opened else None
            self._fill((lesson, None))

    async def action_search(self) -> None:
        """Search instead."""
        await self.dismiss(None)
        self.search()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """There."""
        if self.is_current:
            self.dismiss(self.places[event.option_index])


class Finder(ModalScreen[Place | None]):
    """A line to type in, and what it finds."""

    HEADING, WANTED = "", ""
    BINDINGS = [
        Binding("escape", "dismiss(None)", "Close"),
        Binding("down", "go(1)", "Next", show=False, priority=True),
        Binding("up", "go(-1)", "Before", show=False, priority=True),
    ]

    def __init__(self, course: Course) -> None:
        super().__init__()
        self.course = course
        self.places: list[Place] = []

    def find(self, words: str) -> Sequence[tuple[Place, Text]]:
        """What the words find."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """The line and the list."""
        with Vertical() as box:
            box.border_subtitle = "enter goes there, backspace on the page comes back · esc closes"
            yield Label(self.HEADING, markup=False)
            line = Input(placeholder=self.WANTED)
            line.cursor_blink = False
            yield line
            yield OptionList(markup=False)

    def on_mount(self) -> None:
        """What there is before anything is typed."""
        self.query_one(Input).focus()
        self._fill("")

    def on_input_changed(self, event: Input.Changed) -> None:
        """What is typed finds it."""
        event.stop()
        self._fill(event.value)

    def _fill(self, words: str) -> None:
        found = self.find(words)
        self.places = [place for place, _ in found]
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Option(line) for _, line in found])
        if not found and words.strip():
            options.add_option(Option(self.nothing(words), disabled=True))
        options.highlighted = 0 if found else None

    def nothing(self, words: str) -> str:
        """What to say where nothing is found."""
        return f"nothing is found for {words.strip()!r}"

    def action_go(self, by: int) -> None:
        """Another one in the list."""
        options = self.query_one(OptionList)
        if self.places:
            options.highlighted = ((options.highlighted or 0) + by) % len(self.places)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The highlighted one."""
        event.stop()
        at = self.query_one(OptionList).highlighted
        if self.is_current and at is not None:
            self.dismiss(self.places[at])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """There."""
        if self.is_current:
            self.dismiss(self.places[event.option_index])


class Search(Finder):
    """The pages on which words stand."""

    CSS = BOX.replace("NAME", "Search")
    HEADING, WANTED = "Search the course", "type a word, or several"

    gathered = False

    def on_mount(self) -> None:
        """The texts are gathered lesson by lesson: their figures are computed."""
        super().on_mount()
        self.run_worker(self._gather())

    async def _gather(self) -> None:
        while not self.gathered:
            await asyncio.sleep(0)
            if not self.display:
                return  # it was closed, and its parts are going
            self.gathered = not self.course.index.more()
            if self.gathered or self.query_one(Input).value.strip():
                self._fill(self.query_one(Input).value)

    def nothing(self, words: str) -> str:
        """Nothing, or nothing yet."""
        return super().nothing(words) if self.gathered else "searching …"

    def find(self, words: str) -> Sequence[tuple[Place, Text]]:
        """The pages, with the words around."""
        colors = palette(self.app)
        found: list[tuple[Place, Text]] = []
        for one in self.course.index.find(words) if len(words.strip()) > 1 else ():
            line = Text(f"{one.lesson.number or ''} {one.lesson.title} · {one.lesson.pages[one.page].title}\n", "bold")
            found.append(((one.lesson, one.page), line.append(f"   {one.words}", f"not bold {colors.dim}")))
        return found


class Glossary(Finder):
    """The terms, what they mean, and where they are explained."""

    CSS = BOX.replace("NAME", "Glossary")
    HEADING, WANTED = "Glossary", "type a word"

    def find(self, words: str) -> Sequence[tuple[Place, Text]]:
        """The terms that begin so, then those that hold it."""
        wanted, colors = words.strip().lower(), palette(self.app)
        terms = [term for term in self.course.glossary if wanted in term.lower()]
        found: list[tuple[Place, Text]] = []
        for term in sorted(terms, key=lambda term: not term.lower().startswith(wanted)):
            about, lesson = self.course.glossary[term]
            line = Text(term, f"bold {colors.accent}").append(f"  lesson {lesson.name}\n", f"not bold {colors.dim}")
            found.append(((lesson, lesson.page_about(term)), line.append(f"  {about}", f"not bold {colors.text}")))
        return found
