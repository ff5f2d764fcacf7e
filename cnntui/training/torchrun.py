"""torchrun for a run of several ranks on this host: `python -m cnntui.training.torchrun RUN_DIRECTORY ATTEMPT RANKS`.

As `python -m torch.distributed.run`, but it says which rank was lost, in `lost.<attempt>.json` in the run directory, and
leaves no logs of its own behind. Ends 0 when all did, else with the code of that rank.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import torch
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.run import parse_args, run

from cnntui.runs.files import write_atomic
from cnntui.runs.ranks import ALONE, TORCHRUN_LOGS
from cnntui.runs.spec import LOST, Lost, lost_file

OWN_ERRORS = ("FollowerError: ", "LostError: ")  # what torch writes before their messages


def main(directory: Path, attempt: int, ranks: int) -> int:
    """Run the ranks to their end; returns the exit code."""
    if "OMP_NUM_THREADS" not in os.environ:
        os.environ[ALONE] = str(torch.get_num_threads())
        os.environ["OMP_NUM_THREADS"] = str(max(1, torch.get_num_threads() // ranks))
    os.environ["PYTHONSAFEPATH"] = "1"  # as -P: the ranks take no module from where the user happens to be
    with TemporaryDirectory(prefix=TORCHRUN_LOGS, dir=directory) as logs:
        options = ["--standalone", f"--nproc-per-node={ranks}", f"--log-dir={logs}", "-m", "cnntui.training"]
        try:
            run(parse_args([*options, str(directory), str(attempt)]))  # type: ignore[no-untyped-call]
        except ChildFailedError as error:
            rank, failure = first(error.failures)
            write_atomic(lost_file(directory, attempt), msgspec.json.encode(told(rank, failure)))
            return failure.exitcode if failure.exitcode > 0 else 1
        except SignalException as error:
            return 128 + error.sigval
    return 0


def first(failures: dict[int, ProcessFailure]) -> tuple[int, ProcessFailure]:
    """The rank that was lost first: not one that ended because another had, or was told to."""
    own = {rank: each for rank, each in failures.items() if each.exitcode not in (LOST, -15)} or failures
    return min(own.items(), key=lambda each: each[1].timestamp)


def told(rank: int, failure: ProcessFailure) -> Lost:
    """What is known of it."""
    if failure.exitcode < 0:
        return Lost(rank, None, failure.signal_name())
    said = failure.message.get("message", "") if isinstance(failure.message, dict) else ""
    for name in OWN_ERRORS:
        said = str(said).removeprefix(name)
    return Lost(rank, failure.exitcode, None, said)


if __name__ == "__main__":
    code = main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    sys.stderr.flush()
    os._exit(code)  # what torch tears down takes a second
