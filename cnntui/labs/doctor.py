"""What works on this machine, what does not, and what to do about it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from cnntui.runs.launch import HOW_TO_GET_TORCH, can_train
from cnntui.runs.places import data_root, has_mnist, runs_root, state_root

TORCH_SECONDS = 60


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `advice` where it could be better."""

    name: str
    ok: bool
    found: str
    advice: str = ""


def checks() -> Iterator[Finding]:
    """Everything, the quick ones first."""
    yield _terminal()
    yield _colors()
    yield _encoding()
    yield from _directories()
    yield _data()
    yield _machine()
    yield _torch()


def _terminal() -> Finding:
    columns, lines = shutil.get_terminal_size()
    name = os.environ.get("TERM", "not set") + (", inside tmux" if "TMUX" in os.environ else "")
    over = ", over SSH: motion at half the rate" if "SSH_CONNECTION" in os.environ else ""
    small = columns < 80 or lines < 24
    return Finding("terminal", not small, f"{columns}×{lines}, {name}{over}", "make it at least 80×24" if small else "")


def _colors() -> Finding:
    if "NO_COLOR" in os.environ:
        return Finding("colours", True, "none, as NO_COLOR asks: values stay readable as digits and glyphs")
    depth = os.environ.get("COLORTERM", "")
    if depth in ("truecolor", "24bit"):
        return Finding("colours", True, "16 million")
    term = os.environ.get("TERM", "")
    few = "256" if "256" in term else "16"
    return Finding(
        "colours", few == "256", few, "ssh drops COLORTERM: cnntui --color truecolor, if your terminal has it"
    )


def _encoding() -> Finding:
    encoding = (sys.stdout.encoding or "ascii").lower()
    ok = encoding.startswith("utf")
    return Finding("encoding", ok, encoding, "" if ok else "set LANG to a UTF-8 locale, for example C.UTF-8")


def _directories() -> Iterator[Finding]:
    for name, path in (("runs", runs_root()), ("state", state_root())):
        there = next(parent for parent in (path, *path.parents) if parent.exists())
        ok = os.access(there, os.W_OK)
        free = shutil.disk_usage(there).free / 2**30
        yield Finding(name, ok, f"{path} ({free:.0f} GiB free)", "" if ok else f"{there} cannot be written")


def _data() -> Finding:
    root = data_root()
    if has_mnist(root):
        return Finding("data", True, f"MNIST in {root}")
    return Finding(
        "data",
        True,
        f"no MNIST in {root}; digits and printed are always there",
        "it is downloaded when training asks for it; or set CNNTUI_DATA",
    )


def _machine() -> Finding:
    memory = psutil.virtual_memory()
    return Finding(
        "machine",
        True,
        f"{os.cpu_count()} cores, {memory.available / 2**30:.0f} of {memory.total / 2**30:.0f} GiB free",
    )


def _torch() -> Finding:
    """Asked of a process of its own: importing torch takes seconds and much memory."""
    if not can_train():
        return Finding("torch", False, "not installed: everything but training works", HOW_TO_GET_TORCH)
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "cnntui.training.devices"],
            capture_output=True,
            text=True,
            timeout=TORCH_SECONDS,
            stdin=subprocess.DEVNULL,
        )
        report = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, json.JSONDecodeError, OSError):
        return Finding("torch", False, "installed, but it does not start", "try: python -c 'import torch'")
    devices = ", ".join(report["devices"]) or ("Apple's GPU" if report["mps"] else "no GPU: training runs on the CPU")
    return Finding("torch", True, f"{report['torch']}, {devices}, {report['threads']} threads")
