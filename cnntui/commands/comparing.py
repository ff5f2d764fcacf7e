"""Runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnntui.commands.common import fail, has_terminal, open_app, print_json, print_rich, the_run

if TYPE_CHECKING:
    from cnntui.labs.comparing import Comparing

FORMATS = ("table", "markdown", "csv", "json", "report", "curves")
FORMAT = click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="How results are printed; curves is CSV, epoch by epoch.",
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="The same as --format json.")


def found_sweep(name: str) -> Path | None:
    """The directory of a sweep by its name or its file; None where no sweep is meant."""
    from cnntui.runs.sweeps.directory import find_sweep
    from cnntui.runs.sweeps.file import load_design, ready
    from cnntui.runs.sweeps.plan import SweepError

    if (found := find_sweep(name)) is not None:
        return found
    try:
        called = load_design(name).name if name in ready() or name.endswith(".toml") else None
    except SweepError as error:
        fail(error)
    if called is None:
        return None
    return find_sweep(called) or fail(f"{name} has not been trained yet: cnntui sweep {name} does that")


@click.command()
@click.argument("what", nargs=-1, metavar="[SWEEP | RUN RUN ...]")
@FORMAT
@AS_JSON
def compare(what: tuple[str, ...], form: str, as_json: bool) -> None:
    """Runs side by side: those of SWEEP, or any; runs that differ in their seed alone are one row."""
    from click.core import ParameterSource

    from cnntui.labs.comparing import Comparing
    from cnntui.labs.wish import Picked

    context = click.get_current_context()
    form = "json" if as_json else form
    home = found_sweep(what[0]) if len(what) == 1 else None
    runs = () if home else tuple(the_run(name) for name in what)
    if has_terminal() and form == "table" and context.get_parameter_source("form") is ParameterSource.DEFAULT:
        open_app("compare", compare=Picked(sweep=home, runs=runs))
        return
    if not what:
        fail("compare what? a sweep, or two runs and more: cnntui runs lists them")
    show(comparing_of(home) if home else Comparing(runs), form)


def comparing_of(home: Path) -> Comparing:
    """The runs of a sweep."""
    from cnntui.labs.comparing import Comparing
    from cnntui.runs.places import SWEEP
    from cnntui.runs.reader import UnreadableRunError

    if not (home / SWEEP).exists():
        fail(f"{home.name} has not been trained yet: cnntui sweep does that, and --plan shows it; nothing is in {home}")
    try:
        return Comparing(sweep=home)
    except UnreadableRunError as error:
        fail(error)


def show(comparing: Comparing, form: str) -> None:
    """The results."""
    from cnntui.labs import results

    comparison = comparing.poll(10.0)
    if form == "json":
        print_json(results.document(comparison))
    elif form == "table":
        print_rich(results.table(comparison))
        for line in (*results.remarks(comparison), results.explanation(comparison)):
            click.echo(line)
    else:
        writers = {
            "markdown": results.markdown,
            "csv": results.csv,
            "report": results.report,
            "curves": results.curves,
        }
        click.echo(writers[form](comparison), nl=False)
