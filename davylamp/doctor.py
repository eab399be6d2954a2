"""What is wrong with this installation: one question a function, one plain sentence an answer."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any, Final

from collector.access.own import own_headers
from collector.config import CollectorConfig
from davylamp.config import Settings, access_config
from davylamp.preflight import LISTENERS, MIN_PYTHON

#: A sync slower than this makes acknowledgements slow; a disk should take 10 ms at most.
SLOW_SYNC_S: Final = 0.1
SYNCS: Final = 10
#: A sender's clock that is further off than this keeps its data out of verdicts.
SKEW_MAX_S: Final = 120.0
#: Data that waits longer than this for the store is a store that is behind.
LAG_MAX_S: Final = 30.0
#: The engine alone has about 500 open files, every sender one more.
MIN_OPEN_FILES: Final = 4_096
ANSWER_TIMEOUT_S: Final = 5.0
PACKAGES: Final = ("chdb", "grpcio", "numpy", "opentelemetry-sdk", "protobuf", "pyarrow", "uvicorn")
#: adjtimex(2): the clock is not synchronised.
_TIME_ERROR: Final = 5
_MEMORY_FILE_SYSTEMS: Final = frozenset(("tmpfs", "ramfs"))


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Answer:
    """One sentence."""

    level: Level
    text: str


def examine(settings: Settings, config: CollectorConfig) -> Iterator[Answer]:
    """Every answer; none of the questions changes anything that lasts."""
    yield from _versions()
    yield from _folder(settings.state_dir)
    yield from _disk(settings.state_dir, config)
    yield _open_files()
    yield _memory(config)
    yield _clock()
    running = _collector(settings)
    yield from _ports(settings, is_running=running is not None)
    if running is None:
        yield Answer(Level.OK, "the collector does not run here")
    else:
        yield from health_answers(running)


def _versions() -> Iterator[Answer]:
    have = ".".join(map(str, sys.version_info[:3]))
    is_new = sys.version_info >= MIN_PYTHON
    yield Answer(Level.OK if is_new else Level.BAD, f"Python is {have}, 3.11 or newer is needed")
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            yield Answer(Level.BAD, f"{name} is not installed; install davylamp[server]")
    yield Answer(Level.OK, f"libraries: {', '.join(found)}")


def _folder(state_dir: Path) -> Iterator[Answer]:
    if not state_dir.exists():
        yield Answer(Level.OK, f"{state_dir} is not there yet; the first start makes it")
        return
    if not os.access(state_dir, os.R_OK | os.W_OK | os.X_OK):
        yield Answer(Level.BAD, f"{state_dir} cannot be read and written by this user")
        return
    yield Answer(Level.OK, f"{state_dir} can be read and written")
    secrets = state_dir / "secrets"
    open_to_others = [
        path for path in secrets.glob("*") if path.is_file() and path.stat().st_mode & 0o077
    ]
    for path in open_to_others:
        yield Answer(Level.BAD, f"{path} can be read by other users; run chmod 600 {path}")
    kept = [path for path in (state_dir / "wal/quarantine").glob("*") if path.is_file()]
    if kept:
        yield Answer(
            Level.WARNING,
            f"{len(kept)} files in {state_dir / 'wal/quarantine'} hold data that was never stored",
        )


def _disk(state_dir: Path, config: CollectorConfig) -> Iterator[Answer]:
    place = _existing(state_dir)
    free_bytes = shutil.disk_usage(place).free
    needed_bytes = config.wal.min_free_bytes + config.wal.max_backlog_bytes
    level = Level.OK
    if free_bytes < config.wal.min_free_bytes:
        level = Level.BAD
    elif free_bytes < needed_bytes:
        level = Level.WARNING
    yield Answer(
        level,
        f"{free_bytes / 1e9:.1f} GB are free on the disk of {place}; below "
        f"{config.wal.min_free_bytes / 1e9:.1f} GB nothing is acknowledged",
    )
    kind = file_system_of(place)
    if kind in _MEMORY_FILE_SYSTEMS:
        yield Answer(Level.BAD, f"{place} lies in memory ({kind}): a restart forgets everything")
    yield _sync(place)


def _sync(place: Path) -> Answer:
    try:
        took_s = sync_s(place)
    except OSError as error:
        return Answer(Level.BAD, f"the disk of {place} cannot sync a file: {error.strerror}")
    level = Level.OK if took_s < SLOW_SYNC_S else Level.WARNING
    return Answer(level, f"the disk syncs a small file in {took_s * 1000:.1f} ms")


def sync_s(place: Path) -> float:
    """Median seconds of writing 4 KiB and syncing them, in a file that is gone at once."""
    took_s = []
    with tempfile.TemporaryFile(dir=place) as file:
        for _ in range(SYNCS):
            began_s = time.monotonic()
            file.write(bytes(4_096))
            file.flush()
            os.fdatasync(file.fileno())
            took_s.append(time.monotonic() - began_s)
    return median(took_s)


def file_system_of(place: Path) -> str:
    """Its kind, such as ext4; "" where the kernel does not tell."""
    try:
        lines = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    mounts = [line.split()[1:3] for line in lines]
    around = [(at, kind) for at, kind in mounts if place.resolve().is_relative_to(at)]
    return max(around, key=lambda one: len(one[0]), default=("", ""))[1]


def _open_files() -> Answer:
    import resource  # noqa: PLC0415 - not on every system

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    is_enough = limit == resource.RLIM_INFINITY or limit >= MIN_OPEN_FILES
    return Answer(
        Level.OK if is_enough else Level.WARNING,
        f"{limit} files may be open at once; {MIN_OPEN_FILES} are wanted (ulimit -n)",
    )


def _memory(config: CollectorConfig) -> Answer:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    wanted = config.overload.max_rss_bytes
    return Answer(
        Level.OK if total > wanted else Level.WARNING,
        f"the machine has {total / 1e9:.1f} GB of memory; the collector gives way at "
        f"{wanted / 1e9:.1f} GB (collector.overload.max_rss_bytes)",
    )


def _clock() -> Answer:
    """Whether the kernel says that something keeps its clock right."""
    if sys.platform != "linux":
        return Answer(Level.OK, "whether the clock is kept right cannot be told here")
    # struct timex is smaller than this on every architecture; modes = 0 only reads.
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(1_024))
    if state == _TIME_ERROR:
        return Answer(Level.WARNING, "nothing keeps this machine's clock right: run an NTP client")
    return Answer(Level.OK, "the clock is kept right")


def _ports(settings: Settings, *, is_running: bool) -> Iterator[Answer]:
    for section, key, what in LISTENERS:
        host, port = settings.text(section, "host"), settings.port(section, key)
        if port == 0:
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                if is_running and section != "samples":
                    continue
                yield Answer(
                    Level.WARNING,
                    f"port {port} for {what} cannot be used: {error.strerror}; set "
                    f"DAVYLAMP_{section.upper()}__{key.upper()}",
                )
            else:
                yield Answer(Level.OK, f"port {port} for {what} is free")


def _collector(settings: Settings) -> dict[str, Any] | None:
    """What the running collector says of itself; None if nothing answers as one."""
    url = settings.url("collector", "api_port")
    try:
        headers = own_headers(access_config(settings))
        books = _json(f"{url}/api/v1/ingest", headers)
        books["is_ready"] = _is_ready(f"{url}/readyz")
        books["scrape"] = _json(f"{url}/api/v1/scrape", headers)
    except (OSError, ValueError):
        return None
    return books


def _json(url: str, headers: Mapping[str, str]) -> dict[str, Any]:
    request = urllib.request.Request(url, headers=dict(headers))  # noqa: S310 - our own
    with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT_S) as answer:  # noqa: S310
        found: dict[str, Any] = json.loads(answer.read())
        return found


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_TIMEOUT_S):  # noqa: S310 - our own
            return True
    except urllib.error.HTTPError:
        return False


def health_answers(books: dict[str, Any]) -> Iterator[Answer]:
    """What a running collector's own figures mean."""
    if not books["is_ready"]:
        yield Answer(Level.BAD, "the collector takes no requests right now")
    lag_s = books["lag_s"]
    yield Answer(
        Level.OK if lag_s < LAG_MAX_S else Level.BAD,
        f"the oldest item that waits for the store came {lag_s:.1f} s ago",
    )
    for meaning in _MEANINGS:
        text = meaning(books)
        if text:
            yield Answer(Level.WARNING, text)
    for one in books["skew"]:
        if abs(one["behind_s"]) > SKEW_MAX_S:
            side = "behind" if one["behind_s"] > 0 else "ahead"
            yield Answer(
                Level.WARNING,
                f"the clock of {one['service']!r} is about {abs(one['behind_s']):.0f} s {side}",
            )
    for target in books["scrape"]["targets"]:
        if target["health"] == "down":
            yield Answer(Level.WARNING, f"{target['url']} is down: {target['last_error']}")
    for problem in books["scrape"]["problems"]:
        yield Answer(Level.WARNING, problem)


def _rejected(books: dict[str, Any]) -> str:
    reasons: dict[str, int] = {}
    for account in books["signals"].values():
        for reason, count in account["rejected"].items():
            reasons[reason] = reasons.get(reason, 0) + count
    told = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    return f"items were rejected since the start: {told}" if told else ""


_MEANINGS: Final[tuple[Callable[[dict[str, Any]], str], ...]] = (
    _rejected,
    lambda books: (
        f"{books['quarantined']} items could not be stored and are kept in files"
        if books["quarantined"]
        else ""
    ),
    lambda books: (
        "the collector died for want of memory and is in safe mode: no new series, no scraping"
        if books["is_safe_mode"]
        else ""
    ),
    lambda books: (
        f"memory is short, {books['shed'].replace('_', ' ')} are refused"
        if books["shed"] != "nothing"
        else ""
    ),
)


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path
