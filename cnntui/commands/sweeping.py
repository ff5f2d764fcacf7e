"""Many runs: a sweep."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnntui.commands.common import (
    fail,
    has_terminal,
    input_option,
    open_app,
    print_json,
    read_shape,
)
from cnntui.commands.comparing import AS_JSON, FORMAT, comparing_of, show

if TYPE_CHECKING:
    from cnntui.labs.comparing import Comparing
    from cnntui.labs.comparison import Comparison
    from cnntui.runs.sweeps.cost import Cost
    from cnntui.runs.sweeps.directory import Sweep
    from cnntui.runs.sweeps.plan import Plan, Value


@click.command()
@click.argument("sweep", required=False)
@input_option
@click.option(
    "--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Another value of the baseline, such as data=mnist."
)
@click.option("--seeds", metavar="N|0,1,2", help="How many seeds, or which.")
@click.option("--dir", "directory", type=click.Path(path_type=Path), help="Where its runs are, else among all others.")
@click.option("--slots", type=click.IntRange(1, 256), help="Runs at once; by default what memory and cores allow.")
@click.option("--slurm", metavar="NAME=VALUE,...", help="Submit it to Slurm: partition=gpu,time=60,parallel=8.")
@click.option("--plan", "only_plan", is_flag=True, help="Show what it would train and cost; train nothing.")
@click.option("--results", "only_results", is_flag=True, help="Show what is there; train nothing.")
@click.option("--stop", "stopping", is_flag=True, help="Stop it, each run after a checkpoint. Run again, it goes on.")
@click.option("--no-estimate", is_flag=True, help="Do not measure beforehand how long it will take.")
@click.option("--yes", is_flag=True, help="Do not ask before it starts.")
@click.option("--plain", is_flag=True, help="Print lines, open no screen.")
@click.option("--detach", is_flag=True, help="Start it, print its directory, and return.")
@FORMAT
@AS_JSON
def sweep(
    sweep: str | None,
    shape: str | None,
    overrides: tuple[str, ...],
    seeds: str | None,
    directory: Path | None,
    slots: int | None,
    slurm: str | None,
    only_plan: bool,
    only_results: bool,
    stopping: bool,
    no_estimate: bool,
    yes: bool,
    plain: bool,
    detach: bool,
    form: str,
    as_json: bool,
) -> None:
    """Train a net in many ways, and compare: SWEEP is a .toml file, or one that comes with cnntui.

    What is trained already is not trained again: a sweep that was broken off goes on. Without SWEEP: which there are.
    """
    from cnntui.runs.sweeps.plan import SweepError

    form = "json" if as_json else form
    if sweep is None:
        list_sweeps(as_json)
        return
    try:
        plan = planned(sweep, shape, overrides, seeds)
        home = place_of(sweep, plan, directory)
        if stopping:
            stop(home)
        elif only_results:
            show(comparing_of(home), form)
        elif only_plan:
            wanted = plan or fail(f"{sweep}: its file tells what it would train; {home} is what was made of it")
            announce(wanted, home, slots, not no_estimate)
        else:
            how = {"estimated": not no_estimate, "asked": not yes, "plain": plain, "detach": detach}
            sys.exit(run(plan, home, slots, slurm, form, **how))
    except SweepError as error:
        fail(error)


def planned(sweep: str, shape: str | None, overrides: tuple[str, ...], seeds: str | None) -> Plan | None:
    """What a sweep's file comes to, with the options; None for the name of a sweep whose file is not at hand."""
    from dataclasses import replace

    from cnntui.runs.sweeps.directory import find_sweep
    from cnntui.runs.sweeps.file import load_design, ready
    from cnntui.runs.sweeps.plan import slug

    if not Path(sweep).is_file() and sweep not in ready() and find_sweep(sweep):
        if shape or overrides or seeds:
            fail(f"{sweep} is a sweep that was made already: --input, --set and --seeds belong to its file")
        return None
    design = load_design(sweep, dict(map(setting, overrides)))
    otherwise = [*overrides, *([f"input={shape}"] if shape else [])]
    if otherwise:  # another sweep, in a directory of its own
        design = replace(design, name=f"{design.name}-{slug(' '.join(otherwise))}")
    if shape:
        design = replace(design, input=read_shape(shape))
    if seeds:
        design = replace(design, seeds=seeds_of(seeds))
    return design.plan()


def setting(text: str) -> tuple[str, Value]:
    """NAME=VALUE: a number, true or false where it reads as one, else a text."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        fail(f"--set {text!r} is not NAME=VALUE")
    try:
        read = json.loads(value)
    except ValueError:
        return name, value
    return name, read if isinstance(read, int | float | bool) else value


def seeds_of(text: str) -> tuple[int, ...]:
    """`3`, how many; or `0,5,7`, which."""
    from cnntui.runs.sweeps.plan import first_seeds

    words = text.split(",")
    if not all(word.strip().isascii() and word.strip().isdigit() and len(word) < 10 for word in words):
        fail(f"--seeds {text!r} is neither how many, such as 3, nor which, such as 0,1,2")
    numbers = tuple(int(word) for word in words)
    return first_seeds(numbers[0]) if len(numbers) == 1 else numbers


def place_of(sweep: str, plan: Plan | None, directory: Path | None) -> Path:
    """The directory of a sweep, whether it is there or not."""
    from cnntui.runs.places import runs_root
    from cnntui.runs.sweeps.directory import find_sweep

    if directory is not None:
        return directory.absolute()
    if plan is None:
        return find_sweep(sweep) or fail(f"no sweep is called {sweep!r}")
    return runs_root() / plan.name


def run(
    plan: Plan | None,
    home: Path,
    slots: int | None,
    slurm: str | None,
    form: str,
    *,
    estimated: bool,
    asked: bool,
    plain: bool,
    detach: bool,
) -> int:
    """Train what is not trained yet, and show what came of it; returns the exit status."""
    from cnntui.labs.wish import Picked
    from cnntui.runs.sweeps.conductor import conduct, conducting
    from cnntui.runs.sweeps.directory import prepare

    quiet = form != "table"
    interactive = has_terminal() and not (plain or detach or quiet)
    need: int | None = None
    going = conducting(home)
    attached = going is not None and going.alive
    if plan is not None and not attached and not is_done(plan, home):
        cost = announce(plan, home, slots, estimated and not slurm, err=quiet)
        if cost is not None and cost.need is not None:  # on GPUs there may be room for fewer
            slots, need = slots or cost.slots, cost.need
        if asked and has_terminal() and not quiet and not click.confirm("start it?", default=True):
            return 130
    if plan is not None:
        refuse_another(plan, home, attached)
        prepare(plan, home)  # who conducts it already sees what is new in it
        going = conducting(home)
        attached = going is not None and going.alive
    comparing = comparing_of(home)
    if slurm is not None:
        submit(home, slurm)
        if not interactive:
            click.echo(home)
            return 0
    elif not attached and any(not result.view.trained for result in comparing.glance().results):
        conduct(home, slots, need)
    if detach:
        click.echo(home)
        return 0
    if interactive:
        open_app("compare", compare=Picked(sweep=home))
        return 0
    follow_plainly(comparing, home, quiet)
    show(comparing, form)
    return 0 if all(result.view.trained for result in comparing.glance().results) else 1


def is_done(plan: Plan, home: Path) -> bool:
    """Whether all of it is trained already."""
    from cnntui.runs.listing import row
    from cnntui.runs.reader import UnreadableRunError
    from cnntui.runs.sweeps.directory import run_names

    try:
        return all(row(home / name).label == "finished" for name in run_names(plan, home).values())
    except UnreadableRunError:
        return False


def is_made(plan: Plan, home: Path) -> bool:
    """Whether the sweep in a directory is this one: it may have been made of another file, or with other options."""
    from cnntui.runs.sweeps.directory import read_sweep, run_names
    from cnntui.runs.sweeps.plan import SweepError

    try:
        made = runs_of(read_sweep(home))
    except SweepError:
        return False
    return made == set(run_names(plan, home).values())


def refuse_another(plan: Plan, home: Path, attached: bool) -> None:
    """Where another plan is being trained, this one does not take its place; one that has grown does."""
    from cnntui.runs.sweeps.directory import read_sweep, run_names

    if attached and not runs_of(read_sweep(home)) <= set(run_names(plan, home).values()):
        fail(
            f"{home.name} is being trained as another plan: cnntui compare {home.name} shows it, cnntui sweep "
            f"{home.name} --stop stops it; --dir DIR is another place for this one"
        )


def runs_of(sweep: Sweep) -> set[str]:
    """The names of all its runs."""
    return {run for one in sweep.configurations for run in one.runs}


def announce(plan: Plan, home: Path, slots: int | None, estimated: bool, err: bool = False) -> Cost | None:
    """What it will train, and what that will cost, where that was measured."""
    from rich.console import Console

    from cnntui.labs.sweep_words import cost_lines
    from cnntui.labs.sweeping import plan_line, plan_table
    from cnntui.runs.sweeps.cost import estimate

    if plan.about:
        click.echo(plan.about, err=err)
    console = Console(stderr=err, width=None if sys.stdout.isatty() else 120, highlight=False)
    console.print(plan_table(plan))
    cost = None
    if estimated:
        click.echo("measuring a few steps of each, for ten seconds or more ...", err=True)
        cost = estimate(home if is_made(plan, home) else plan, slots)
    for line in cost_lines(cost) if cost else [plan_line(plan)]:
        click.echo(line, err=err)
    click.echo(f"its runs: {home}", err=err)
    return cost


def follow_plainly(comparing: Comparing, home: Path, quiet: bool) -> None:
    """A line for each run that ends, until the sweep does; an interrupt stops it."""
    from cnntui.labs.sweeping import follow
    from cnntui.runs.sweeps.conductor import conducting
    from cnntui.runs.sweeps.conductor import stop as stop_it

    interrupted = False

    def interrupt(*_: object) -> None:
        nonlocal interrupted
        if interrupted:
            sys.exit(130)
        interrupted = True
        stop_it(home)
        click.echo("stopping, each run after a checkpoint; interrupt again to leave it to itself", err=True)

    def is_over(_: Comparison) -> bool:
        now = conducting(home)
        return now is None or not now.alive

    signal.signal(signal.SIGINT, interrupt)
    for line in follow(comparing, is_over):
        click.echo(line, err=quiet)
    now = conducting(home)
    if now is not None and now.message:
        click.echo(now.message, err=True)
    if interrupted:
        sys.exit(130)


def submit(home: Path, options: str) -> None:
    """Hand what is not trained yet to Slurm."""
    from cnntui.runs.sweeps.cluster import parse_options
    from cnntui.runs.sweeps.cluster import submit as hand_over

    click.echo(hand_over(home, parse_options(options)).summary, err=True)


def stop(home: Path) -> None:
    """Stop what runs of a sweep, here or on a cluster."""
    from cnntui.runs.sweeps.cluster import cancel, queued
    from cnntui.runs.sweeps.conductor import conducting
    from cnntui.runs.sweeps.conductor import stop as stop_it

    waiting = queued(home)
    if waiting:
        cancel(home)
    now = conducting(home)
    if not waiting or (now is not None and now.alive):
        stop_it(home)
    click.echo(f"{home.name} stops, each run after a checkpoint; cnntui sweep {home.name} goes on with it")


def list_sweeps(as_json: bool) -> None:
    """The sweeps that come with cnntui, and those that were made."""
    from cnntui.runs.sweeps.directory import read_sweep, sweep_directories
    from cnntui.runs.sweeps.file import load_design, ready

    designs = {name: load_design(name) for name in ready()}
    made: list[tuple[Path, Sweep]] = [(directory, read_sweep(directory)) for directory in sweep_directories()]
    if as_json:
        print_json(
            {
                "ready": [{"name": name, "about": design.about} for name, design in designs.items()],
                "made": [{"name": one.name, "directory": str(where), "created": one.created} for where, one in made],
            }
        )
        return
    for name, design in designs.items():
        click.echo(f"{name:<12} {design.about}")
    for where, one in made:
        click.echo(f"{where.name:<12} made {one.created[:10]}: cnntui compare {where.name} shows it")
