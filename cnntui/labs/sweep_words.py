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
    if cost.slots > 1 and cost.together:
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
    """What they gain in learning, and in all: starting takes one core, and a slot more starts beside the others."""
    lines = [
        f"{slots} slots: {speed:,.0f} images/s together, one alone {cost.alone:,.0f}: "
        f"{speed / cost.alone:.2f} times as fast"
        for slots, speed in cost.speeds.items()
        if slots > 1
    ]
    if cost.enough < cost.slots:
        enough = f"{cost.enough} slot{'s' * (cost.enough > 1)}"
        lines.append(f"more slots do not pay here: {enough} would do, in about {duration(cost.times[cost.enough])}")
    elif cost.gain < PAYS:
        alone = duration(cost.times[1])
        lines.append(f"they learn hardly faster, but start beside each other: with one slot it is about {alone}")
    return lines
