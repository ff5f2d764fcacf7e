"""Several ranks as others than they see them: who started them, and whether they pay."""

from __future__ import annotations

from cnntui.runs.events import Ranks

ALONE = "CNNTUI_THREADS_ALONE"  # of torch's, that a rank would have had the machine been its own
TORCHRUN_LOGS = ".torchrun-"  # begins the name of the directory that torchrun has in a run's while it works
PAYS = 1.2  # times as fast: less is not worth the cores, or the GPUs


def gain(ranks: Ranks, batch_size: int) -> str:
    """What the ranks do together and each, beside one alone; where that is little, what helps."""
    words = f"{ranks.count} ranks do {ranks.together:,.0f} images/s together, {ranks.together / ranks.count:,.0f} each"
    if ranks.gain is None:
        return words
    words += f"; one alone does {ranks.alone:,.0f}: {ranks.gain:.2f} times as fast"
    if ranks.gain >= PAYS:
        return words
    return f"{words}. Too small to gain: more than {batch_size} a batch helps, or fewer ranks"
