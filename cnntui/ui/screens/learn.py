"""Learn: a lesson beside the real Convolve view, its tasks checked on what you did there."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Label, Markdown, Static

from cnntui.labs.lesson import Lesson, Page, find_lesson, load_lessons
from cnntui.labs.progress import LessonProgress, load_progress, save_progress
from cnntui.labs.words import play
from cnntui.ui.screens.dialogs import Choose
from cnntui.ui.screens.frame import Frame
from cnntui.ui.views.convolve import ConvolveView

if TYPE_CHECKING:
    from cnntui.ui.app import CnntuiApp

SIDE_BY_SIDE = 110


class LearnView(Widget):
    """The reader and the lab. Where both do not fit, one key turns from one to the other."""

    DEFAULT_CSS = """
    LearnView { layout: vertical; height: 1fr; }
    LearnView > Horizontal { height: 1fr; }
    LearnView #reader { width: 46; padding: 0 1; border-right: solid $panel; }
    LearnView #heading { color: $accent; text-style: bold; width: 1fr; height: auto; }
    LearnView Markdown { padding: 0; margin: 1 0; background: $background; }
    LearnView MarkdownBlock { color: $foreground; }
    LearnView VerticalScroll { height: 1fr; scrollbar-size-vertical: 1; }
    LearnView #task { height: auto; border: round $accent; padding: 0 1; display: none; }
    LearnView #task.-there { display: block; }
    LearnView #task.-done { border: round $success; }
    LearnView #where { color: $border; height: 1; }
    LearnView #verdict { display: none; height: 1; margin: 0 1; color: $accent; }
    LearnView.-narrow.-flipped #verdict { display: block; }
    LearnView.-narrow #reader { width: 1fr; border-right: none; }
    LearnView.-narrow ConvolveView { display: none; }
    LearnView.-narrow.-flipped #reader { display: none; }
    LearnView.-narrow.-flipped ConvolveView { display: block; }
    """

    BINDINGS = [
        Binding("pagedown", "page(1)", "Next"),
        Binding("pageup", "page(-1)", "Back", show=False),
        Binding("f", "flip", "Text/lab"),
        Binding("h", "hint", "Hint"),
        Binding("x", "solution", "Solution"),
        Binding("z", "restart", "Set the page back", show=False),
        Binding("c", "contents", "Contents", show=False),
        Binding("up", "scroll(-1)", "Scroll the text", show=False),
        Binding("down", "scroll(1)", "Scroll the text", show=False),
    ]

    HELP = (
        "Read on the left, do it on the right. The task's line says what is not yet right, and becomes ✓ when it is. "
        "h gives a hint, x plays the solution, z sets the page back, page up and page down turn pages."
    )

    can_focus = True

    def __init__(self, lesson: Lesson) -> None:
        super().__init__()
        self.lesson = lesson
        self.progress = load_progress(lesson.id)
        self.page_index = self._page_kept()
        self._helped = False
        self._hinted = False

    def _page_kept(self) -> int:
        """The page one was on, if the lesson still has it."""
        return min(max(0, self.progress.page), len(self.lesson.pages) - 1)

    @property
    def page(self) -> Page:
        """The page that is open."""
        return self.lesson.pages[self.page_index]

    def compose(self) -> ComposeResult:
        """Reader and lab."""
        with Horizontal():
            with Vertical(id="reader"):
                yield Label("", id="heading", markup=False)
                with VerticalScroll(can_focus=False):
                    yield Markdown("", open_links=False)
                yield Static("", id="task", markup=False)
                yield Label("", id="where", markup=False)
            yield ConvolveView(self.page.state)
        yield Label("", id="verdict", markup=False)

    def on_mount(self) -> None:
        """Open where the learner stopped."""
        self.call_after_refresh(self._open)

    def on_resize(self) -> None:
        """Side by side where there is room."""
        narrow = self.size.width < SIDE_BY_SIDE
        self.set_class(narrow, "-narrow")
        self.can_focus = narrow  # side by side, the text has no keys that the lab would not pass on
        self._say_where()
        self._give_focus()

    def _give_focus(self) -> None:
        """To the lab where it is seen, else to the text."""
        hidden = self.has_class("-narrow") and not self.has_class("-flipped")
        if hidden:
            self.focus()
        else:
            self.query_one(ConvolveView).focus_looked_at()

    def _open(self) -> None:
        """Show the page, and set the lab up for it."""
        page = self.page
        self._helped = self._hinted = False
        self.query_one("#heading", Label).update(f"{self.lesson.number} {self.lesson.title} · {page.title}")
        self.query_one(Markdown).update(page.text)
        self._say_where()
        self.query_one(VerticalScroll).scroll_home(animate=False)
        self.query_one(ConvolveView).begin(page.state)
        self._check()

    def _say_where(self) -> None:
        turn = "f turns to the lab   " if self.has_class("-narrow") else ""
        where = f"page {self.page_index + 1} of {len(self.lesson.pages)}   {turn}c contents"
        self.query_one("#where", Label).update(where)

    def on_convolve_view_changed(self, event: ConvolveView.Changed) -> None:
        """What the learner does is what is checked."""
        event.stop()
        self._check()

    def _check(self) -> None:
        task = self.page.task
        box = self.query_one("#task", Static)
        box.set_class(task is not None, "-there")
        if task is None:
            self.query_one("#verdict", Label).update("f: text")
            return
        problem = task.problem(self.query_one(ConvolveView).state)
        if problem is None and not self._helped and task.id not in self.progress.done:
            self._keep(done=self.progress.done | {task.id})
        done = task.id in self.progress.done
        if problem is None:
            verdict = (
                "✓ that is it. z, then do it yourself" if self._helped and not done else "✓ done. page down goes on"
            )
        else:
            verdict = f"{'✓ done before;' if done else '○'} {problem}"
        hint = f"\n\nhint: {task.hint}" if self._hinted else ""
        box.set_class(problem is None, "-done")
        self.query_one("#verdict", Label).update(f"{verdict}   f: text")
        text = f"{task.ask}\n{verdict}{hint}"
        if str(box.content) != text:
            box.update(text)

    def _keep(self, done: frozenset[str] | None = None) -> None:
        self.progress = LessonProgress(self.page_index, self.progress.done if done is None else done)
        try:
            save_progress(self.lesson.id, self.progress)
        except OSError as error:
            self.app.notify(f"progress not kept: {error.strerror}", severity="warning", markup=False)

    def action_page(self, by: int) -> None:
        """Turn the page."""
        to = min(max(0, self.page_index + by), len(self.lesson.pages) - 1)
        if to != self.page_index:
            self.page_index = to
            self._keep()
            self.remove_class("-flipped")
            self._open()
            self.call_after_refresh(self._give_focus)

    def action_flip(self) -> None:
        """From the text to the lab, or back."""
        self.toggle_class("-flipped")
        self.call_after_refresh(self._give_focus)

    def action_scroll(self, lines: int) -> None:
        """Scroll a text that is longer than the screen."""
        self.query_one(VerticalScroll).scroll_relative(y=3 * lines, animate=False)

    def action_hint(self) -> None:
        """Show the hint."""
        self._hinted = True
        self._check()

    def action_solution(self) -> None:
        """Play the solution; the task counts when the learner does it."""
        if self.page.task is None:
            return
        self._helped = True
        view = self.query_one(ConvolveView)
        state = self.page.state
        for words in self.page.task.solution:
            state = play(state, words)
        view.set_state(state)

    def action_restart(self) -> None:
        """Set the page back."""
        self._open()

    def action_contents(self) -> None:
        """Choose a lesson, or a page of this one."""
        pages = [(f"{self.lesson.number}.{i + 1}", self._entry(page)) for i, page in enumerate(self.lesson.pages)]
        others = [(str(lesson.number), lesson.title) for lesson in load_lessons() if lesson.id != self.lesson.id]

        def chosen(name: str | None) -> None:
            if name is None:
                return
            if "." in name:
                self.action_page(int(name.split(".")[1]) - 1 - self.page_index)
            else:
                self.lesson = find_lesson(name)
                self.progress = load_progress(self.lesson.id)
                self.page_index = self._page_kept()
                self._open()

        self.app.push_screen(Choose("Contents", [*pages, *others]), chosen)

    def _entry(self, page: Page) -> str:
        mark = "" if page.task is None else "✓ " if page.task.id in self.progress.done else "○ "
        return mark + page.title

    def rest(self) -> None:
        """Covered or left: nothing moves."""
        self.query_one(ConvolveView).rest()

    def wake(self) -> None:
        """Seen again: what moved goes on."""
        self.query_one(ConvolveView).wake()


class LearnScreen(Frame):
    """The lessons."""

    MODE = "learn"
    AUTO_FOCUS = ""  # the view gives it to what is looked at

    def body(self) -> LearnView:
        """The view, on the lesson that the command line gave, else the first."""
        return LearnView(cast("CnntuiApp", self.app).opening.lesson or find_lesson(None))
