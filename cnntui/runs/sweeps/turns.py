"""Gives every run of a sweep its turn. A process: `python -m cnntui.runs.sweeps.turns DIRECTORY TURN SLOTS NEED`.

It starts trainers under their own supervisors and looks at what they write, as any viewer does: when it dies they train on,
and the next conductor finds them.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from cnntui.runs import control, launch
from cnntui.runs.files import stamp, write_atomic
from cnntui.runs.places import SWEEP, log_traceback
from cnntui.runs.reader import RunReader, RunView, UnreadableRunError
from cnntui.runs.spec import last_attempt, process_facts, read_json
from cnntui.runs.sweeps.conductor import CONDUCTOR, Conducting, last_turn, occupies, stop_of
from cnntui.runs.sweeps.directory import read_sweep
from cnntui.runs.sweeps.plan import SweepError
from cnntui.runs.sweeps.slots import careful_need, default_slots, slot_for, this_machine

POLL_SECONDS = 0.25
TELL_SECONDS = 1.0
ROOM_SECONDS = 2.0  # until free memory is looked for again
STOP_SECONDS = 120.0  # a trainer that loads its data hears nothing until it begins
AGAIN_SECONDS = 5.0  # after a start that failed: a full disk, too many processes
MOST_REFUSALS = 6  # starts that fail one after the other, until nothing is tried any more
MOST_RESUMED = 2  # times that a run which was killed goes on

Start = Callable[[Path, int, Mapping[str, str]], None]


@dataclass
class Going:
    """A run that has slots at `place`, one a rank; none of them where another host trains it.

    `told`: why it was told to end. `promised`: bytes of a GPU that it has not yet taken.
    """

    reader: RunReader
    place: str
    promised: int = 0
    told: str = ""
    elsewhere: bool = False

    @property
    def slots(self) -> int:
        """How many it has."""
        return 0 if self.elsewhere else self.reader.spec.ranks


class Turns:
    """One conductor of one sweep.

    What is trained is left, what trains is waited for, what was killed or stopped goes on from its last checkpoint, what
    failed by itself is tried once more.

    Raises:
        SweepError: when the directory holds no sweep.
    """

    def __init__(
        self,
        directory: Path,
        turn: int = 1,
        slots: int | None = None,
        need: int | None = None,
        start: Start = launch.start,
    ) -> None:
        self.directory, self.turn, self.need, self.start = directory, turn, need, start
        self.written = stamp(directory / SWEEP)
        self.runs = read_sweep(directory).directories(directory)
        before = read_json(directory / CONDUCTOR, Conducting)
        self.places = before.going if before else {}
        self.going: dict[Path, Going] = {}
        self.waiting: deque[tuple[Path, int]] = deque()  # and the number of its last attempt
        self.failed: dict[Path, str] = {}
        self.resumed: Counter[Path] = Counter()
        self.retried: set[Path] = set()
        self.refusals = 0
        self.not_before = self.told_at = 0.0
        self.stopping_since: float | None = None
        self.state = Conducting(turn=turn, started=datetime.now(UTC).isoformat(timespec="seconds"), **process_facts())
        self.slots = slots or 1
        self.tell()  # before the first look, which takes a moment where there are many runs
        devices = [device for run in self.runs if (device := self.sort(run))]
        # As many as for all of it, however few are left: the threads of a run, and so its last bits, follow from it.
        self.slots = slots or default_slots(devices[0] if devices else "cpu", this_machine(), len(self.runs))

    def stop(self) -> None:
        """From now on nothing is started, and what is going is told to end."""
        if self.stopping_since is None:
            self.stopping_since = time.monotonic()

    def conduct(self) -> None:
        """Until every run had its turn, or this was stopped, or another conducts."""
        while self.has_grown() or self.going or (self.waiting and self.stopping_since is None):
            if last_turn(self.directory) > self.turn:
                return self.log("another conducts this sweep now")
            if stop_of(self.directory, self.turn).exists():
                self.stop()
            for run, going in list(self.going.items()):
                self.watch(run, going)
            if self.stopping_since is not None:
                if time.monotonic() - self.stopping_since > STOP_SECONDS:
                    break
            elif self.refusals >= MOST_REFUSALS and not self.going:
                return self.end("failed", self.state.message)
            else:
                self.fill()
            if time.monotonic() - self.told_at >= TELL_SECONDS:
                self.tell()
            time.sleep(POLL_SECONDS)
        if self.stopping_since is None:
            return self.end("finished", self.failures())
        left = f"{len(self.going)} runs had not ended after {STOP_SECONDS:.0f} s, and go on" if self.going else ""
        return self.end("stopped", left)

    def has_grown(self) -> bool:
        """Whether somebody ran the sweep again with more in it, that waits or goes: it is sorted."""
        if self.stopping_since is not None or (written := stamp(self.directory / SWEEP)) == self.written:
            return False
        self.written = written
        try:
            new = [run for run in read_sweep(self.directory).directories(self.directory) if run not in self.runs]
        except SweepError:
            return False  # removed: its runs will say so
        self.runs += new
        for run in new:
            self.sort(run)
        return bool(self.going or self.waiting)

    # -- what is going

    def watch(self, run: Path, going: Going) -> None:
        """See how it stands, and have it end where it cannot go on by itself."""
        view = going.reader.glance()
        if not occupies(view):
            del self.going[run]
            return self.ended(run, view, going.told)
        if view.state != "starting":
            going.promised = 0
        if (
            not going.told and view.state == "paused" and view.message
        ):  # its numbers are not finite; a person says nothing
            self.ask_to_stop(run, going, view.message)
        elif not going.told and self.stopping_since is not None:
            self.ask_to_stop(run, going, "stopped with the sweep")
        return None

    def ask_to_stop(self, run: Path, going: Going, why: str) -> None:
        """Where the disk refuses, the next look tries again."""
        with suppress(OSError):
            control.send(run, "stop")
            going.told = why

    def ended(self, run: Path, view: RunView, told: str) -> None:
        """What comes after a run whose process has gone."""
        if view.trained:
            return self.log(f"{run.name}: trained")
        why = told or f"{view.label}: {view.message}"
        if not told and self.is_to_go_on(run, view):
            return self.log(f"{run.name}: {why}; it has another turn")
        if self.stopping_since is None:
            self.failed[run] = why
        return self.log(f"{run.name}: {why}")

    def is_to_go_on(self, run: Path, view: RunView) -> bool:
        """Whether a run that ended too early has another turn of this conductor's: it is queued then."""
        if self.stopping_since is not None or view.state == "finished" or not run.is_dir():
            return False  # whoever stopped it wants it so
        attempt = last_attempt(run)
        if was_killed(view):
            self.resumed[run] += 1
            if self.resumed[run] > MOST_RESUMED:
                return False
            self.waiting.appendleft((run, attempt))
            return True
        if run in self.retried:
            return False
        self.retried.add(run)
        self.waiting.append((run, attempt))
        return True

    # -- what waits

    def sort(self, run: Path) -> str:
        """Where a run stands that nobody has looked at: it is waited for, or waits, or is done; what device it wants."""
        attempt = last_attempt(run)
        try:
            reader = RunReader(run)
        except UnreadableRunError as error:
            self.failed[run] = str(error)
            self.log(str(error))
            return ""
        view = reader.glance()
        if view.state != "waiting" and occupies(view):
            elsewhere = view.status is not None and view.status.host != self.state.host
            self.going[run] = Going(reader, self.places.get(run.name, ""), elsewhere=elsewhere)
        elif not view.trained:
            if view.ended and view.state != "finished" and not was_killed(view):
                self.retried.add(run)
            self.waiting.append((run, attempt))
        return view.spec.device if not view.trained else ""

    def fill(self) -> None:
        """Start what has room."""
        while self.waiting and self.free_slots > 0 and time.monotonic() >= self.not_before:
            run, attempt = self.waiting.popleft()
            if last_attempt(run) != attempt:  # somebody has begun it by hand
                self.sort(run)
            elif not self.begin(run, attempt + 1):
                return

    @property
    def free_slots(self) -> int:
        """How many no run has."""
        return self.slots - sum(going.slots for going in self.going.values())

    def begin(self, run: Path, attempt: int) -> bool:
        """Start an attempt, if there is room for it; false when nothing more is to be started for the moment."""
        try:
            reader = RunReader(run)
        except UnreadableRunError as error:
            self.failed[run] = str(error)
            self.log(str(error))
            return True
        need, ranks = self.need or careful_need(reader.spec), reader.spec.ranks
        if ranks > self.free_slots and self.going:  # one of more ranks than there are slots has them all
            self.waiting.appendleft((run, attempt - 1))
            return False
        promised: Counter[str] = Counter()
        taken: Counter[str] = Counter()
        for going in self.going.values():
            for place in going.place.split(","):
                promised[place] += going.promised
                taken[place] += 1
        slot = slot_for(reader.spec.device, need, self.slots, this_machine(), taken, promised, ranks)
        if slot is None:
            self.waiting.appendleft((run, attempt - 1))
            self.wait(ROOM_SECONDS, f"waits for {need / 2**30:.1f} GiB of free memory on a GPU")
            return False
        try:
            self.start(run, attempt, slot.environment)
        except launch.LaunchError as error:
            if last_attempt(run) >= attempt:
                self.sort(run)  # begun by somebody else at this moment
                return True
            self.refuse(run, attempt, str(error))
            return False
        self.refusals = 0
        self.state = msgspec.structs.replace(self.state, message="")
        self.going[run] = Going(reader, slot.place, need)
        self.log(f"{run.name}: attempt {attempt} on {slot.place}")
        return True

    def refuse(self, run: Path, attempt: int, why: str) -> None:
        """A run could not be started: it is tried once more, after the others."""
        self.refusals += 1
        if run in self.retried or not run.is_dir():
            self.failed[run] = why
        else:
            self.retried.add(run)
            self.waiting.append((run, attempt - 1))
        self.wait(AGAIN_SECONDS, f"no run can be started: {why}")

    def wait(self, seconds: float, why: str) -> None:
        """Start nothing for a while."""
        self.not_before = time.monotonic() + seconds
        if self.state.message != why:
            self.log(why)
        self.state = msgspec.structs.replace(self.state, message=why)

    # -- what is told

    def failures(self) -> str:
        """Which runs did not come to their end, in one line; nothing where all did."""
        if not self.failed:
            return ""
        run, why = next(iter(self.failed.items()))
        more = f", and {len(self.failed) - 1} more" if len(self.failed) > 1 else ""
        return f"{len(self.failed)} of {len(self.runs)} runs failed: {run.name} ({why}){more}"

    def tell(self) -> None:
        """Replace `conductor.json`; a disk that refuses is no reason to stop."""
        self.told_at = time.monotonic()
        state = "stopping" if self.stopping_since is not None and self.state.alive else self.state.state
        going = {run.name: going.place for run, going in self.going.items()}
        self.state = msgspec.structs.replace(self.state, state=state, slots=self.slots, going=going)
        with suppress(OSError):
            write_atomic(self.directory / CONDUCTOR, msgspec.json.encode(self.state))

    def end(self, state: str, message: str) -> None:
        """The last that is told."""
        self.state = msgspec.convert(
            {**msgspec.structs.asdict(self.state), "state": state, "message": message}, Conducting
        )
        self.tell()
        self.log(f"{state} {message}".rstrip())

    def log(self, line: str) -> None:
        """For whoever wants to know later."""
        with suppress(OSError):
            print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {line}", flush=True)


def was_killed(view: RunView) -> bool:
    """Whether a run ended by a signal, or with its machine: not by itself."""
    if view.exit is not None:
        return view.exit.signal is not None
    return view.alive == "stale" or (view.state == "crashed" and view.status is not None)


def main(directory: Path, turn: int, slots: int | None, need: int | None) -> int:
    """Conduct to the end; what nobody foresaw is told in one line."""
    os.umask(0o077)
    try:
        turns = Turns(directory, turn, slots, need)
        signal.signal(signal.SIGTERM, lambda *_: turns.stop())
        signal.signal(signal.SIGINT, lambda *_: turns.stop())
        turns.conduct()
    except SweepError as error:
        print(error, file=sys.stderr)
        return 1
    except Exception as error:
        where = log_traceback()
        told = Conducting(
            state="failed", message=f"{type(error).__name__}: {error}. {where}", turn=turn, **process_facts()
        )
        with suppress(OSError):
            write_atomic(directory / CONDUCTOR, msgspec.json.encode(told))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), *(int(word) if word != "-" else None for word in sys.argv[3:5])))
