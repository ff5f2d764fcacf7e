"""Files from the network: mirrors in turn, short time-outs, resumed where they broke off, checked before anybody reads them.

What has come so far waits in the user's cache, where the next attempt goes on. No torch here.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

from cnntui.runs.places import downloads_root

TIMEOUT = 8.0  # seconds, to connect and for each silence
SLOWEST = 1024  # bytes a second: what is slower for that long counts as silence
LARGEST = 2**30  # bytes: no file that we fetch comes near it, but an endless answer would fill the disk
TELL_SECONDS = 1.0
CHUNK = 1 << 16
MOST_ADDRESSES = 4
MIB = 2**20

Progress = Callable[[str], None]


class DownloadError(Exception):
    """Why a file cannot be had, mirror by mirror, in one line."""


class MirrorError(Exception):
    """Why one mirror does not give a file."""


class SlowError(MirrorError):
    """It gives so little that it is not worth another turn."""


@dataclass(frozen=True)
class Remote:
    """A file, the addresses where it may be had, and the MD5 of its bytes."""

    name: str
    urls: tuple[str, ...]
    md5: str


def quiet(_: str) -> None:
    """Nobody is told."""


@contextmanager
def room_for(name: str, progress: Progress = quiet) -> Iterator[Path]:
    """The cache's directory for `name`, for this process alone; another one that downloads the same is waited for.

    Raises:
        OSError: when it cannot be made or locked.
    """
    import fcntl

    folder = downloads_root() / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside the directory and never removed: a lock on a file that somebody unlinks holds nobody off.
    descriptor = os.open(folder.with_name(f"{name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                progress(f"waiting for another process that downloads {name}")
                time.sleep(TELL_SECONDS)
        folder.mkdir(exist_ok=True)
        yield folder
    finally:
        os.close(descriptor)


def fetch(file: Remote, folder: Path, what: str, progress: Progress = quiet) -> Path:
    """The file, whole and checked, in `folder`; until then it is called `.part` there. `what` is its name for a person.

    A mirror that brought something before it broke off gets another turn. One that brought nothing gets none, nor does one
    whose whole file has another checksum.

    Raises:
        DownloadError: when no mirror gives it.
        OSError: when it cannot be written.
    """
    whole, part = folder / file.name, folder / f"{file.name}.part"
    if whole.is_file() and md5(whole) == file.md5:
        return whole
    turns, troubles, started_again = deque(file.urls), dict[str, str](), set[str]()
    furthest = _size(part)
    while turns:
        url = turns.popleft()
        begun = _size(part)
        try:
            _pull(url, part, _Meter(what, progress))
        except SlowError as error:
            troubles[url] = str(error)
            continue
        except MirrorError as error:
            troubles[url] = str(error)
        else:
            if md5(part) == file.md5:
                return part.replace(whole)
            part.unlink()
            troubles[url] = "wrong checksum"
            if (
                begun and url not in started_again
            ):  # perhaps it is the first piece that is wrong: all of it from here, then
                started_again.add(url)
                turns.appendleft(url)
                furthest = 0
            continue
        if _size(part) > furthest:
            furthest = _size(part)
            turns.append(url)
    raise DownloadError("; ".join(f"{urlsplit(url).hostname}: {why}" for url, why in troubles.items()))


def md5(path: Path) -> str:
    """The file's MD5, which tells broken files from whole ones."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def move_in(source: Path, root: Path) -> None:
    """Put the one directory in `source` into `root`, at once where it is not there yet; else file by file.

    Raises:
        OSError: when `root` cannot be written; what is there already is whole.
    """
    (made,) = source.iterdir()
    if source.stat().st_dev != root.stat().st_dev:  # only within a file system is moving one act: copy first, aside
        beside = root / f".{made.name}.{os.getpid()}"
        try:
            shutil.copytree(made, beside / made.name)
            move_in(beside, root)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        return
    with suppress(OSError):  # there is one already
        made.rename(root / made.name)
        return
    for path in made.rglob("*"):
        if path.is_file():
            target = root / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)


def reason(error: BaseException) -> str:
    """What an error says, in one line."""
    inner = getattr(error, "reason", error)
    text = getattr(inner, "strerror", None) or str(inner) or type(inner).__name__
    return " ".join(str(text).split())[:120]


class _Meter:
    """Tells how far a file is, about once a second."""

    def __init__(self, what: str, progress: Progress) -> None:
        self.what, self.progress = what, progress
        self.began = self.next = time.monotonic()

    def __call__(self, have: int, come: int, total: int | None) -> None:
        """`have` bytes are there, of which `come` came over this connection."""
        now = time.monotonic()
        if now < self.next:
            return
        self.next = now + TELL_SECONDS
        of = f" of {total / MIB:.1f}" if total else ""
        speed = f", {come / (now - self.began) / MIB:.1f} MiB/s" if come else ""
        self.progress(f"downloading {self.what}: {have / MIB:.1f}{of} MiB{speed}")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _pull(url: str, part: Path, meter: _Meter) -> None:
    """Bring `part` to its end from one mirror: what it lacks, or all of it from a server that knows no ranges.

    Raises:
        MirrorError: when the mirror fails; what came stays.
        OSError: when it cannot be written.
    """
    begun = _size(part)
    response = _ask(url, begun)
    if response is None:
        return
    with response:
        if response.status != 206:
            begun = 0
        total = None if response.length is None else begun + response.length
        with part.open("ab" if begun else "wb") as file:
            meter(begun, 0, total)
            come = 0
            for chunk in _chunks(response):
                file.write(chunk)
                come += len(chunk)
                meter(begun + come, come, total)


def _ask(url: str, begun: int) -> HTTPResponse | None:
    """The answer to a request for what follows the first `begun` bytes; None when the server says that nothing does."""
    request = urllib.request.Request(url, headers={"User-Agent": "cnntui"})  # noqa: S310 - the opener knows http(s) alone
    if begun:
        request.add_header("Range", f"bytes={begun}-")
    try:
        response: HTTPResponse = _opener().open(request, timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        if error.code == 416 and begun:
            return None
        raise MirrorError(f"{error.code} {error.reason}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise MirrorError(reason(error)) from None
    if response.status == 206 and not response.headers.get("Content-Range", "").startswith(f"bytes {begun}-"):
        response.close()
        raise MirrorError("answers with another part of the file")
    return response


def _chunks(response: HTTPResponse) -> Iterator[bytes]:
    """The body as it comes.

    Raises:
        MirrorError: when it breaks off, stalls, or does not end.
    """
    come, since, before = 0, time.monotonic(), 0
    while True:
        try:
            chunk = response.read1(CHUNK)
        except (OSError, HTTPException) as error:
            raise MirrorError(reason(error)) from None
        if not chunk:
            break
        yield chunk
        come += len(chunk)
        if time.monotonic() - since > TIMEOUT:
            if come - before < SLOWEST * TIMEOUT:
                raise SlowError(f"slower than {SLOWEST} bytes a second")
            since, before = time.monotonic(), come
        if come > LARGEST:
            raise MirrorError(f"more than {LARGEST // MIB} MiB")
    if response.length:
        raise MirrorError(f"the connection broke off {response.length} bytes before the end")


def _opener() -> urllib.request.OpenerDirector:
    """http and https alone, through the proxies of the environment: no file:, no ftp:."""
    opener = urllib.request.OpenerDirector()
    handlers: Sequence[urllib.request.BaseHandler] = (
        urllib.request.ProxyHandler(),
        _HttpHandler(),
        _HttpsHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    )
    for handler in handlers:
        opener.add_handler(handler)
    return opener


def _connect(address: tuple[str, int], timeout: float, _source: Any = None) -> socket.socket:
    """As socket.create_connection, but the addresses of a host share the time: behind a firewall, none of them answers."""
    deadline = time.monotonic() + timeout
    found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[:MOST_ADDRESSES]
    trouble: OSError = OSError(f"no address of {address[0]}")
    for left, (family, kind, protocol, _, place) in zip(range(len(found), 0, -1), found, strict=True):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(max(0.1, (deadline - time.monotonic()) / left))
            connection.connect(place)
        except OSError as error:
            connection.close()
            trouble = error
        else:
            connection.settimeout(timeout)
            return connection
    raise trouble


class _Http(HTTPConnection):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._create_connection = _connect


class _Https(HTTPSConnection):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._create_connection = _connect


class _HttpHandler(urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> HTTPResponse:
        return self.do_open(_Http, request)


class _HttpsHandler(urllib.request.HTTPSHandler):
    def https_open(self, request: urllib.request.Request) -> HTTPResponse:
        return self.do_open(_Https, request)
