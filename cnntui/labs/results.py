"""What a comparison found, in words and tables: for a terminal, a program, a spreadsheet, a paper."""

from __future__ import annotations

import csv as writing
import io
from typing import TYPE_CHECKING, Any

from cnntui.core.layers import shape_text
from cnntui.core.network import Network
from cnntui.core.notation import network_text
from cnntui.labs.bands import ACCURACY, TEST_LOSS, by_epoch
from cnntui.labs.comparison import Comparison, Group, standings
from cnntui.labs.plain import percent
from cnntui.labs.statistics import CONFIDENCE, Difference, Summary
from cnntui.labs.tables import markdown_cell, plain_value
from cnntui.runs.events import Data

if TYPE_CHECKING:  # what writes Markdown need not wait for rich
    from rich.table import Table

BAR_CELLS = 24
STEPS = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01)  # at which bars begin and end
LEVEL = f"{100 * CONFIDENCE:.0f} %"
TITLES = ("configuration", "parameters", "runs", "test accuracy", "difference", f"{LEVEL} interval")


def rounded(share: float) -> str:
    """A share of one in percent, down to two decimals, as accuracies are told everywhere: 100.00 is all of them."""
    return percent(share).removesuffix(" %")


def points(value: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    text = f"{100 * value:+.2f}".replace("-", "−")
    return "0.00" if text[1:] == "0.00" else text


def mean_text(found: Summary | None) -> str:
    """98.12 ± 0.21 %; of a single run without a deviation."""
    if found is None:
        return "-"
    spread = f" ± {100 * found.sd:.2f}" if found.sd is not None else ""
    return f"{rounded(found.mean)}{spread} %"


def interval_text(found: Difference | None) -> str:
    """−0.12 to +0.80."""
    return (
        f"{points(found.low)} to {points(found.high)}"
        if found and found.low is not None and found.high is not None
        else ""
    )


def runs_text(group: Group) -> str:
    """3 of 3; with what is not there yet, or will not come."""
    words = [f"{len(group.accuracies)} of {len(group.results)}"]
    words += [f"{count} {what}" for what, count in standings(group.results).items()]
    return ", ".join(words)


def _cells(comparison: Comparison, group: Group) -> list[str]:
    found = comparison.difference(group)
    change = "baseline" if group is comparison.reference else points(found.value) if found else ""
    return [group.label, f"{group.params:,}", runs_text(group), mean_text(group.summary), change, interval_text(found)]


# -- for people


def table(comparison: Comparison) -> Table:
    """For a terminal, with bars from a floor that the heading names."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    lowest, highest = scale(comparison)
    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    for title, side in zip(TITLES, ("left", "right", "left", "right", "right", "right"), strict=True):
        made.add_column(title, justify="right" if side == "right" else "left")
    made.add_column(f"{rounded(lowest)} to {rounded(highest)} %")
    for group in comparison.groups:
        mean = group.summary.mean if group.summary else lowest
        bar = "█" * round(BAR_CELLS * (mean - lowest) / (highest - lowest))
        found = comparison.difference(group)
        style = "bold" if group is comparison.reference or (found and found.is_clear) else None
        made.add_row(*map(Text, _cells(comparison, group)), Text(bar), style=style)
    return made


def scale(comparison: Comparison) -> tuple[float, float]:
    """Where bars begin and end: below the smallest and at or above the largest accuracy, at round shares."""
    found = [accuracy for group in comparison.groups for accuracy in group.accuracies]
    if not found:
        return 0.0, 1.0
    step = next((step for step in STEPS if step <= max(found) - min(found)), STEPS[-1])
    low = int(min(found) / step - 1e-9) * step
    return (low if min(found) > low else max(0.0, low - step)), min(1.0, (int(max(found) / step) + 1) * step)


def remarks(comparison: Comparison) -> list[str]:
    """What stands under every table: what failed, what is missing, and how the numbers are to be read."""
    lines = [
        f"failed, and in no mean: {group.label}, seed {result.seed}: {result.why}"
        for group, result in comparison.failed
    ]
    if coming := sum(not (result.view.trained or result.failed) for result in comparison.results):
        lines.append(f"not there yet: {coming} of {len(comparison.results)} runs")
    return lines + cautions(comparison)


def cautions(comparison: Comparison) -> list[str]:
    """Why the numbers may say less than they seem to."""
    lines = []
    if comparison.missing:
        count, labels = len(comparison.missing), ", ".join(dict.fromkeys(label for label, _ in comparison.missing))
        lines.append(f"{count} run{'s' * (count > 1)} cannot be read any more ({labels}): run the sweep again")
    if len(comparison.data) > 1:
        data = ", ".join(sorted(comparison.data))
        lines.append(f"these runs are of different data, {data}: their accuracies say nothing of each other")
    if comparison.variables and all(group.changes for group in comparison.groups):
        lines.append(f"the baseline has no run any more: the others are compared with {comparison.reference.label}")
    for group in comparison.groups:
        if len({result.seed for result in group.results}) < len(group.results):
            lines.append(f"{group.label} has a seed twice: the same training again says nothing of chance")
    classes = next((len(view.data.classes) for view in (r.view for r in comparison.results) if view.data), 0)
    chance = [group.label for group in comparison.groups if classes and group.summary and _is_chance(group, classes)]
    if chance:
        lines.append(f"no better than chance (1 of {classes}), so nothing was learned: {', '.join(chance)}")
    if all(len(group.results) == 1 for group in comparison.groups):
        lines.append("one seed tells nothing of chance: train three or more before a difference is believed")
    return lines


def _is_chance(group: Group, classes: int) -> bool:
    """Whether every one of its nets reads no more than a fifth above what guessing does."""
    return all(accuracy <= 1.2 / classes for accuracy in group.accuracies)


def explanation(comparison: Comparison) -> str:
    """What the columns are."""
    return (
        "test accuracy after the last epoch, mean ± sample standard deviation over the seeds; differences to "
        f"{comparison.reference.label!r} in percentage points, with Welch's {LEVEL} interval"
    )


def markdown(comparison: Comparison) -> str:
    """The table in Markdown, and the remarks."""
    rules = ["---", "---:", "---", "---:", "---:", "---:"]
    lines = [list(TITLES), rules]
    lines += [[markdown_cell(cell) for cell in _cells(comparison, group)] for group in comparison.groups]
    text = "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
    return "\n\n".join([text.rstrip(), *map(markdown_cell, remarks(comparison)), explanation(comparison)]) + "\n"


# -- for programs


def document(comparison: Comparison) -> dict[str, Any]:
    """What `--json` prints: shares from 0 to 1, None where there is nothing to say."""
    return {
        "sweep": comparison.title,
        "about": comparison.about,
        "directory": str(comparison.directory) if comparison.directory else None,
        "metric": "test_accuracy",
        "confidence": CONFIDENCE,
        "variables": list(comparison.variables),
        "seeds": list(comparison.seeds),
        "baseline": comparison.reference.label,
        "complete": not standings(comparison.results) and not comparison.missing,
        "missing": [{"label": label, "run": run} for label, run in comparison.missing],
        "configurations": [_entry(comparison, group) for group in comparison.groups],
    }


def _entry(comparison: Comparison, group: Group) -> dict[str, Any]:
    found, gap = group.summary, comparison.difference(group)
    return {
        "label": group.label,
        "changes": group.changes,
        "net": group.spec.net,
        "layers": network_text(group.spec.network),
        "params": group.params,
        "runs": len(group.results),
        "trained": len(group.accuracies),
        "failed": len(group.failed),
        "mean": found.mean if found else None,
        "sd": found.sd if found else None,
        "difference": {"value": gap.value, "low": gap.low, "high": gap.high} if gap else None,
        "results": [
            {
                "seed": result.seed,
                "run": result.view.spec.run,
                "directory": str(result.view.directory),
                "state": result.view.label,
                "accuracy": result.accuracy,
                "message": result.view.message or None,
            }
            for result in group.results
        ],
    }


def csv(comparison: Comparison) -> str:
    """A row a configuration: what was changed, its numbers, and the accuracy of each seed; shares from 0 to 1."""
    seeds = list(dict.fromkeys(result.seed for result in comparison.results))
    numbers = ("parameters", "runs", "trained", "failed", "mean", "sd", "difference", "low", "high")
    out = io.StringIO()
    writer = writing.writer(out, lineterminator="\n")
    writer.writerow(["configuration", *comparison.variables, *numbers, *(f"seed {seed}" for seed in seeds)])
    for group in comparison.groups:
        found, gap = group.summary, comparison.difference(group)
        by_seed = {result.seed: result.accuracy for result in group.results}
        row = [
            group.label,
            *((comparison.base | group.changes).get(name, "") for name in comparison.variables),
            group.params,
            len(group.results),
            len(group.accuracies),
            len(group.failed),
            *((found.mean, found.sd) if found else (None, None)),
            *((gap.value, gap.low, gap.high) if gap else (None, None, None)),
            *(by_seed.get(seed) for seed in seeds),
        ]
        writer.writerow(map(plain_value, row))
    return out.getvalue()


def curves(comparison: Comparison) -> str:
    """The test after each epoch of every run, as CSV: a row a test; accuracy from 0 to 1."""
    out = io.StringIO()
    writer = writing.writer(out, lineterminator="\n")
    writer.writerow(["configuration", "seed", "run", "state", "epoch", "test_accuracy", "test_loss"])
    for group in comparison.groups:
        for result in group.results:
            facts = (plain_value(group.label), result.seed, result.view.spec.run, result.view.label)
            accuracies, losses = by_epoch(result.view, ACCURACY), by_epoch(result.view, TEST_LOSS)
            for (epoch, accuracy), (_, loss) in zip(accuracies, losses, strict=True):
                writer.writerow([*facts, round(epoch, 4), accuracy, loss])
    return out.getvalue()


# -- for a paper, or a course


def report(comparison: Comparison) -> str:
    """What was done, what came out, and what may be concluded, in Markdown."""
    parts = [f"# {comparison.title}", comparison.about, "## What was done", _method(comparison)]
    parts += ["## Results", markdown(comparison).rstrip(), "## What may be concluded", "\n".join(_findings(comparison))]
    return "\n\n".join(filter(None, parts)) + "\n"


def _method(comparison: Comparison) -> str:
    reference, count = comparison.reference, len(comparison.groups)
    spec = reference.spec
    known = {result.view.data.name: result.view.data for result in comparison.results if result.view.data}
    on = ", ".join(_sized(name, known.get(name)) for name in comparison.data)
    seeds = ", ".join(map(str, comparison.seeds or sorted({result.seed for result in comparison.results})))
    epochs = f"{spec.epochs} epoch{'s' * (spec.epochs > 1)}"
    varied = ""
    if comparison.variables and comparison.directory:
        crossed = comparison.crossed and len(comparison.variables) > 1
        how = "every combination of their values" if crossed else "one at a time"
        how = f", {how}" if len(comparison.variables) > 1 else ""
        varied = f"Varied: {', '.join(comparison.variables)}{how}; all else is as in the baseline. "
    return (
        f"{count} configuration{'s' * (count > 1)}, each with the seeds {seeds}: {len(comparison.results)} runs on "
        f"{on}. {varied}The baseline is {reference.label!r}: {one_line(spec.network)}; input "
        f"{shape_text(spec.input)}; {epochs}, batches of {spec.batch_size}, {spec.optimizer}, learning rate "
        f"{spec.lr:g}, schedule {spec.schedule}. Accuracy is that of the last epoch, on all test "
        f"pictures{': no epoch and no run was chosen by it' if comparison.directory else ''}."
    )


def _sized(name: str, data: Data | None) -> str:
    """A data set, with how much it is, once that is known."""
    return f"{name} ({data.train:,} pictures to train, {data.test:,} to test)" if data else name


def one_line(network: Network) -> str:
    """A net's layers, one after the other."""
    return "; ".join(network_text(network))


def _findings(comparison: Comparison) -> list[str]:
    lines = [_finding(comparison, group) for group in comparison.groups if group is not comparison.reference]
    clear = [group for group in comparison.groups if (gap := comparison.difference(group)) and gap.is_clear]
    compared = len(comparison.groups) - 1
    if clear and compared > 1:
        lines.append(
            f"\nWith {compared} comparisons at {LEVEL}, about {compared * (1 - CONFIDENCE):.1f} of them would seem "
            "clear by chance alone, if nothing made a difference."
        )
    return lines


def _finding(comparison: Comparison, group: Group) -> str:
    gap = comparison.difference(group)
    if gap is None:
        missing = "the baseline has no result" if group.accuracies else "no run was trained to its end"
        missing = missing if group.data == comparison.reference.data else f"it is of other data, {group.data}"
        return f"- {group.label}: nothing can be said, {missing}."
    told = f"- {group.label}: {points(gap.value)} points"
    if gap.low is None:
        return f"{told}; without a spread over seeds it cannot be told from chance."
    held = f"{told} ({interval_text(gap)})"
    if gap.is_clear:
        return f"{held}: {'better' if gap.value > 0 else 'worse'} than the baseline."
    return f"{held}: cannot be told from the baseline with {len(group.accuracies)} runs."
