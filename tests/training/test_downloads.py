"""Downloads from a real server on this machine, with what goes wrong on real ones."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from torchvision import datasets

from cnntui.runs.places import downloads_root
from cnntui.training.data import DataError, DataSet, downloads, from_torchvision, load
from cnntui.training.data.downloads import DownloadError, Remote, fetch, move_in, room_for
from tests.training.helpers import (
    Mirror,
    cifar10_files,
    expect_cifar10,
    gzipped,
    make_cifar10,
    make_mnist,
    mnist_files,
    serving,
    tarred,
)

CONTENT = bytes(range(256)) * 2000
FAMILY = {"mnist": datasets.MNIST, "fashion-mnist": datasets.FashionMNIST, "kmnist": datasets.KMNIST}

# What a test does to torchvision's lists, for a process of its own.
CHILD = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell would ignore it
import json, sys
from pathlib import Path
from torchvision import datasets
from cnntui.training.data import DataError, downloads, from_torchvision
root, mirrors, resources, limit = json.loads(sys.argv[1])
datasets.MNIST.mirrors, datasets.MNIST.resources = mirrors, resources
if limit:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
print("ready", flush=True)
try:
    print(len(from_torchvision("mnist", Path(root), print, print).train_labels))
except DataError as error:
    print("refused:", error)
"""


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with serving({"file": CONTENT}) as made:
        yield made


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "TIMEOUT", 0.5)


def remote(*mirrors: Mirror) -> Remote:
    return Remote("file", tuple(f"{mirror.url}file" for mirror in mirrors), hashlib.md5(CONTENT).hexdigest())


def checksums(files: dict[str, bytes]) -> list[tuple[str, str]]:
    return [(name, hashlib.md5(content).hexdigest()) for name, content in files.items()]


def offer(monkeypatch: pytest.MonkeyPatch, kind: Any, mirror: Mirror) -> None:
    monkeypatch.setattr(kind, "mirrors", [mirror.url])
    monkeypatch.setattr(kind, "resources", checksums(mirror.files))


def get(mirror: Mirror, folder: Path, told: list[str] | None = None) -> bytes:
    progress = told.append if told is not None else downloads.quiet
    return fetch(remote(mirror), folder, "it", progress).read_bytes()


def test_a_dropped_connection_is_resumed_where_it_broke_off(mirror: Mirror, tmp_path: Path) -> None:
    mirror.faults["file"] = ["drop", "drop"]
    assert get(mirror, tmp_path) == CONTENT
    assert mirror.asked == [("file", None), ("file", 256_000), ("file", 384_000)]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert get(mirror, tmp_path) == CONTENT
    assert len(mirror.asked) == 3, "what is whole is not asked for again"


def test_a_server_that_knows_no_ranges_is_begun_with_again(mirror: Mirror, tmp_path: Path) -> None:
    mirror.faults["file"] = ["drop", "ignore"]
    assert get(mirror, tmp_path) == CONTENT
    assert mirror.asked == [("file", None), ("file", 256_000)]


def test_one_that_always_drops_is_given_up(mirror: Mirror, tmp_path: Path) -> None:
    mirror.faults["file"] = ["ignore and drop"] * 10
    with pytest.raises(DownloadError, match=r"^127\.0\.0\.1: the connection broke off 256000 bytes before the end$"):
        get(mirror, tmp_path)
    assert len(mirror.asked) == 2, "the second time brought nothing new"
    assert (tmp_path / "file.part").read_bytes() == CONTENT[:256_000]


@pytest.mark.usefixtures("impatient")
def test_a_stalled_mirror_is_left_and_the_next_goes_on(mirror: Mirror, tmp_path: Path) -> None:
    mirror.faults["file"] = ["stall"] * 9
    with serving({"file": CONTENT}) as second:
        assert fetch(remote(mirror, second), tmp_path, "it").read_bytes() == CONTENT
    assert (mirror.asked, second.asked) == ([("file", None)], [("file", 256_000)])


@pytest.mark.usefixtures("impatient")
def test_bytes_that_drip_are_a_stall(mirror: Mirror, tmp_path: Path) -> None:
    mirror.faults["file"] = ["drip"] * 9
    with pytest.raises(DownloadError, match="slower than 1024 bytes a second"):
        get(mirror, tmp_path)
    assert mirror.asked == [("file", None)]


def test_a_mirror_without_the_file_is_passed_over(mirror: Mirror, tmp_path: Path) -> None:
    with serving({}) as empty:
        assert fetch(remote(empty, mirror), tmp_path, "it").read_bytes() == CONTENT
        assert empty.asked == [("file", None)]


def test_wrong_bytes_are_never_kept(mirror: Mirror, tmp_path: Path) -> None:
    mirror.faults["file"] = ["wrong"] * 9
    with pytest.raises(DownloadError, match="wrong checksum"):
        get(mirror, tmp_path)
    assert not list(tmp_path.iterdir())
    with serving({"file": CONTENT}) as second:
        assert fetch(remote(mirror, second), tmp_path, "it").read_bytes() == CONTENT
    assert second.asked == [("file", None)], "nothing of the wrong file is built upon"


@pytest.mark.parametrize("rubbish", [b"x" * 1000, CONTENT + b"x", b"x" * len(CONTENT)], ids=["short", "long", "wrong"])
def test_a_piece_of_another_file_costs_one_more_turn(mirror: Mirror, tmp_path: Path, rubbish: bytes) -> None:
    (tmp_path / "file.part").write_bytes(rubbish)
    assert get(mirror, tmp_path) == CONTENT
    assert mirror.asked == [("file", len(rubbish)), ("file", None)]


def test_a_piece_that_is_whole_already_is_taken(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(CONTENT)
    assert get(mirror, tmp_path) == CONTENT


def test_a_mirror_that_is_not_there_says_why(tmp_path: Path) -> None:
    nobody = Remote("file", ("http://127.0.0.1:1/file", "http://nowhere.invalid/file", "file:///etc/passwd"), "")
    with pytest.raises(DownloadError) as caught:
        fetch(nobody, tmp_path, "it")
    refused, unknown, other = str(caught.value).split("; ")
    assert refused == "127.0.0.1: Connection refused"
    assert unknown.startswith("nowhere.invalid: ")
    assert "unknown url type: file" in other


@pytest.mark.usefixtures("impatient")
def test_addresses_that_do_not_answer_share_the_time_of_one(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket whose queue is full is silent, like a host behind a firewall."""
    port = int(mirror.url.rsplit(":", 1)[1].strip("/"))
    with contextlib.ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(silent.getsockname())
        tcp = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        found = [(*tcp, silent.getsockname())] * 3 + [(*tcp, ("127.0.0.1", port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        assert get(mirror, tmp_path) == CONTENT
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found[:3])
        (tmp_path / "file").unlink()
        with pytest.raises(DownloadError, match=r"127\.0\.0\.1: timed out"):
            get(mirror, tmp_path)


def test_progress_is_told_about_once_a_second(mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    get(mirror, tmp_path, told)
    assert told == ["downloading it: 0.0 of 0.5 MiB"], "it was there before a second had passed"
    told.clear()
    (tmp_path / "file").unlink()
    monkeypatch.setattr(downloads, "TELL_SECONDS", 0.0)
    get(mirror, tmp_path, told)
    assert told[-1].startswith("downloading it: 0.5 of 0.5 MiB, ")
    assert told[-1].endswith(" MiB/s")


@pytest.mark.parametrize("name", FAMILY)
def test_the_mnist_family_is_downloaded_to_where_torchvision_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    said: list[str] = []
    told: list[str] = []
    with serving(gzipped(mnist_files())) as mirror:
        offer(monkeypatch, FAMILY[name], mirror)
        mirror.faults["train-images-idx3-ubyte.gz"] = ["drop"]
        found = from_torchvision(name, tmp_path / "root", said.append, told.append)
    assert (len(found.train_labels), len(found.test_labels), found.shape) == (20, 10, (1, 28, 28))
    assert said == [f"downloading {name} to {tmp_path / 'root'}"]
    assert told[0].startswith(f"downloading {name}, file 1 of 4: 0.0 of 0.0 MiB")
    assert told[-1] == f"unpacking {name}"
    folder = tmp_path / "root" / FAMILY[name].__name__ / "raw"
    assert {path.name for path in folder.iterdir()} == set(mnist_files())
    assert [path for path in downloads_root().iterdir() if path.is_dir()] == [], "the cache is tidy"
    assert load(name, tmp_path / "root", said.append).sha256() == found.sha256()
    assert len(said) == 1, "now it is there"


def test_cifar10_is_downloaded_to_where_torchvision_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = fetched_cifar10(tmp_path, monkeypatch)
    assert (len(found.train_labels), len(found.test_labels), found.shape) == (20, 4, (3, 32, 32))
    assert [path.name for path in tmp_path.iterdir()] == ["cifar-10-batches-py"]


def fetched_cifar10(root: Path, monkeypatch: pytest.MonkeyPatch, faults: list[str] | None = None) -> DataSet:
    archive = tarred("cifar-10-batches-py", cifar10_files())
    expect_cifar10(monkeypatch, cifar10_files())
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", hashlib.md5(archive).hexdigest())
    with serving({"cifar.tar.gz": archive}) as mirror:
        monkeypatch.setattr(datasets.CIFAR10, "url", f"{mirror.url}cifar.tar.gz")
        mirror.faults["cifar.tar.gz"] = faults or []
        return from_torchvision("cifar10", root, lambda _: None)


class Planted:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.write_text, (self.path, "it was run")


@pytest.mark.parametrize("name", ["data_batch_3", "test_batch", "batches.meta"])
def test_a_pickle_with_the_wrong_checksum_is_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = make_cifar10(tmp_path / "root", monkeypatch)
    (folder / name).write_bytes(pickle.dumps(Planted(tmp_path / "trace")))
    with pytest.raises(DataError) as caught:
        fetched_cifar10(tmp_path / "root", monkeypatch, ["503"] * 9)
    assert str(caught.value) == (
        f"cifar10 in {tmp_path / 'root'} is broken ({name} has the wrong checksum) "
        "and could not be downloaded (127.0.0.1: 503 Service Unavailable)"
    )
    assert not (tmp_path / "trace").exists()
    assert len(fetched_cifar10(tmp_path / "root", monkeypatch).train_labels) == 20, "a download mends it"
    assert not (tmp_path / "trace").exists()


def test_an_archive_that_would_write_elsewhere_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tarred("../../..", {"trace": b"it was here"})
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", hashlib.md5(archive).hexdigest())
    with serving({"cifar.tar.gz": archive}) as mirror:
        monkeypatch.setattr(datasets.CIFAR10, "url", f"{mirror.url}cifar.tar.gz")
        with pytest.raises(DataError, match="what was downloaded could not be unpacked"):
            from_torchvision("cifar10", tmp_path / "root", lambda _: None)
    assert not list((tmp_path / "root").iterdir())
    assert not list(downloads_root().parent.parent.rglob("trace"))


def test_a_file_cut_short_is_told_and_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_mnist(tmp_path)
    cut = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    cut.write_bytes(cut.read_bytes()[:5000])
    said: list[str] = []
    with serving(gzipped(mnist_files())) as mirror:
        offer(monkeypatch, datasets.MNIST, mirror)
        assert len(from_torchvision("mnist", tmp_path, said.append).train_labels) == 20
    assert said[0].startswith(f"mnist in {tmp_path} is broken (")


def test_pictures_without_as_many_labels_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_mnist(tmp_path)
    raw = tmp_path / "MNIST" / "raw"
    (raw / "train-labels-idx1-ubyte").write_bytes((raw / "t10k-labels-idx1-ubyte").read_bytes())
    monkeypatch.setattr(datasets.MNIST, "mirrors", ["http://127.0.0.1:1/"])
    with pytest.raises(DataError, match=r"is broken \(20 pictures, but 10 labels\) and could not be downloaded"):
        from_torchvision("mnist", tmp_path, lambda _: None)


def child(root: Path, mirror: Mirror, limit: int = 0) -> subprocess.Popen[str]:
    words = json.dumps([str(root), [mirror.url], checksums(mirror.files), limit])
    started = subprocess.Popen(
        [sys.executable, "-c", CHILD, words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    return started


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_what_is_killed_leaves_nothing_half_done_and_the_next_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    with serving(gzipped(mnist_files())) as mirror:
        file = "train-images-idx3-ubyte.gz"
        mirror.faults[file] = ["stall"]
        started = child(tmp_path, mirror)
        assert mirror.stalled.wait(60)
        part = downloads_root() / "mnist" / f"{file}.part"
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not (part.exists() and part.stat().st_size):
            time.sleep(0.02)
        started.send_signal(number)
        started.communicate(timeout=60)
        assert started.returncode != 0
        assert not list(tmp_path.iterdir())
        offer(monkeypatch, datasets.MNIST, mirror)
        mirror.asked.clear()
        assert len(from_torchvision("mnist", tmp_path, lambda _: None).train_labels) == 20
    assert mirror.asked[0] == (file, len(mirror.files[file]) // 2)


def test_whoever_ends_it_from_the_progress_leaves_nothing_half_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class EnoughError(Exception):
        pass

    def enough(text: str) -> None:
        if "unpacking" in text:
            raise EnoughError

    with serving(gzipped(mnist_files())) as mirror:
        offer(monkeypatch, datasets.MNIST, mirror)
        with pytest.raises(EnoughError):
            from_torchvision("mnist", tmp_path, lambda _: None, enough)
        assert not list(tmp_path.iterdir())


def test_two_processes_share_one_download(tmp_path: Path) -> None:
    with serving(gzipped(mnist_files())) as mirror:
        mirror.faults["train-images-idx3-ubyte.gz"] = ["stall"]
        first = child(tmp_path, mirror)
        assert mirror.stalled.wait(60)
        second = child(tmp_path, mirror)
        assert second.stdout is not None
        while (line := second.stdout.readline()) and "waiting" not in line:
            pass
        assert line == "waiting for another process that downloads mnist\n"
        mirror.over.set()
        for process in (first, second):
            assert process.stdout is not None
            assert process.stdout.read().splitlines()[-1] == "20"  # communicate() would miss what readline() read ahead
            process.communicate(timeout=60)
    assert sorted(name for name, begin in mirror.asked if begin is None) == sorted(mirror.files), "each file once"


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk."""
    with serving(gzipped(mnist_files())) as mirror:
        out, err = child(tmp_path, mirror, limit=5000).communicate(timeout=60)
    assert out.splitlines()[-1].startswith(f"refused: mnist is not in {tmp_path} and could not be downloaded ("), (
        out,
        err,
    )
    assert "File too large" in out.splitlines()[-1]
    assert err == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["root", "cache"])
def test_what_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    (tmp_path / "file").write_text("in the way")
    root = tmp_path / ("file/root" if place == "root" else "root")
    if place == "cache":
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with serving(gzipped(mnist_files())) as mirror:
        offer(monkeypatch, datasets.MNIST, mirror)
        with pytest.raises(DataError, match=f"could not be downloaded \\({tmp_path}/file.*: Not a directory\\)"):
            from_torchvision("mnist", root, lambda _: None)
        assert not mirror.asked, "it is known before anything is fetched"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_root_that_is_only_to_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "root").mkdir(mode=0o500)
    with serving(gzipped(mnist_files())) as mirror:
        offer(monkeypatch, datasets.MNIST, mirror)
        with pytest.raises(DataError, match="Permission denied"):
            from_torchvision("mnist", tmp_path / "root", lambda _: None)


def test_what_lies_on_another_file_system_is_moved_in_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev or not os.access(shared, os.W_OK):
        pytest.skip("there is no other file system at hand")
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared / f"cnntui-{os.getpid()}"))
    try:
        with serving(gzipped(mnist_files())) as mirror:
            offer(monkeypatch, datasets.MNIST, mirror)
            assert len(from_torchvision("mnist", tmp_path, lambda _: None).train_labels) == 20
    finally:
        shutil.rmtree(shared / f"cnntui-{os.getpid()}")
    assert [path.name for path in tmp_path.iterdir()] == ["MNIST"]


def test_moving_in_keeps_what_is_there(tmp_path: Path) -> None:
    for place, name in (("from/a/b", "new"), ("to/a/b", "old")):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / name).write_text(name)
    move_in(tmp_path / "from", tmp_path / "to")
    assert {path.name for path in (tmp_path / "to" / "a" / "b").iterdir()} == {"new", "old"}


def test_the_room_is_free_again_when_its_user_is_gone() -> None:
    code = """
import time
from cnntui.training.data.downloads import room_for
with room_for("x"):
    print(flush=True)
    time.sleep(99)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        told: list[str] = []
        process.kill()
        process.wait()
        with room_for("x", told.append) as folder:
            assert folder.is_dir()
        assert told == []
