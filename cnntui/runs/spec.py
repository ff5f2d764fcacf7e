"""What stands in a run directory: the spec, the status, how it ended. JSON, by msgspec; nothing is ever unpickled."""

from __future__ import annotations

import os
import re
import secrets
import socket
import time
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import psutil

from cnntui.core.items import Block
from cnntui.core.layers import Table
from cnntui.core.network import Network
from cnntui.core.notation import network_text, parse
from cnntui.runs.events import NOT_JSON, Count

DATA_SETS = ("mnist", "fashion-mnist", "kmnist", "cifar10", "digits", "printed", "auto")
AT_HAND = ("digits", "printed")  # whatever the network and the disk are like
OPTIMIZERS = ("adam", "adamw", "sgd")
MOMENTUM = 0.9  # of SGD
SCHEDULES = ("cosine", "constant", "onecycle")
AUGMENTATIONS = ("none", "auto", "shift", "flip")
PRECISIONS = ("auto", "float32", "bfloat16")
DIGITS = ("mnist", "kmnist", *AT_HAND)  # a mirrored digit is another one, or none

ALLOWED = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES, "augment": AUGMENTATIONS, "precision": PRECISIONS}

MOST = {"epochs": 1_000_000, "batch_size": 1_000_000, "ranks": 1024}

# What `--recipe` sets, where nothing else is said. `plain` is what a textbook does; `fast` reaches a good accuracy soonest.
RECIPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "fast": {
        "epochs": 5,
        "batch_size": 128,
        "lr": 0.003,
        "optimizer": "adamw",
        "schedule": "onecycle",
        "weight_decay": 0.01,
        "label_smoothing": 0.1,
        "augment": "auto",
    },
}

SPEC_VERSION = 1

State = Literal["waiting", "starting", "training", "paused", "stopping", "finished", "failed", "crashed"]
ENDED: frozenset[str] = frozenset({"finished", "failed", "crashed"})


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a person chooses, beside the net.

    `data` is one of DATA_SETS, or a directory of pictures by class. `augment`: `shift` moves each training picture by a few
    pixels, `flip` mirrors half of them as well, `auto` is what suits the data. `precision`: `auto` is bfloat16 autocast on
    the GPUs that have it. `compile` is torch.compile, `cuda_graphs` replays a whole step at once where the device is CUDA.
    `weights_from` is a run directory whose weights to begin with, `tensorboard` where event files are to be written.
    Of these weights `new_head` leaves out those of the last layer that has any, which starts fresh (see `core.backbone`).
    `frozen`: only that layer is trained; all before it stays as it is, the statistics of batch norms included. `backbone_lr`
    is a learning rate for all before it, which follows the same schedule.
    `ranks` is how many processes train it together, each on its part of every batch; `batch_size` is the whole batch.
    `sync_bn` has batch norm take its mean and deviation over all of them.
    """

    data: str = "auto"
    data_dir: str | None = None
    epochs: int = 5
    batch_size: int = 64
    lr: float = 0.001
    optimizer: str = "adam"
    schedule: str = "cosine"
    weight_decay: float | None = None  # None: the optimizer's own default in torch
    label_smoothing: float = 0.0
    augment: str = "none"
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    compile: bool = False
    cuda_graphs: bool = True
    weights_from: str | None = None
    new_head: bool = False
    frozen: bool = False
    backbone_lr: float | None = None  # None: lr
    tensorboard: str | None = None
    ranks: int = 1
    sync_bn: bool = False

    def check(self) -> None:
        """Refuse what cannot be trained with.

        Raises:
            ValueError: naming the setting, its value and what is allowed.
        """
        for name, most in MOST.items():
            if not 1 <= getattr(self, name) <= most:
                raise ValueError(f"{name.replace('_', ' ')} {getattr(self, name)} is not from 1 to {most:,}")
        if abs(self.seed) >= 2**63:
            raise ValueError(f"seed {self.seed} has more than 63 bits")
        if not 0 < self.lr < float("inf"):
            raise ValueError(f"learning rate {self.lr} is not a number above 0")
        if self.weight_decay is not None and not 0 <= self.weight_decay < float("inf"):
            raise ValueError(f"weight decay {self.weight_decay} is below 0 or not a number")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label smoothing {self.label_smoothing} is not from 0 to below 1")
        for name, allowed in ALLOWED.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} {getattr(self, name)!r} is none of {', '.join(allowed)}")
        if self.data not in DATA_SETS and not Path(self.data).is_dir():
            raise ValueError(
                f"data {self.data!r} is none of {', '.join(DATA_SETS)}, nor a directory of pictures by class"
            )
        if self.augment == "flip" and self.data in DIGITS:
            raise ValueError(f"augment 'flip' would mirror the digits of {self.data}: take 'shift'")
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", self.device):
            raise ValueError(f"device {self.device!r} is none of auto, cpu, cuda, cuda:N, mps")
        if self.data_dir is not None and not Path(self.data_dir).is_dir():
            raise ValueError(f"data directory {self.data_dir} does not exist")
        self._check_backbone()
        self._check_ranks()

    def _check_backbone(self) -> None:
        if self.backbone_lr is not None and not 0 < self.backbone_lr < float("inf"):
            raise ValueError(
                f"learning rate {self.backbone_lr} of the backbone is not a number above 0: to keep it as it is, freeze it"
            )
        if self.frozen and self.backbone_lr is not None:
            raise ValueError(
                f"a frozen backbone has no learning rate: leave out {self.backbone_lr:g}, or do not freeze it"
            )
        if self.weights_from is None and self.new_head:
            raise ValueError(
                "a new head is for the weights of another run, and there are none to begin with: --from RUN"
            )
        if self.weights_from is None and self.frozen:
            raise ValueError(
                "a frozen backbone would stay as random as it begins: give it what a run learned, --from RUN"
            )

    def _check_ranks(self) -> None:
        count = self.ranks
        if count > self.batch_size:
            raise ValueError(f"{count} ranks > batch size {self.batch_size}: each takes a part of every batch")
        if count > 1 and self.device not in ("auto", "cpu", "cuda"):
            raise ValueError(f"{count} ranks cannot share {self.device}: take cuda, which is a GPU for each, or cpu")
        if self.sync_bn and count == 1:
            raise ValueError("sync bn is for several ranks, and there is 1: take --ranks 2 or more")
        if self.sync_bn and self.device == "cpu":
            raise ValueError("sync bn needs a GPU for each rank, and the device is cpu: leave it out")


class Spec(Settings, frozen=True, kw_only=True):
    """What is to be trained: written once by whoever starts the run, never changed."""

    run: str
    created: str
    net: str
    input: tuple[int, int, int]
    layers: list[str]
    blocks: dict[str, tuple[list[str], list[str]]] = {}
    tables: dict[str, list[list[int]]] = {}
    version: int = SPEC_VERSION

    @property
    def network(self) -> Network:
        """The network to train."""
        blocks = (Block(name, tuple(args), tuple(layers)) for name, (args, layers) in self.blocks.items())
        tables = {name: Table(name, tuple(map(tuple, rows))) for name, rows in self.tables.items()}
        return parse("\n".join(self.layers), self.input, self.net, blocks, tables)


def new_spec(network: Network, settings: Settings, now: datetime | None = None) -> Spec:
    """A spec under a fresh name, `<utc>-<net>-<6 hex>`."""
    now = now or datetime.now(UTC)
    safe = "".join(c if c.isalnum() or c in "-_." else "-" for c in network.name).strip("-.")[:40] or "net"
    channels, height, width = network.input
    return Spec(
        run=f"{now:%Y%m%d-%H%M%S}-{safe}-{secrets.token_hex(3)}",
        created=now.isoformat(timespec="seconds"),
        net=network.name,
        input=(channels, height, width),
        layers=network_text(network),
        blocks={block.name: (list(block.arguments), list(block.layers)) for block in network.blocks},
        tables={name: list(map(list, table.inputs)) for name, table in network.tables.items()},
        **msgspec.structs.asdict(settings),
    )


Pid = Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)]


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """What lets a viewer know a process again: see `process_facts` and `liveness`."""

    host: str = ""
    boot_id: str = ""
    pid: Pid = 0
    process_started: float = 0.0


class Status(Process, frozen=True, kw_only=True):
    """Where the trainer is, replaced about once a second. Times: `progress_age` in seconds, on the trainer's clock."""

    state: State = "starting"
    phase: str = ""
    message: str = ""
    attempt: Count = 1
    epoch: Count = 0
    step: Count = 0
    steps: Count | None = None
    progress_age: float = 0.0
    train_loss: float | None = None
    test_loss: float | None = None
    test_accuracy: float | None = None
    images_per_second: float | None = None  # of all ranks together
    rank_speeds: list[float] = []  # images/s of each rank, where there are several
    rank_steps: list[Count] = []  # the step that each of them is at, as it says itself
    seconds_left: float | None = None  # until the last step, tests and all included
    data: str | None = None
    device: str | None = None
    memory: int | None = None  # bytes: the device's for CUDA, the process's resident ones otherwise
    memory_total: int | None = None
    utilization: int | None = None  # of a GPU, percent
    temperature: int | None = None  # of a GPU, degrees Celsius


REFUSED = 3  # the exit code of a trainer that found another one at work
LOST = 4  # of one of several ranks, when another one is gone


class Exit(msgspec.Struct, frozen=True, kw_only=True):
    """How a trainer ended, as its supervisor saw it: an exit code, or the signal that killed it.

    Of several ranks, `rank` is the one that was lost first, and `message` what it said; `restarted`: all were, at once.
    """

    attempt: int
    code: int | None
    signal: str | None
    ended: str
    peak_memory: int | None = None
    rank: int | None = None
    message: str = ""
    restarted: bool = False

    @property
    def words(self) -> str:
        """How it ended, for people."""
        if self.code == LOST:
            return f"a rank was lost{': ' * bool(self.message)}{self.message}"
        if self.rank is None:
            return f"killed by {self.signal}" if self.signal else f"ended with code {self.code}"
        if self.signal:
            return f"rank {self.rank} was killed by {self.signal}"
        return f"rank {self.rank} failed: {self.message or f'it ended with code {self.code}'}"


class Lost(msgspec.Struct, frozen=True):
    """Which rank ended first of those that should not have: its exit code, or the signal that killed it."""

    rank: int
    code: int | None
    signal: str | None
    message: str = ""


def lock_of(directory: Path, attempt: int) -> Path:
    """What announces an attempt to train a run: created exclusively by whoever begins it."""
    return directory / f"attempt-{attempt}.lock"


def lost_file(directory: Path, attempt: int) -> Path:
    """Where torchrun says which rank of an attempt was lost, for the supervisor."""
    return directory / f"lost.{attempt}.json"


def take_lock(directory: Path, attempt: int) -> None:
    """Begin an attempt: nobody else can begin it then.

    Raises:
        FileExistsError: when somebody else has.
        OSError: when the directory cannot be written.
    """
    os.close(os.open(lock_of(directory, attempt), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def last_attempt(directory: Path) -> int:
    """The number of the newest attempt to train a run; 0 where there is none yet."""
    locks = (re.fullmatch(r"attempt-(\d+)\.lock", path.name) for path in directory.glob("attempt-*.lock"))
    return max((int(match[1]) for match in locks if match), default=0)


T = TypeVar("T")


def read_json(path: Path, kind: type[T]) -> T | None:
    """The file as `kind`; None when it is absent or is not that."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, *NOT_JSON):
        return None


@cache
def boot_id() -> str:
    """What names this start of this machine: two processes with one pid and start time are the same only within it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return str(int(psutil.boot_time()))


def process_facts() -> dict[str, Any]:
    """What lets a viewer know this very process again."""
    return {
        "host": socket.gethostname(),
        "boot_id": boot_id(),
        "pid": os.getpid(),
        "process_started": started(os.getpid()),
    }


def started(pid: int) -> float:
    """When a process began: seconds since the machine did, where Linux tells them; else since the epoch.

    The former do not move when somebody sets the clock.

    Raises:
        psutil.NoSuchProcess: when there is none.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        return int(stat.rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return psutil.Process(pid).create_time()


STALE_SECONDS = 60.0


def age(path: Path) -> float:
    """For how many seconds a file has not been written, by the wall clock; 0 where it is not there or in the future."""
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except OSError:
        return 0.0


def liveness(process: Process, silent: float) -> Literal["alive", "stalled", "gone", "stale"]:
    """Whether a process lives. `silent`: for how many seconds what it tells of itself has not been written anew.

    On this host and boot the very process is looked up by pid and start time, so a reused pid is not taken for it; on
    another host silence is all there is to see: *stale*, and it may revive.
    """
    if process.host != socket.gethostname():
        return "stale" if silent > STALE_SECONDS else "alive"
    if process.boot_id != boot_id():
        return "gone"
    try:
        if abs(started(process.pid) - process.process_started) > 1:
            return "gone"
        state = psutil.Process(process.pid).status()
    except psutil.NoSuchProcess:
        return "gone"
    if state == psutil.STATUS_ZOMBIE:
        return "gone"
    return "stalled" if state in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP) else "alive"
