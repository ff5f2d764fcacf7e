"""A run as lines of text: for a pipe, a log, a CI job."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from cnntui.core.analysis import analyse
from cnntui.core.arithmetic import number
from cnntui.core.backbone import trained_params
from cnntui.core.network import INPUT, Network
from cnntui.core.shading import glyphs
from cnntui.labs.classes import class_name
from cnntui.runs.events import from_number
from cnntui.runs.listing import name_of
from cnntui.runs.reader import RunReader, RunView
from cnntui.runs.spec import Settings, Status

POLL_SECONDS = 0.25
LINE_SECONDS = 5.0
WIDTH = 78
MOST_LAYERS = 4


def duration(seconds: float) -> str:
    """Minutes and seconds, or hours as well."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def size(bytes_: float) -> str:
    """Bytes in MiB or GiB."""
    return f"{bytes_ / 2**30:.1f} GiB" if bytes_ >= 2**30 else f"{bytes_ / 2**20:.0f} MiB"


def percent(share: float) -> str:
    """A share of one in percent, to two decimals: less than all is never 100 %, more than nothing never 0 %."""
    hundredths = round(share * 10_000)
    return f"{min(max(hundredths, share > 0), 10_000 - (share < 1)) / 100:.2f} %"


def header(view: RunView) -> str:
    """What is trained."""
    spec = view.spec
    ranks = f", {spec.ranks} ranks" if spec.ranks > 1 else ""
    return f"run {spec.run}\n{view.directory}\n{spec.net}: {trained(spec.network, spec)}, {spec.epochs} epochs{ranks}"


def trained(network: Network, settings: Settings) -> str:
    """How many parameters there are; where the backbone is frozen, how many of them are trained."""
    params = analyse(network).params
    if not settings.frozen:
        return f"{params:,} parameters"
    return f"{trained_params(network, frozen=True):,} of {params:,} parameters are trained"


def speed(status: Status) -> str:
    """Images/s, of several ranks also those of each."""
    together, count = status.images_per_second or 0.0, len(status.rank_speeds)
    return f"{together:,.0f} images/s" + (f" ({together / count:,.0f} each)" if count > 1 else "")


def progress(view: RunView) -> str:
    """Where the training is, in one line."""
    status = view.status
    if status is None:
        return "starting"
    words = [f"epoch {status.epoch}/{view.spec.epochs}", f"{view.progress:4.0%}"]
    if status.train_loss is not None:
        words.append(f"loss {status.train_loss:.4f}")
    if status.images_per_second:
        words.append(speed(status))
    if view.seconds_left is not None:
        words.append(f"{duration(view.seconds_left)} left")
    return "  ".join(words)


def waited_for(view: RunView | None) -> str:
    """How far a run is that somebody waits for: `being trained: epoch 3 of 12`; nothing where it does not go on."""
    if view is None or view.state in ("waiting", "starting"):
        return "the training starts: that takes some seconds"
    if view.state != "training" or view.status is None:
        return ""
    left = f", {duration(view.seconds_left)} left" if view.seconds_left else ""
    return f"being trained: epoch {view.status.epoch} of {view.spec.epochs}{left}"


def ending(view: RunView) -> str:
    """How it ended, in one line."""
    test = f"test accuracy {percent(view.test_accuracy[-1][1])}" if view.test_accuracy else "never tested"
    count = f" of {view.data.test:,} test pictures" if view.data and view.test_accuracy else ""
    if view.trained:
        return test + count
    return f"{view.label}: {view.message or 'no reason given'} ({test}{count})"


def presence(view: RunView) -> str:
    """Whether its process is there, in one line."""
    host = view.status.host if view.status else "its host"
    if view.alive == "stale":
        return (
            f"stale: nothing was heard from {host} for a minute. It may revive; "
            f"cnntui resume {name_of(view.directory)} goes on here, from the last checkpoint"
        )
    if view.alive == "stalled":
        return "stalled: its process was stopped by a signal"
    return f"heard of again, from {host}"


def maps(view: RunView, picture: int = 7, width: int = WIDTH, most: int = MOST_LAYERS) -> Iterator[str]:
    """The probe picture of one class, and the feature maps of some layers, from the first to the last, as ASCII."""
    probe = view.probe
    if probe is None or not probe.labels:
        return
    index = min(picture, len(probe.labels) - 1)
    odds = probe.probabilities[index]
    best = max(range(len(odds)), key=odds.__getitem__)
    names = view.data.classes if view.data else ()
    label, read = class_name(names, probe.labels[index]), class_name(names, best)
    yield f"test picture {probe.pictures[index]}, a {label}, read as {read} ({percent(odds[best])})"
    probed = [layer for layer in probe.maps if layer != INPUT]
    chosen_layers = spread(probed, most)
    for layer in (*(INPUT,) * (INPUT in probe.maps), *chosen_layers):
        shades = view.maps(layer)
        if shades is None:
            continue
        chosen = shades[index]
        shown = max(1, min(len(chosen), (width + 2) // (chosen.shape[2] + 2)))
        yield ""
        yield (
            f"{layer}: {shown} of {probe.channels[layer]} channel{'s' * (probe.channels[layer] > 1)}, "
            f"full shade ±{number(probe.scales[layer], 3)}"
        )
        for row in zip(*(glyphs(channel) for channel in chosen[:shown]), strict=True):
            yield "  ".join(row).rstrip()
    yield ""
    yield "from zero up: . : + * # @    from zero down: , ; ~ = % &"
    makers = [row for row in analyse(view.spec.network).rows if row.output is not None and len(row.output) == 3]
    more = max(len(makers), len(probed)) - len(chosen_layers)
    if more > 0:
        has = "layers have" if more > 1 else "layer has"
        yield f"{more} more {has} maps: cnntui attach {name_of(view.directory)} shows them in a terminal"


def spread(layers: Sequence[str], most: int) -> list[str]:
    """At most so many (two or more), in their order: the first, the last, and between them as evenly as can be."""
    if len(layers) <= most:
        return list(layers)
    return [layers[round(place * (len(layers) - 1) / (most - 1))] for place in range(most)]


def follow(reader: RunReader, sleep: Callable[[float], None] = time.sleep) -> Iterator[tuple[RunView, str]]:
    """The lines of a run until it has ended, each with the view that it was made from; a line about every five seconds."""
    view = reader.poll()
    yield view, header(view)
    noticed, tested, told, phase, since = (0, 0), (0, 0), False, "", time.monotonic()
    alive: str = "alive"
    while True:
        for notice in view.notices:
            if (notice.attempt, notice.seq) > noticed:
                noticed = (notice.attempt, notice.seq)
                yield view, f"note: {notice.message}"
        if view.data and not told:
            told, data = True, view.data
            device = view.status.device if view.status else None
            yield (
                view,
                f"{data.name}: {data.train:,} to train, {data.test:,} to test; on {device or 'an unknown device'}",
            )
        for test in view.tests:
            if (test.attempt, test.seq) > tested:
                tested = (test.attempt, test.seq)
                loss = from_number(test.loss)
                accuracy = percent(test.accuracy)
                yield view, f"epoch {test.epoch}/{view.spec.epochs}  test loss {loss:.4f}  test accuracy {accuracy}"
        if view.over:
            yield view, ending(view)
            return
        if view.alive != alive and not view.ended:
            alive = view.alive
            yield view, presence(view)
        now_phase = view.status.phase if view.status else "starting"
        if now_phase != phase and now_phase not in ("training", "evaluating", ""):
            yield view, f"{now_phase} ..."
        phase = now_phase
        if phase == "training" and alive == "alive" and not view.ended and time.monotonic() - since >= LINE_SECONDS:
            since = time.monotonic()
            yield view, progress(view)
        sleep(POLL_SECONDS)
        view = reader.poll()
