"""The arithmetic of one output cell, written out: every product, their sum, and where it goes."""

from __future__ import annotations

from rich.style import Style

from cnntui.labs.convolve import ConvolveState
from cnntui.ui.theme import ink
from cnntui.ui.widgets.painted import Canvas, PaintedState


class EquationView(PaintedState[ConvolveState]):
    """One line a row of the kernel where they fit, else as many terms a line as there is room for."""

    DEFAULT_CSS = "EquationView { height: 1fr; min-height: 3; max-height: 12; }"

    def paint(self, canvas: Canvas) -> None:
        """Label, terms, result; or why there is none, and what would work."""
        colors, state = self.palette, self.state
        if state.problem or state.equation is None:
            self._paint_problem(canvas)
            return
        equation = state.equation
        _, row, column = state.cell
        label = f"output {row},{column} = "
        opening, closing = (
            ("max(", ")") if state.op == "max" else ("(", f"){equation.tail}") if equation.tail else ("", "")
        )
        per_line = self._terms_a_line(canvas, equation.terms, len(label) + len(opening))
        lines = [equation.terms[i : i + per_line] for i in range(0, len(equation.terms), per_line)]
        room = max(1, canvas.height - 1)
        hidden = len(equation.terms) - sum(map(len, lines[:room]))
        widths = [
            max(len(line[i]) for line in lines if i < len(line)) for i in range(min(per_line, len(equation.terms)))
        ]
        x = canvas.put(0, 0, label, ink(colors.dim))
        x = canvas.put(x, 0, opening)
        joint = equation.joint
        y = 0
        end = x
        for y, line in enumerate(lines[:room]):
            if y and joint == ", ":
                canvas.put(end, y - 1, ",", ink(colors.dim))
            end = x if y == 0 or joint == ", " else canvas.put(x - len(joint), y, joint, ink(colors.dim))
            for i, term in enumerate(line):
                if i:
                    end = canvas.put(end, y, joint, ink(colors.dim))
                end = canvas.put(end, y, term.rjust(widths[i]), self._style(y * per_line + i))
        if hidden:
            end = canvas.put(end, y, f"{joint}… {hidden} more", ink(colors.dim))
        end = canvas.put(end, y, closing)
        result = f" {equation.relation} {equation.result} "
        if end + len(result) + 2 > canvas.width:
            end, y = x - 1, y + 1
        canvas.put(canvas.put(end, y, " "), y, result, ink(colors.on_accent, colors.accent, bold=True))

    def _terms_a_line(self, canvas: Canvas, terms: tuple[str, ...], indent: int) -> int:
        width = max(map(len, terms)) + 3
        fitting = max(1, (canvas.width - indent) // width)
        kernel_row = self.state.kernel_size[1]
        rows = -(-len(terms) // kernel_row)
        return kernel_row if kernel_row <= fitting and rows < canvas.height else fitting

    def _style(self, index: int) -> Style:
        """Products of zero step back; signs have their colour, beside their glyph."""
        colors, taps = self.palette, self.state.taps
        if self.state.op in ("max", "avg") or index >= len(taps):
            return ink(colors.text)
        product = taps[index].product
        return ink(colors.dim if product == 0 else colors.positive if product > 0 else colors.negative)

    def _paint_problem(self, canvas: Canvas) -> None:
        colors = self.palette
        canvas.put(0, 0, f"✗ {self.state.problem}", ink(colors.error, bold=True))
        offers = [words for words, _ in self.state.mended]
        if offers:
            x = canvas.put(0, 1, "works: ", ink(colors.dim))
            canvas.put(x, 1, "   ".join(offers) + "   (m takes the first)")
