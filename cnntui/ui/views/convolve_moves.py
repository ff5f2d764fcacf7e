"""What can be done on the convolution view: moves and undo, and the dialogs to choose, to type, to save."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rich.text import Text
from textual.widget import Widget

from cnntui.core.arithmetic import number
from cnntui.core.images import PICTURES, GridError, read_grid
from cnntui.core.kernels import Kernel, KernelError, save_kernel
from cnntui.core.operation import ADAPTIVE, MAGNITUDE, setting_text
from cnntui.labs import exports
from cnntui.labs.account import account
from cnntui.labs.convolve import PLACES, ConvolveState, MoveError, known_kernels
from cnntui.labs.history import History
from cnntui.labs.panels import panels
from cnntui.labs.words import EDITS, MOVES, number_of, pair_of, play
from cnntui.runs.places import kernels_root
from cnntui.ui.screens.dialogs import Ask, Choose, Lines
from cnntui.ui.theme import palette
from cnntui.ui.widgets.equation import style_of

OPERATIONS = (
    ("conv", "correlation, what frameworks call convolution: no flip"),
    ("true-conv", "convolution proper: the kernel flipped both ways"),
    ("transposed", "every input cell stamps the kernel: makes larger"),
    ("max", "the largest of each window"),
    ("avg", "the mean of each window"),
    ("adaptive-max", "the largest, in windows chosen for an output size"),
    ("adaptive-avg", "the mean, likewise; 1×1 is global average pooling"),
)
FORMULAS = {
    "relu": "max(0, x)",
    "relu6": "min(max(0, x), 6)",
    "leakyrelu": "x above 0, 0.01·x below",
    "elu": "x above 0, exp(x) − 1 below",
    "silu": "x · sigmoid(x)",
    "hardswish": "x · relu6(x + 3) / 6",
    "tanh": "from −1 to 1",
    "sigmoid": "1 / (1 + exp(−x)), from 0 to 1",
}
FILE = "a file ..."
LARGEST_PICTURE = 512
COPIED = 60_000  # characters that a terminal is asked to copy at most


class ConvolveMoves(Widget):
    """The history of states, the moves, and the dialogs that ask for them. The view draws."""

    hidden: frozenset[str] = frozenset()  # actions that a lesson has taken away
    guest = False  # beside a lesson's text, from which it takes no focus by itself

    def __init__(self, state: ConvolveState) -> None:
        super().__init__()
        self.history = History(state)

    @property
    def state(self) -> ConvolveState:
        """The lab's present state."""
        return self.history.present

    def changed(self, before: ConvolveState) -> None:
        """Show the new state."""
        raise NotImplementedError

    @property
    def edited(self) -> str:
        """The grid that editing is about: input or kernel."""
        raise NotImplementedError

    # -- moves

    def make(self, move: Callable[[ConvolveState], ConvolveState]) -> bool:
        """A move that undo takes back; a refused one says why."""
        try:
            state = move(self.state)
        except MoveError as error:
            self.app.notify(str(error), severity="error", markup=False)
            return False
        self.set_state(state)
        return True

    def look(self, state: ConvolveState) -> None:
        """Another place to look at: nothing to undo."""
        self._show(self.history.amend(state))

    def set_state(self, state: ConvolveState) -> None:
        """Another state altogether, which undo takes back."""
        self._show(self._bare().push(state))

    def _bare(self) -> History[ConvolveState]:
        """What undo keeps are the settings and the numbers, not what was computed from them."""
        return self.history.amend(replace(self.state, operation=replace(self.state.operation)))

    def _show(self, history: History[ConvolveState]) -> None:
        before = self.state
        self.history = history
        self.changed(before)

    def say(self, words: str) -> None:
        """A move in words. Where it only looks elsewhere there is nothing to undo."""
        try:
            state = play(self.state, words)
        except MoveError as error:
            self.app.notify(str(error), severity="error", markup=False)
            return
        self.take(state)

    def take(self, state: ConvolveState) -> None:
        """A state that a move has made of this one."""
        if state.operation is self.state.operation:
            self.look(state)
        else:
            self.set_state(state)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """In a lesson, what it leaves."""
        return action not in self.hidden

    def action_stride(self, by: int) -> None:
        """By one on both axes."""
        self._change("stride", by)

    def action_dilation(self, by: int) -> None:
        """By one on both axes."""
        self._change("dilation", by)

    def _change(self, setting: str, by: int) -> None:
        before = getattr(self.state.operation, setting)
        after = max(1, before[0] + by)
        if not self._chooses_windows() and (after, after) != before:
            self.make(lambda state: state.with_(**{setting: (after, after)}))

    def action_padding(self, by: int) -> None:
        """By one on every side."""
        operation = self.state.operation
        sides = [side for pair in operation.sides for side in pair]
        after = max(0, (max(sides) if by > 0 else min(sides)) + by)
        if not self._chooses_windows() and (sides != [after] * 4 or isinstance(operation.padding, str)):
            self.make(lambda state: state.with_(padding=((after, after), (after, after))))

    def _chooses_windows(self) -> bool:
        adaptive = self.state.operation.op in ADAPTIVE
        if adaptive:
            self.app.notify("an adaptive pool chooses its windows; : then output-size 2 sets how many", markup=False)
        return adaptive

    def action_mend(self, place: int) -> None:
        """One of the nearest settings that work."""
        if place < len(self.state.mended):
            self.make(lambda state: state.mended[place][1])

    def action_groups(self) -> None:
        """The next number of groups that divides the channels and the filters."""
        if self.state.operation.pool or len(self.state.operation.input) == 1:
            self.app.notify(
                "groups are for convolutions over several channels: e adds channels and filters", markup=False
            )
            return
        self.make(ConvolveState.next_groups)

    def action_channel(self, by: int) -> None:
        """Another input channel."""
        self.look(self.state.to_channel(self.state.channel + by))

    def action_filter(self, by: int) -> None:
        """Another filter."""
        self.look(self.state.to_filter(self.state.filter + by))

    def action_shift(self, rows: int, columns: int) -> None:
        """The whole input, or the kernel where it has the focus, by one cell."""
        self.make(lambda state: state.shifted(self.edited, rows, columns))

    def action_pin(self) -> None:
        """Keep the output cell in view, or let it go."""
        self.look(self.state.pin())

    def action_undo(self) -> None:
        """Take the last change back."""
        self._restore(self._bare().undo(), "nothing to undo")

    def action_redo(self) -> None:
        """Make it again."""
        self._restore(self._bare().redo(), "nothing to redo")

    def _restore(self, history: History[ConvolveState], none: str) -> None:
        """One looks where one looked; what was made is as it was."""
        if (history.past, history.future) == (self.history.past, self.history.future):
            self.app.notify(none, markup=False)
            return
        looking = self.state.looking
        self._show(history.amend(replace(history.present, looking=looking).settled()))

    # -- dialogs

    def _choose(
        self, title: str, choices: list[tuple[str, str]], then: Callable[[str], None], current: str = ""
    ) -> None:
        self.app.push_screen(Choose(title, choices, current), lambda chosen: then(chosen) if chosen else None)

    def _ask(
        self, title: str, value: str, check: Callable[[str], str | None], then: Callable[[str], None], hint: str = ""
    ) -> None:
        self.app.push_screen(Ask(title, value, check, hint), lambda text: then(text) if text is not None else None)

    # -- settings

    def action_kernels(self) -> None:
        """Choose a kernel, or two for a gradient; of a pool, the size of its window."""
        if self.state.operation.pool:
            adaptive = self.state.operation.op in ADAPTIVE
            size = self.state.operation.output_size if adaptive else self.state.operation.kernel_size
            self.ask_words(f"{'output-size' if adaptive else 'size kernel'} {setting_text(size)}")
            return
        kernels, errors = known_kernels()
        for error in errors:
            self.app.notify(str(error), severity="warning", markup=False)
        choices = [(kernel.name, kernel.finds) for kernel in kernels.values()]
        gradient = "gradient"
        choices.append((gradient, "its length in any direction: sobel-x and sobel-y together"))

        def chosen(name: str) -> None:
            self.say(f"{MAGNITUDE} sobel-x sobel-y" if name == gradient else f"kernel {name}")

        self._choose("Which kernel?", choices, chosen, self.state.name)

    def action_pictures(self) -> None:
        """Choose an input."""
        choices = [(name, f"{height}×{width}") for name, (_, height, width) in PICTURES.items()]
        choices.append((FILE, "PNG, JPEG, PGM; or numbers: CSV, TSV, JSON, NPY"))
        self._choose(
            "Which input?", choices, lambda name: self._ask_file() if name == FILE else self.say(f"picture {name}")
        )

    def _ask_file(self) -> None:
        found: list[ConvolveState] = []

        def check(text: str) -> str | None:
            try:
                grid = read_grid(Path(text.strip()).expanduser(), LARGEST_PICTURE)
                found[:] = [self.state.use_input(grid)]
            except (GridError, MoveError, RuntimeError) as error:  # RuntimeError: ~nobody
                return str(error)
            return None

        title = f"Which file? Sides longer than {LARGEST_PICTURE} are made smaller."
        self._ask(title, "", check, lambda _: self.set_state(found[0]), "picture.png")

    def action_operations(self) -> None:
        """Choose the operation."""
        self._choose("Which operation?", list(OPERATIONS), lambda name: self.say(f"op {name}"), self.state.operation.op)

    def action_activations(self) -> None:
        """Choose what comes after the sum."""
        choices = [("none", "the sums as they are"), *FORMULAS.items()]
        choices.append((MAGNITUDE, "the root of the sum of the squares of all filters"))
        current = self.state.operation.activation or "none"
        self._choose("What comes after the sum?", choices, lambda name: self.say(f"activation {name}"), current)

    def action_bias(self) -> None:
        """Type the bias of this filter."""
        operation = self.state.operation
        value = number(0 if operation.problem else operation.cell_bias(self.state.filter))
        title = f"Bias of filter {self.state.filter}" if self.state.filters > 1 else "Bias"

        def check(text: str) -> str | None:
            return _refused(lambda: self.state.with_bias(number_of(text)))

        self._ask(title, value, check, lambda text: self.set_state(self.state.with_bias(number_of(text))))

    def action_edits(self) -> None:
        """Choose what to do to a grid."""
        grid = self.edited
        choices = [(words.format(grid=grid), about) for words, about in EDITS]
        rows, columns = self.state.operation.kernel_size if grid == "kernel" else self.state.operation.input.shape[1:]
        present = {
            f"size {grid} ": setting_text((rows, columns)),
            "channels ": str(len(self.state.operation.input)),
            "filters ": str(self.state.filters),
        }
        self._choose(
            f"What to do to the {grid}? (tab to the other grid first to edit that)",
            choices,
            lambda words: self.ask_words(words + present.get(words, "")) if words.endswith(" ") else self.say(words),
        )

    def action_words(self) -> None:
        """Type any move."""
        self.ask_words("")

    def ask_words(self, words: str) -> None:
        """A move in words, checked before it is made. Where a lesson has taken the words away, only this verb's."""
        begun = words.split()

        def check(text: str) -> str | None:
            if "words" in self.hidden and text.split()[:1] != begun[:1]:
                return f"write {' '.join(begun)}, or with other numbers"
            return _refused(lambda: play(self.state, text))

        title = "What is to be done? stride 2x1, padding same, random input 7 ..."
        suggestions = [f"{verb} {move.arguments}".rstrip() for verb, move in MOVES.items()]
        self.app.push_screen(
            Ask(title, words, check, suggestions=suggestions, selected=words.rfind(" ") + 1),
            lambda text: self.say(text) if text is not None else None,
        )

    def action_jump(self) -> None:
        """Type where to go."""
        at = PLACES[self.state.looking]

        def check(text: str) -> str | None:
            return _refused(lambda: self.state.to(*pair_of(text)))

        height, width = self.state.shape
        title = f"Which {at}? row,column, to {height - 1},{width - 1}"
        self._ask(
            title, ",".join(map(str, self.state.place)), check, lambda text: self.look(self.state.to(*pair_of(text)))
        )

    def show_all_terms(self) -> None:
        """The whole arithmetic, nothing folded."""
        if not self.state.operation.problem and not isinstance(self.app.screen, Lines):
            self.app.push_screen(Lines("every term", self._every_term))

    def _every_term(self, width: int) -> Text:
        colors = palette(self.app)
        return Text("\n").join(
            Text.assemble(*((piece.text, style_of(piece.kind, colors)) for piece in line))
            for line in account(self.state, width)
        )

    # -- out

    def action_exports(self) -> None:
        """Choose what to save."""
        choices = [
            ("PyTorch", "a program that computes this output with torch"),
            ("NumPy", "the same with loops over arrays, to read"),
            ("state", "a TOML file; cnntui convolve FILE opens it again"),
            ("output", "the output as CSV, every digit"),
            ("input", "the input as CSV, every digit"),
            ("kernel", "these weights as a kernel of your own, listed under k"),
            ("screen", "the screen as text"),
            ("picture", "the screen as SVG"),
        ]
        self._choose("Save what? It is copied too, where the terminal allows.", choices, self._export)

    def _export(self, what: str) -> None:
        operation = self.state.operation
        output = operation.output
        if output is None and what in ("PyTorch", "NumPy", "output"):
            self.app.notify(f"there is no output: {operation.problem}", severity="error", markup=False)
        elif what == "kernel":
            self._ask_kernel_name()
        elif what in ("screen", "picture"):
            self.app.call_after_refresh(self._export_screen, what)
        else:
            made: dict[str, tuple[str, Callable[[], str]]] = {
                "PyTorch": ("py", lambda: exports.pytorch(self.state)),
                "NumPy": ("py", lambda: exports.numpy(self.state)),
                "state": ("toml", lambda: exports.to_toml(self.state)),
                "output": ("csv", lambda: exports.csv(panels(self.state)["output"].values)),
                "input": ("csv", lambda: exports.csv(panels(self.state)["input"].values)),
            }
            suffix, text = made[what]
            self._save(suffix, text())

    def _export_screen(self, what: str) -> None:
        if what == "picture":
            self._save("svg", self.app.export_screenshot(title="cnntui"))
        else:
            lines = (strip.text.rstrip() for strip in self.app.screen._compositor.render_strips())
            self._save("txt", "\n".join(lines) + "\n")

    def _save(self, suffix: str, text: str) -> None:
        """A new file in the working directory, and the clipboard."""
        names = (f"convolve.{suffix}" if n == 1 else f"convolve-{n}.{suffix}" for n in range(1, 10_000))
        try:
            path = next(path for name in names if not (path := Path(name).absolute()).exists())
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            self.app.notify(f"not saved in the working directory: {error.strerror}", severity="error", markup=False)
            return
        copied = len(text) <= COPIED
        if copied:
            self.app.copy_to_clipboard(text)
        self.app.notify(f"{path}" + (", and copied" if copied else ""), title="saved", markup=False)

    def _ask_kernel_name(self) -> None:
        operation = self.state.operation
        if operation.pool:
            self.app.notify("a pool has no weights", severity="error", markup=False)
            return
        plane = operation.weight[operation.weight_at(self.state.filter, self.state.channel_of_group, 0, 0)[:2]]
        weights = tuple(tuple(float(value) for value in row) for row in plane)
        saved: list[Path] = []

        def check(name: str) -> str | None:
            kernels, _ = known_kernels()
            if name in kernels:
                return f"there is a kernel called {name!r} already; choose another name"
            kernel = Kernel(name, weights, operation.divisor, "mine", "your own", "saved from the Convolve screen")
            try:
                saved[:] = [save_kernel(kernel, kernels_root())]
            except KernelError as error:
                return str(error)
            return None

        self._ask(
            "A name for this kernel", "", check, lambda _: self.app.notify(f"{saved[0]}", title="saved", markup=False)
        )


def _refused(move: Callable[[], object]) -> str | None:
    """Why a move is not allowed, or None."""
    try:
        move()
    except MoveError as error:
        return str(error)
    return None
