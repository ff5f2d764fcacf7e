"""Small data sets in the real formats, and a web server that fails as real ones do."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import re
import struct
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def values_of(x: Tensor) -> set[float]:
    """The values that occur."""
    return set(x.flatten().tolist())


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


def mnist_files(count: int = 20) -> dict[str, bytes]:
    """The four files of the MNIST family, by name."""
    rng = np.random.default_rng(0)
    files = {}
    for part, size in (("train", count), ("t10k", count // 2)):
        files[f"{part}-images-idx3-ubyte"] = idx(rng.integers(0, 256, (size, 28, 28)))
        files[f"{part}-labels-idx1-ubyte"] = idx(np.arange(size) % 10)
    return files


def make_mnist(root: Path, name: str = "MNIST", count: int = 20) -> None:
    raw = root / name / "raw"
    raw.mkdir(parents=True)
    for file, content in mnist_files(count).items():
        (raw / file).write_bytes(content)


def cifar10_files() -> dict[str, bytes]:
    """Five batches of four red pictures, four to test with, and the names."""
    pixels = np.zeros((4, 3072), dtype=np.uint8)
    pixels[:, :1024] = 255
    batches = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    files = {name: pickle.dumps({"batch_label": name, "data": pixels, "labels": [0, 1, 2, 3]}) for name in batches}
    return {**files, "batches.meta": pickle.dumps({"label_names": NAMES, "num_cases_per_batch": 4})}


def expect_cifar10(monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]) -> None:
    """Let torchvision look for the checksums of these files."""
    from torchvision.datasets import CIFAR10

    def checked(name: str) -> list[str]:
        return [name, hashlib.md5(files[name]).hexdigest()]

    monkeypatch.setattr(CIFAR10, "train_list", [checked(f"data_batch_{i}") for i in range(1, 6)])
    monkeypatch.setattr(CIFAR10, "test_list", [checked("test_batch")])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": checked("batches.meta")[1]})


def make_cifar10(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = cifar10_files()
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    expect_cifar10(monkeypatch, files)
    return folder


def tarred(folder: str, files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def gzipped(files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in files.items()}


class Mirror:
    """Serves `files`; `faults[name]` is what goes wrong with the next requests for a file, one after the other.

    `drop`: half of what was asked for, then the connection closes. `stall`: half of it, then silence. `drip`: byte
    by byte. `ignore`: no ranges. `ignore and drop`. `wrong`: other bytes of the same length. A number: that status.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.faults: dict[str, list[str]] = {}
        self.asked: list[tuple[str, int | None]] = []  # name, and where the range begins
        self.over = threading.Event()
        self.stalled = threading.Event()
        self.url = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        name = handler.path.rsplit("/", 1)[-1]
        match = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        begin = int(match.group(1)) if match else None
        self.asked.append((name, begin))
        waiting = self.faults.get(name, [])
        fault = waiting.pop(0) if waiting else ""
        if fault.isdecimal() or name not in self.files:
            handler.send_error(int(fault or 404))
            return
        whole = self.files[name]
        if "wrong" in fault:
            whole = bytes(byte ^ 255 for byte in whole)
        if "ignore" in fault:
            begin = None
        body = whole[begin or 0 :]
        if begin is not None and not body:
            handler.send_error(416)
            return
        handler.send_response(200 if begin is None else 206)
        if begin is not None:
            handler.send_header("Content-Range", f"bytes {begin}-{len(whole) - 1}/{len(whole)}")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if fault == "drip":
            for byte in body:
                handler.wfile.write(bytes([byte]))
                if self.over.wait(0.05):
                    return
        elif "drop" in fault or "stall" in fault:
            handler.wfile.write(body[: len(body) // 2])
            handler.wfile.flush()
            if "stall" in fault:
                self.stalled.set()
                self.over.wait(60)
        else:
            handler.wfile.write(body)


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Mirror]:
    """A mirror on a port of this machine."""
    mirror = Mirror(files)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            mirror.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that hangs up is no news here
    mirror.url = f"http://127.0.0.1:{server.server_address[1]}/"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield mirror
    finally:
        mirror.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
