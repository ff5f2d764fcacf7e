"""A comparison in words, as the screen shows it: pieces of text, each with a tone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from difflib import SequenceMatcher
from string import ascii_letters
from textwrap import wrap

from cnntui.core.notation import network_text
from cnntui.labs.classes import whole_percent
from cnntui.labs.compare import CompareState
from cnntui.labs.comparison import Comparison, Group, Result, Standing, standings
from cnntui.labs.grouping import spec_differences
from cnntui.labs.plain import duration, percent
from cnntui.labs.results import cautions, points
from cnntui.labs.statistics import Difference
from cnntui.runs.reader import RunView
from cnntui.runs.spec import Spec

# Tones: text, bold, dim, accent, error; more and less are of what one has and the other has not; group is its colour.
Piece = tuple[str, str]
Line = list[Piece]

BETTER, WORSE = "▲", "▼"
SAME_LINES = 2  # layers that are the same are written out, if there are no more of them on end
NAME = 14  # columns of what differs
RUN = 27  # of what is told of a run, without its state and its device


def letter(index: int) -> str:
    """What stands for a group at its curve."""
    return ascii_letters[index % len(ascii_letters)]


# -- one run, one group


MARKS: dict[Standing, tuple[str, str]] = {  # each with its tone
    "failed": ("✗", "error"),
    "going": ("…", "accent"),
    "stopped": ("‖", "text"),
    "waiting": ("·", "dim"),
}


def state_words(view: RunView) -> Piece:
    """How a run stands: a mark and a word."""
    if view.trained:
        return "✓ trained", "text"
    if view.ended:
        stands = Result(view.spec.seed, view).standing
        return (f"{MARKS['stopped'][0]} stopped", "text") if stands == "stopped" else (f"✗ {view.label}", "error")
    if view.state == "waiting":
        return "· waiting", "dim"
    if view.alive in ("stalled", "stale"):
        return f"✗ {view.alive}", "error"
    return f"… {view.state} {whole_percent(view.progress)}", "accent"


def runs_words(group: Group, short: bool = False) -> Line:
    """3/3; and how many have failed, are going, are to come: with a mark and a word, or the mark alone."""
    line = [(f"{len(group.accuracies)}/{len(group.results)}", "text")]
    return line + [
        (f" {mark} {count}" if short else f" {mark} {count} {what}", tone)
        for mark, count, what, tone in _not_trained(group.results)
    ]


def interval_words(found: Difference | None, short: bool = False) -> Piece:
    """+0.42 [+0.10, +0.74] ▲; without the interval where there is little room. A mark where zero lies outside of it."""
    if found is None:
        return "", "dim"
    mark = (f" {BETTER}" if found.value > 0 else f" {WORSE}") if found.is_clear else "  "
    tone = ("more" if found.value > 0 else "less") if found.is_clear else "text"
    if found.low is None or found.high is None:
        return f"{points(found.value)}{mark}", tone
    between = "" if short else f" [{points(found.low)}, {points(found.high)}]"
    return f"{points(found.value)}{between}{mark}", tone


# -- above and below the table


def heading(comparison: Comparison) -> Line:
    """What is compared."""
    groups, seeds = len(comparison.groups), len(comparison.seeds)
    many = f"{groups:,} configuration{'s' * (groups > 1)}"
    times = f" × {seeds} seed{'s' * (seeds > 1)}" if seeds else ""
    facts = f"  {many}{times} on {', '.join(comparison.data)}"
    if comparison.directory is None:
        return [("picked runs", "accent"), (facts, "text"), (f"   {comparison.title}", "dim")]
    return [(comparison.title, "accent"), (facts, "text"), (f"   {comparison.about}", "dim")]


def standing(comparison: Comparison) -> tuple[Line, float | None]:
    """How many runs there are and how they stand; and how much of all of them is done, 0 to 1, None when all is over."""
    results = comparison.results
    trained = sum(result.view.trained for result in results)
    line = [(f"{len(results):,} run{'s' * (len(results) > 1)}: {trained:,} trained", "bold")]
    line += [(f"  {mark} {count:,} {what}", tone) for mark, count, what, tone in _not_trained(results)]
    line += [(f"   {words}", tone) for words, tone in _conducted(comparison)]
    if comparison.over:
        return line, None
    done = sum(1.0 if result.view.trained or result.failed else result.view.progress for result in results)
    return line, done / max(1, len(results))


def seconds_left(comparison: Comparison, now: datetime) -> float | None:
    """Until all of a sweep is trained, at the pace of the runs that ended since somebody gives them their turns.

    None where nobody does, or where none has ended since. What failed is not waited for.
    """
    conductor = comparison.conductor
    if conductor is None or conductor.state != "running":
        return None
    began, since, left = _moment(conductor.started), 0, 0.0
    if began is None or now <= began:
        return None
    under_way = 0.0
    for result in comparison.results:
        if result.view.trained:
            ended = _moment(result.view.exit.ended if result.view.exit else "")
            since += ended is not None and ended >= began
        elif not result.failed:
            done = result.view.progress if result.standing == "going" else 0.0
            under_way, left = under_way + done, left + 1 - done
    return (now - began).total_seconds() / (since + under_way) * left if since and left else None


def _moment(text: str) -> datetime | None:
    """A time with its zone, as files tell it."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def _conducted(comparison: Comparison) -> Line:
    """Who gives the runs their turns; or that nobody does, and what can be done about it."""
    conductor = comparison.conductor
    if conductor is not None and conductor.alive:
        if conductor.state == "stopping":
            return [("stopping, each run after a checkpoint", "more")]
        return [(f"{conductor.slots} slot{'s' * (conductor.slots > 1)}", "dim")]
    if not comparison.can_go_on:
        return []
    if any(result.view.state != "waiting" and not result.view.ended for result in comparison.results):
        return [("space goes on: nobody begins the next ones", "more")]
    return [("space goes on" if any(result.view.ended for result in comparison.results) else "space starts it", "more")]


def _not_trained(results: Sequence[Result]) -> Iterator[tuple[str, int, str, str]]:
    """Mark, how many, a word, its tone: of those that failed, are going, were stopped, wait."""
    for word, count in standings(results).items():
        mark, tone = MARKS[word]
        yield mark, count, word, tone


def told(comparison: Comparison) -> list[Line]:
    """What must be known to read the table: what failed, what is missing, what cannot be compared."""
    lines: list[Line] = []
    failed = comparison.failed
    if len(failed) == 1:
        group, result = failed[0]
        lines.append([(f"✗ {group.label}, seed {result.seed}, is in no mean: {result.why}", "error")])
    elif failed:
        whose = Counter(group.label for group, _ in failed)
        which = ", ".join(f"{label} ({count})" if count > 1 else label for label, count in whose.items())
        lines.append([(f"✗ {len(failed)} runs failed, and are in no mean: {which}", "error")])
    return lines + [[(f"! {text}", "more")] for text in cautions(comparison)]


def marks(comparison: Comparison) -> list[Line]:
    """What the marks at the differences say, where there are any."""
    words = f"{BETTER} better, {WORSE} worse than {comparison.reference.label}: zero lies outside of the interval"
    return [[(words, "dim")]] if comparison.has_findings else []


# -- the selected group


def account(state: CompareState, width: int) -> list[Line]:
    """The selected group: what it has otherwise than the baseline, its runs, and why those that failed did."""
    comparison, group = state.comparison, state.group
    reference = comparison.reference
    head: Line = [(f"{letter(state.selected)} ", "group"), (group.label, "bold")]
    if group is reference:
        lines = [[*head, ("  the baseline", "dim")], *_facts(group)]
    else:
        beside: Piece = (f"  beside {reference.label}", "dim")
        fits = sum(len(text) for text, _ in (*head, beside)) <= width
        lines = [[*head, beside] if fits else head, *([] if fits else [[beside]]), *_differences(comparison, group)]
    failed: list[Line] = [[], *_why(state, width)] if group.failed else []
    return [*lines, [], *_runs(state, width), *failed]


def _facts(group: Group) -> Iterator[Line]:
    """What is trained."""
    spec = group.spec
    yield _setting("parameters", f"{group.params:,}")
    yield _setting("trained with", f"{spec.optimizer}, lr {spec.lr:g}, {spec.schedule}")
    yield _setting("for", f"{spec.epochs} epoch{'s' * (spec.epochs > 1)}, batches of {spec.batch_size}")
    for place, text in enumerate(network_text(spec.network)):
        yield _setting("layers" if not place else "", text)


def _setting(name: str, value: str) -> Line:
    return [(f"  {name:<{NAME}} ", "dim"), (value, "text")]


def _differences(comparison: Comparison, group: Group) -> Iterator[Line]:
    """Variables of the sweep, parameters, settings, layers."""
    reference = comparison.reference
    before, after = comparison.base | reference.changes, comparison.base | group.changes
    named = [name for name in comparison.variables if before.get(name) != after.get(name)]
    for name in (name for name in named if name != "layers"):  # these are told line by line
        yield _change(name.replace("_", " "), before.get(name, ""), after.get(name, ""))
    if group.params != reference.params:
        times = f"  × {group.params / reference.params:.3g}" if reference.params else ""
        yield [*_change("parameters", f"{reference.params:,}", f"{group.params:,}"), (times, "dim")]
    for name, ours, theirs in spec_differences(reference.spec, group.spec):
        if name.replace(" ", "_") not in named:
            yield _change(name, ours, theirs)
    layers = list(layer_lines(reference.spec, group.spec))
    for place, line in enumerate(layers):
        yield [(f"  {'layers' if not place else '':<{NAME}} ", "dim"), *line]
    if not named and group.params == reference.params and not layers:
        yield [("  the layers are the same", "dim")]


def _change(name: str, before: str, after: str) -> Line:
    return [(f"  {name:<{NAME}} ", "dim"), (before, "less"), (" → ", "dim"), (after, "more")]


def layer_lines(spec: Spec, other: Spec) -> Iterator[Line]:
    """Which layers only one of them has: − what the first has, + what the other has; nothing where all are the same."""
    ours, theirs = _written(spec), _written(other)
    if ours == theirs:
        return
    for kind, i1, i2, j1, j2 in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        if kind == "equal":
            if i2 - i1 > SAME_LINES:
                yield [(f"  {i2 - i1} lines the same", "dim")]
            else:
                yield from ([(f"  {text}", "dim")] for text in ours[i1:i2])
            continue
        yield from ([(f"− {text}", "less")] for text in ours[i1:i2])
        yield from ([(f"+ {text}", "more")] for text in theirs[j1:j2])


def _written(spec: Spec) -> list[str]:
    """The layers, and the blocks that they name."""
    blocks = (f"@{name}({', '.join(args)}): {'; '.join(layers)}" for name, (args, layers) in spec.blocks.items())
    return [*spec.layers, *blocks]


def _runs(state: CompareState, width: int) -> Iterator[Line]:
    """Seed, state, accuracy, time, device of each run, as far as there is room; the one that is looked at is marked."""
    results = state.group.results
    devices = [(result.view.status.device if result.view.status else None) or "" for result in results]
    states = [state_words(result.view) for result in results]
    wide = max(len(words) for words, _ in states)
    with_device = RUN + wide + 2 + max(len("device"), *map(len, devices)) <= width
    yield [(f"  {'seed':>4}  {'':<{wide}} {'accuracy':>9} {'time':>8}{'  device' if with_device else ''}", "dim")]
    for result, (words, tone), device in zip(results, states, devices, strict=True):
        chosen = result is state.result
        accuracy = percent(result.so_far) if result.so_far is not None else "–"
        yield [
            ("▸ " if chosen else "  ", "accent"),
            (f"{result.seed:>4}  ", "accent" if chosen else "text"),
            (f"{words:<{wide}} ", tone),
            (f"{accuracy:>9} ", "dim" if result.accuracy is None else "text"),
            (f"{_time(result.view):>8}", "text"),
            (f"  {device}" if with_device else "", "dim"),
        ]
    yield [(f"  {'← → seed   ' if len(results) > 1 else ''}enter explore   t watch", "dim")]


def _time(view: RunView) -> str:
    """From the start of the last attempt to its last test, as its log tells."""
    return duration(view.tests[-1].t) if view.tests else ""


def _why(state: CompareState, width: int) -> Iterator[Line]:
    """How each run that failed ended; of the one that is looked at, where it told more."""
    for result in state.group.failed:
        yield from ([(text, "error")] for text in wrap(f"✗ seed {result.seed} {result.why}", max(10, width)))
        if result is state.result:
            where = f"its log: {result.view.directory}/stderr.log"
            yield from ([(text, "dim")] for text in wrap(where, max(10, width), break_on_hyphens=False))
