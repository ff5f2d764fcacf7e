"""A sweep is a directory: `sweep.json` says what belongs to it, beside it a run directory for each configuration and seed.

The name of a run directory follows from what is trained in it: whoever runs a sweep again, or one that has grown, finds
what is trained already.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from cnntui.runs.files import write_atomic
from cnntui.runs.launch import LaunchError, create
from cnntui.runs.places import SWEEP, runs_root
from cnntui.runs.spec import new_spec, read_json
from cnntui.runs.sweeps.plan import Plan, SweepError, slug

VERSION = 1


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration as `sweep.json` has it: `runs` are names of directories beside it, one a seed."""

    label: str
    changes: dict[str, str]
    net: str
    params: int
    runs: list[str]


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """What is in `sweep.json`, replaced whenever the sweep is run. `configurations[baseline]` is compared with.

    `base` has its value of each variable.
    """

    name: str
    created: str
    variables: list[str]
    seeds: list[int]
    configurations: list[Planned]
    about: str = ""
    crossed: bool = False
    base: dict[str, str] = {}
    baseline: int = 0
    version: int = VERSION

    @property
    def is_whole(self) -> bool:
        """Whether there is a baseline, and what it names can be printed, its runs beside it and nowhere else."""
        runs = [run for one in self.configurations for run in one.runs]
        words = [self.name, *(one.label for one in self.configurations), *runs]
        return (
            0 <= self.baseline < len(self.configurations)
            and all(map(str.isprintable, words))
            and not any("/" in run or run in ("", ".", "..") for run in runs)
        )

    def directories(self, directory: Path) -> list[Path]:
        """All its runs: seed by seed, so that every configuration has a first result before any has a second."""
        return [
            directory / one.runs[turn]
            for turn in range(len(self.seeds))
            for one in self.configurations
            if turn < len(one.runs)
        ]


def run_names(plan: Plan, directory: Path) -> dict[tuple[str, int], str]:
    """The name of each run's directory, by label and seed; what is trained there under another label keeps its name."""
    there = {path.parent.name.rpartition("-")[2]: path.parent.name for path in directory.glob("*/spec.json")}
    return {
        (one.label, seed): there.get(key := one.key(seed), f"{slug(one.label)}-s{seed}-{key}")
        for one in plan.configurations
        for seed in plan.seeds
    }


def prepare(plan: Plan, directory: Path | None = None) -> Path:
    """Make the directory of a sweep, and of all its runs, where they are not there yet; returns it.

    Raises:
        SweepError: when it cannot be made, or one of its runs cannot be trained.
    """
    directory = (directory or runs_root() / plan.name).absolute()
    if (directory / "spec.json").exists():
        raise SweepError(f"{directory} holds a run: give the sweep another name, or another --dir")
    configurations = []
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        named = run_names(plan, directory)
        for one in plan.configurations:
            names = [named[one.label, seed] for seed in plan.seeds]
            for seed, name in zip(plan.seeds, names, strict=True):
                if not (directory / name / "spec.json").exists():
                    spec = new_spec(one.network, msgspec.structs.replace(one.settings, seed=seed))
                    create(msgspec.structs.replace(spec, run=f"{directory.name}/{name}"), directory / name)
            configurations.append(
                Planned(label=one.label, changes=one.changes, net=one.network.name, params=one.params, runs=names)
            )
        sweep = Sweep(
            name=plan.name,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            variables=list(plan.variables),
            seeds=list(plan.seeds),
            configurations=configurations,
            about=plan.about,
            crossed=plan.crossed,
            base=plan.base,
            baseline=plan.baseline,
        )
        write_atomic(directory / SWEEP, msgspec.json.format(msgspec.json.encode(sweep)), sync=True)
    except LaunchError as error:
        raise SweepError(str(error)) from None
    except OSError as error:
        raise SweepError(f"{directory}: {error.strerror}") from None
    return directory


def read_sweep(directory: Path) -> Sweep:
    """What belongs to the sweep in a directory.

    Raises:
        SweepError: when it holds none, or one of a newer version.
    """
    sweep = read_json(directory / SWEEP, Sweep)
    if sweep is None or not sweep.is_whole:
        raise SweepError(f"{directory} holds no sweep: no readable {SWEEP} in it")
    if sweep.version > VERSION:
        raise SweepError(f"{directory} is of a newer cnntui (sweep version {sweep.version}): upgrade this one")
    return sweep


def sweep_directories(root: Path | None = None) -> list[Path]:
    """The directories of all sweeps, the one that was run last first."""
    found = []
    for path in (root or runs_root()).glob(f"*/{SWEEP}"):
        sweep = read_json(path, Sweep)
        if sweep is not None and sweep.version <= VERSION and sweep.is_whole:
            found.append((sweep.created, path.parent))
    return [directory for _, directory in sorted(found, reverse=True)]


def find_sweep(name: str, root: Path | None = None) -> Path | None:
    """The directory of a sweep, by its path or its name; None where there is none."""
    for directory in (Path(name), (root or runs_root()) / name):
        if (directory / SWEEP).is_file():
            return directory.absolute()
    return None
