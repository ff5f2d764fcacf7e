"""A sweep as lines of text: what it will train, and each run as it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from cnntui.labs.comparing import Comparing
from cnntui.labs.comparison import Comparison, Result, standings
from cnntui.labs.plain import duration, percent
from cnntui.runs.sweeps.plan import Plan

if TYPE_CHECKING:
    from rich.table import Table

POLL_SECONDS = 0.5
LINE_SECONDS = 15.0


def plan_table(plan: Plan) -> Table:
    """The configurations for a terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    names = [
        one.label + " (baseline)" * (number == plan.baseline and one.label != "baseline")
        for number, one in enumerate(plan.configurations)
    ]
    table.add_column("configuration", no_wrap=True)
    table.add_column("parameters", justify="right", no_wrap=True)
    table.add_column("layers")
    for number, (name, one) in enumerate(zip(names, plan.configurations, strict=True)):
        style = "bold" if number == plan.baseline else None
        table.add_row(*map(Text, (name, f"{one.params:,}", "; ".join(one.written))), style=style)
    return table


def plan_line(plan: Plan) -> str:
    """How much it is, in one line."""
    sizes = [one.params for one in plan.configurations]
    most, least = max(sizes), min(sizes)
    params = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    count = len(plan.configurations)
    return (
        f"{count} configuration{'s' * (count > 1)} with {len(plan.seeds)} seed{'s' * (len(plan.seeds) > 1)}: "
        f"{plan.runs} runs, {params} parameters"
    )


def outcome(label: str, result: Result) -> str:
    """How a run of a sweep ended."""
    if result.accuracy is not None:
        return f"{label}, seed {result.seed}: {percent(result.accuracy)}"
    return f"{label}, seed {result.seed}: {result.why}"


def tally(comparison: Comparison) -> str:
    """How far it is: 5 of 12 trained, 2 going, 1 failed."""
    results = comparison.results
    words = [f"{sum(result.view.trained for result in results)} of {len(results)} trained"]
    words += [f"{count} {what}" for what, count in standings(results).items()]
    return ", ".join(words)


def follow(
    comparing: Comparing, is_over: Callable[[Comparison], bool], sleep: Callable[[float], None] = time.sleep
) -> Iterator[str]:
    """A line for each run that ends while one looks, and how far it all is now and then, until it is over."""
    comparison = comparing.glance()
    told = {result.view.directory for result in comparison.results if result.view.trained}
    began = since = time.monotonic()
    before = len(told)
    while True:
        ended = [
            (group.label, result)
            for group in comparison.groups
            for result in group.results
            if result.view.ended and result.view.directory not in told
        ]
        over = is_over(comparison)
        for label, result in ended:
            # One that crashed may be resumed: it is told when that is over.
            if result.view.trained or over:
                told.add(result.view.directory)
                yield f"{outcome(label, result)}   {tally(comparison)}"
                since = time.monotonic()
        if over:
            return
        if time.monotonic() - since >= LINE_SECONDS:
            since = time.monotonic()
            done, left = len(told) - before, len(comparison.results) - len(told)
            pace = f", about {duration((since - began) / done * left)} left" if done else ""
            yield f"{tally(comparison)}{pace}"
        sleep(POLL_SECONDS)
        comparison = comparing.glance()
