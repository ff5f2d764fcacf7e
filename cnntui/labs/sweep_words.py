"""What a sweep costs, in words."""

from __future__ import annotations

from cnntui.labs.plain import duration, size
from cnntui.runs.sweeps.cost import PAYS, Cost


def cost_lines(cost: Cost) -> list[str]:
    """How much there is to train, how long that takes, and whether the slots are worth it; a line each."""
    least, most = cost.params
    params = f"{least:,} parameters" if least == most else f"{least:,} to {most:,} parameters"
    count = len(cost.configurations)
    lines = [f"{cost.runs:,} runs of {count} configuration{'s' * (count > 1)}, {params}"]
    if cost.done:
        lines[0] += f"; {cost.done:,} trained, {cost.todo:,} to do"
    if not cost.todo:
        return lines
    if cost.problem:
        return [*lines, f"how long it takes is not known: {cost.problem}"]
    lines.append(_time(cost))
    if cost.measured < (todo := sum(one.done < one.runs for one in cost.configurations)):
        lines.append(f"measured: {cost.measured} of {todo} configurations; the others by their multiply-accumulates")
    if cost.together:
        lines += _slots(cost)
    lines += [f"{one.label}: {one.problem}" for one in cost.configurations if one.problem]
    return lines


def _time(cost: Cost) -> str:
    each = [one.seconds for one in cost.configurations if one.done < one.runs and not one.problem]
    if not each:
        return "none of them can be trained"
    low, high = duration(min(each)), duration(max(each))
    run = f"a run {low}" if low == high else f"a run {low} to {high}"
    where = f"{cost.slots} slot{'s' * (cost.slots > 1)} on {cost.device}"
    memory = f", {size(cost.need)} of its memory each" if cost.need else ""
    return f"about {duration(cost.seconds)} with {where}{memory}; {run}, {duration(cost.start_seconds)} of it to start"


def _slots(cost: Cost) -> list[str]:
    """What they gain, beside the best of fewer slots and of more that were measured; a line each."""
    fewer = [slots for slots in cost.times if slots < cost.slots]
    more = [slots for slots in cost.times if slots > cost.slots]
    lines = []
    if fewer:
        lines.append(_beside_fewer(cost, min(fewer, key=cost.times.__getitem__)))
    if more:
        best = min(more, key=cost.times.__getitem__)
        though = "though" if cost.speeds[best] >= PAYS * cost.speeds[cost.slots] else "as"
        time, learn = duration(cost.times[best]), _learn(cost, best, cost.slots)
        lines.append(f"{best} slots would not be done sooner, in about {time}, {though} {learn}")
    return lines


def _beside_fewer(cost: Cost, fewer: int) -> str:
    """Learning and all of it may not gain alike: starting takes time too, and the last runs leave slots empty."""
    learn = _learn(cost, cost.slots, fewer)
    is_faster = cost.speeds[cost.slots] >= PAYS * cost.speeds[fewer]
    all_of_it = cost.times[fewer] / cost.seconds
    time = f"with {fewer} it would take about {duration(cost.times[fewer])}"
    if all_of_it >= PAYS:
        return f"{cost.slots} slots pay: {learn}{'' if is_faster else ', but start beside each other'}; {time}"
    if not is_faster:
        return f"{cost.slots} slots {'hardly' if all_of_it >= 1 else 'do not'} pay here: {learn}; {time}"
    todo = [one.seconds for one in cost.configurations if one.done < one.runs]
    why = "a run is mostly its start" if 2 * cost.start_seconds > sum(todo) / len(todo) else "that is not all they do"
    return f"{cost.slots} slots {'gain little' if all_of_it >= 1 else 'lose'} in all: {learn}, but {why}; {time}"


def _learn(cost: Cost, slots: int, other: int) -> str:
    speed, beside = cost.speeds[slots], cost.speeds[other]
    return f"they learn {speed / beside:.2f} times as fast as {other} ({speed:,.0f} images/s, not {beside:,.0f})"
