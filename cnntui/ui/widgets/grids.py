"""How much room each of three grids gets: all of each where that fits, else a window on the large ones."""

from __future__ import annotations

from cnntui.labs.panels import Panels
from cnntui.ui.widgets.cell_grid import CellGrid, Fit, lines_of, widest

NARROW = 100
BETWEEN, NARROW_BETWEEN = 5, 2  # columns of the signs between the grids
# How roomy the cells are, best first: columns more than the numbers need, at least how many, lines a row.
FITS = ((3, 6, 3), (2, 5, 3), (2, 4, 2), (1, 4, 2), (0, 3, 2), (1, 4, 1), (0, 3, 1))
TIGHT = ((-1, 3, 1), (-2, 3, 1))  # still digits, of which some are cut off
ENOUGH = 7  # rows and columns that make a window on a grid worth while
KERNEL_SHARE = 0.4


def fitted(shown: Panels, titles: dict[str, str], width: int, height: int) -> dict[str, Fit]:
    """The most generous layout with which the three stand side by side."""
    natural = {name: 1 + widest(panel) for name, panel in shown.items()}
    for extra, least, pitch in (*FITS, *TIGHT):
        cells = {name: max(min(cell, least) if extra <= 0 else least, cell + extra) for name, cell in natural.items()}
        cells["kernel"] = max(cells["kernel"], min(7, natural["kernel"]))
        fits = {name: Fit(cells[name], pitch) for name in shown}
        sizes = {name: CellGrid.measure(panel, fits[name]) for name, panel in shown.items()}
        wide = sum(max(size.width, len(titles[name])) for name, size in sizes.items())
        if wide <= width and max(size.height for size in sizes.values()) <= height:
            return fits
    return _windows(shown, titles, natural, width, height)


def _windows(shown: Panels, titles: dict[str, str], natural: dict[str, int], width: int, height: int) -> dict[str, Fit]:
    """Parts of the grids, with every digit; framed where there is height for it."""
    most = max(lines_of(panel)[0] for panel in shown.values())
    roomy = height >= 2 * ENOUGH + 1 and width >= NARROW and not height < 2 * most + 1 <= 2 * height
    pitch = 2 if roomy else 1
    cells = {name: max(3, cell) for name, cell in natural.items()}
    rows = max(1, (height - (pitch > 1)) // pitch)
    full = {name: lines_of(panel)[1] * cells[name] + 1 for name, panel in shown.items()}
    wanted = {name: max(full[name], len(titles[name])) for name in shown}
    kernel = min(wanted["kernel"], max(cells["kernel"] + 1, len(titles["kernel"]), int(width * KERNEL_SHARE)))
    rest = width - kernel
    given = {"kernel": kernel}
    for name, other in (("input", "output"), ("output", "input")):
        given[name] = min(wanted[name], max(rest // 2, rest - wanted[other]))
    return {name: Fit(cells[name], pitch, rows, max(1, (given[name] - 1) // cells[name])) for name in shown}
